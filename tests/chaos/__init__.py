"""The proof machinery: what is sent is known, what arrives is counted, and what is between is killed; docs/reliability.md."""
