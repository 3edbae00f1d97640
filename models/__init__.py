"""ML models: read as-of views of the warehouse, train, evaluate, register, and write their answers to gold tables."""
