"""The warehouse: dbt builds under the writer lock, publish by atomic swap, read-only connections."""
