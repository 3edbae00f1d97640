"""Catalogues evaluated: on a DuckDB connection, on a Spark session."""
