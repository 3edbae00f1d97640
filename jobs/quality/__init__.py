"""Gates: runs the suites of `expectations` on lake and warehouse tables and records the verdict."""
