"""Records of people in one shape: our columns as text, lower case, without what differs for no reason. NULL for nothing.

Dates become eight digits, year first, of 31/12/1980 the day first; what is no date keeps its digits, since a mistyped date
still says much. Phones,
postcodes and national ids keep letters and digits alone. Accents go. Words that stand for an empty cell are empty.
"""

from collections.abc import Mapping, Sequence

from jobs.identity.edges import Connection

TABLE = "linkage_records"
EMPTY = ("", "null", "none", "nan", "n/a", "na", "-", "unknown", "undefined")
DATES = ("%Y-%m-%d", "%Y%m%d", "%Y/%m/%d", "%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y")
COMPACT = ("phone", "postcode", "national_id")
EMAIL = r"^[^@\s]+@[^@\s]+$"


def make_records(connection: Connection, relation: str, columns: Mapping[str, str]) -> None:
    """Makes the table `linkage_records` of the connection: `record` (number from 0, in the relation's order) and `columns`
    (ours → name in the relation). `relation` is a name that the connection knows, never a value from outside."""
    shown = ", ".join(f"{_normalised(ours, quoted(theirs))} as {ours}" for ours, theirs in columns.items())
    connection.execute(
        f"create or replace table {TABLE} as select row_number() over () - 1 as record, {shown} from {relation}"
    )


def quoted(name: str) -> str:
    """A column name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _normalised(column: str, expression: str) -> str:
    text = f"regexp_replace(lower(strip_accents(trim(cast({expression} as varchar)))), '\\s+', ' ', 'g')"
    text = f"case when {text} not in ({_literals(EMPTY)}) then {text} end"
    if column == "birth_date":
        digits = f"nullif(regexp_replace({text}, '[^0-9]', '', 'g'), '')"
        return f"coalesce(strftime(try_strptime(regexp_extract({text}, '^[^ t]+'), [{_literals(DATES)}]), '%Y%m%d'), {digits})"
    if column in COMPACT:
        return f"nullif(regexp_replace({text}, '[^a-z0-9]', '', 'g'), '')"
    if column == "email":
        return f"case when regexp_full_match({text}, '{EMAIL}') then {text} end"
    return text


def _literals(values: Sequence[str]) -> str:
    return ", ".join(f"'{value}'" for value in values)
