"""Identity: edges between identifiers seen together, their components, stable profile ids, a ledger of changes."""
