"""What is promised of every table, event and source, and the gate that checks it. Imports nothing else of c360."""
