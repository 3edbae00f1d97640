"""The door to Spark, Delta and the DuckDB reader of the lake. Tables are named by the catalog, never by path."""
