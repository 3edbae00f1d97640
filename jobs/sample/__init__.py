"""The default input: a public retail data package as messages, and a layer of simulated web and e-mail behaviour."""
