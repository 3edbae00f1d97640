"""Identity resolution: which identifiers are one person, and the ledger that says why."""
