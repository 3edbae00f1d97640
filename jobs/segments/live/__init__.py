"""The real-time evaluator: members kept up to date by events and by time alone, with the program that the warehouse runs."""
