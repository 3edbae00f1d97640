"""Stand-in for dbt's `adapter` while SQL is linted: a dispatched macro becomes a call with the arguments it was given."""

from collections.abc import Callable


def dispatch(name: str, *_: object, **__: object) -> Callable[..., str]:
    """A function that writes `name(arguments)`; a whole select for the macros that stand where a query does."""
    if name == "explode":
        return lambda relation, column: f"select *, 1 as position, unnest({column}) as element from {relation}"
    if name == "json_members":
        return lambda relation, column: f"select *, 'a' as member_name, {column} as member_json from {relation}"
    return lambda *arguments, **more: f"{name}({', '.join(map(str, [*arguments, *more.values()]))})"
