"""Looks after the checkpoints of the two streams: says what is wrong, drops what was not finished, begins anew on proof."""
