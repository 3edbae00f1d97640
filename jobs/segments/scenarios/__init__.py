"""Scenario files: a story on a clock of its own, with what is expected of it; run on both engines, without Airflow or a lake."""
