"""Contracts at the command line: what producers promise, what changed, and a first contract from a sample file."""
