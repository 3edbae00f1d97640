"""The jobs of c360: everything a task or a person runs, one package per area; `jobs.cli` is the door."""
