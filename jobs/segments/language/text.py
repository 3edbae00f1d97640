"""Text that dbt and the two engines would not read alike."""

# Jinja would run these, and a backslash starts an escape in Spark's strings but not in DuckDB's.
REFUSED_TEXT = ("{{", "}}", "{%", "%}", "{#", "#}", "\\")


def refused(value: str) -> str | None:
    """Why the text cannot stand in a definition, None when it can."""
    found = [part for part in REFUSED_TEXT if part in value]
    if not found and value.isprintable():
        return None
    what = ", ".join(found) or "a control character"
    return f"text {value!r} contains {what}, which dbt, DuckDB and Spark read differently; write it otherwise"
