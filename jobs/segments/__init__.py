"""Segments: one typed YAML definition each, one compiler, committed dbt models that are checked for drift."""
