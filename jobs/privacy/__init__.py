"""The vault of raw identifiers, the keys of the tokens, consent rules and the audit of reads."""
