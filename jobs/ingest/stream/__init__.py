"""The two streams, and the pure functions that judge a batch: envelope, validate, events, records, tokenize, dedupe."""
