"""One value, two tokens, while the window of a rotated key is open: resolved under the new one, known by both.

Not links between two nodes: a person with five e-mail addresses would then have ten, and the limits would cut some off.
"""

from collections.abc import Mapping

import pyarrow as pa

from jobs.identity.edges import Connection
from jobs.privacy.aliases import TABLE, read_aliases

__all__ = ["TABLE", "read_aliases", "see_through", "with_twins"]

SEE_THROUGH = f"""
create view silver_identifiers as
select s.* replace (coalesce(a.new_token, s.identifier_value) as identifier_value)
from silver_identifiers_as_stored as s
left join {TABLE} as a on a.old_token = s.identifier_value
"""


def see_through(connection: Connection) -> None:
    """Makes the connection's `silver_identifiers` show new tokens in the place of old ones; nothing outside of a window."""
    if connection.execute(f"select count(*) from {TABLE}").fetchall()[0][0]:
        connection.execute("alter view silver_identifiers rename to silver_identifiers_as_stored")
        connection.execute(SEE_THROUGH)


def with_twins(identifiers: pa.Table, renamed: Mapping[str, str]) -> pa.Table:
    """Rows of `profile_identifiers`, each with a new token once more with its old one; sorted by type and value."""
    if not renamed:
        return identifiers
    old_of = {new: old for old, new in renamed.items()}
    column = identifiers.column_names.index("identifier_value")
    old = pa.array([old_of.get(value) for value in identifiers["identifier_value"].to_pylist()], pa.string())
    twins = identifiers.set_column(column, "identifier_value", old).filter(old.is_valid())
    order = [("identifier_type", "ascending"), ("identifier_value", "ascending")]
    return pa.concat_tables([identifiers, twins]).sort_by(order)
