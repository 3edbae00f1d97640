"""Segment definitions and the compiler that turns them into dbt models."""
