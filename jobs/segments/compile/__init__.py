"""From definitions to SQL, by way of sqlglot expressions: values become literals of the tree, never text."""
