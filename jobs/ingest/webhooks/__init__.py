"""Doors for the webhooks of e-mail vendors: prove who sends, take the body apart, hand the events on. See `base`."""
