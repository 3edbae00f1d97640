"""How big a segment would be, and whom it shares with others, before anything is built."""
