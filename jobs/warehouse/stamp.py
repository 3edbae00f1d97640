"""The build id in every table: as its comment, which costs nothing and goes wherever the table goes."""

import duckdb

PREFIX = "build "
RELATIONS = """
select schema_name, table_name as name, 'table' as kind, comment from duckdb_tables() where database_name = current_database()
union all
select schema_name, view_name, 'view', comment from duckdb_views() where not internal and database_name = current_database()
"""


def stamp(connection: duckdb.DuckDBPyConnection, build_id: str) -> int:
    """Writes the id into every table and view, those of an earlier build too; returns how many there are."""
    found = connection.execute(RELATIONS).fetchall()
    for schema, name, kind, _ in found:
        connection.execute(f"""comment on {kind} "{schema}"."{name}" is '{PREFIX}{build_id}'""")
    return len(found)


def stamps(connection: duckdb.DuckDBPyConnection) -> dict[str, str | None]:
    """`schema.name` of every table and view → the build id that it carries, None when it carries none."""
    return {
        f"{schema}.{name}": comment.removeprefix(PREFIX) if comment and comment.startswith(PREFIX) else None
        for schema, name, _, comment in connection.execute(RELATIONS).fetchall()
    }


def foreign(connection: duckdb.DuckDBPyConnection, build_id: str) -> list[str]:
    """The tables and views that do not carry this id, in order; none in a whole build."""
    return sorted(name for name, found in stamps(connection).items() if found != build_id)
