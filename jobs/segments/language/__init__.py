"""What an analyst may write: rules, traits, windows; their types, and nothing that knows SQL."""
