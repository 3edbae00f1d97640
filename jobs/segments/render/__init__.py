"""The dbt models, macros and schema YAML that are made from the definitions, and whether the committed ones equal them."""
