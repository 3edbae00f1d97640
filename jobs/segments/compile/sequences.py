"""Sequences and missing followers as window columns over a profile's marked events, in time linear in their number.

A step's column holds, at an event of that step, the latest time at which a chain that ends here can have begun: the latest of
those of the step before, in the frame that `within` leaves, strictly before. The latest beginning is the best for the limit of
the whole, so that one column per step decides exactly. Frames are in whole microseconds, so that both engines draw them alike.
"""

from dataclasses import dataclass
from datetime import timedelta

from sqlglot import exp

from jobs.segments.compile.nodes import column, earliest, filtered, interval, micros, sql
from jobs.segments.compile.properties import Property
from jobs.segments.compile.windows import happened, now
from jobs.segments.language.rules import FollowRule, SequenceRule

TIME = "at_micros"
PARTITION = ("profile_id", "as_of")


@dataclass(frozen=True)
class Chained:
    """Window columns in the order in which they build on each other, and what is made of them per profile.

    `holds` and `due` are aggregates; `due` None: time alone changes nothing.
    """

    columns: tuple[tuple[str, exp.Expr], ...]
    holds: exp.Expr
    due: exp.Expr | None


def same_of(rule: SequenceRule | FollowRule) -> Property | None:
    """The property that all events must have in common."""
    return Property(rule.same, "text") if rule.same else None


def chained(rule: SequenceRule, name: str, marks: list[exp.Expr], unwanted: exp.Expr | None) -> Chained:
    """`marks[k]`: whether the row's event is step k; `unwanted`: whether it is one that breaks; `name`: prefix of the columns."""
    same = same_of(rule)
    keys = [*PARTITION, *([same.column] if same else [])]
    columns: list[tuple[str, exp.Expr]] = []
    if unwanted is not None:
        # Named after what it counts: sequences that the same events break share it, and with it the sort of their windows.
        breaks = "_".join([unwanted.name, *keys[len(PARTITION) :], "breaks"])
        seen = sql("count(case when :unwanted then 1 end)", unwanted=unwanted)
        columns.append((breaks, window(seen, keys, "UNBOUNDED", None)))
        keys = [*keys, breaks]
    for place, (step, mark) in enumerate(zip(rule.sequence, marks, strict=True), start=1):
        here = exp.and_(mark, sql(":same is not null", same=column(same.column))) if same else mark
        begun: exp.Expr = happened()
        if place > 1:
            frame = "UNBOUNDED" if step.within is None else micros(step.within)
            begun = window(sql("max(:before)", before=column(f"{name}_{place - 1}")), keys, frame, 1)
        columns.append((f"{name}_{place}", sql("case when :here then :begun end", here=here, begun=begun)))
    begun = column(f"{name}_{len(marks)}")
    match = sql(":begun is not null", begun=begun)
    if rule.within is not None:
        match = sql(":at <= :begun + :length", at=happened(), begun=begun, length=interval(rule.within))
    return Chained(tuple(columns), *_any(match, rule.last))


def unfollowed(rule: FollowRule, name: str, mark: exp.Expr, unwanted: exp.Expr) -> Chained:
    """`mark`: whether the row's event is one to be followed; `unwanted`: whether it is a follower."""
    same = same_of(rule)
    keys = [*PARTITION, *([same.column] if same else [])]
    here = exp.and_(mark, sql(":same is not null", same=column(same.column))) if same else mark
    follower = sql("count(case when :unwanted then 1 end)", unwanted=unwanted)
    columns = ((f"{name}_followers", window(follower, keys, 1, micros(rule.within), is_after=True)),)
    alone = exp.and_(here, sql(":followers = 0", followers=column(columns[0][0])))
    known_at = sql(":at + :within", at=happened(), within=interval(rule.within))
    holds, leaving = _any(exp.and_(alone, sql(":known_at <= :now", known_at=known_at, now=now())), rule.last)
    pending = exp.and_(alone.copy(), sql(":known_at > :now", known_at=known_at.copy(), now=now()))
    coming = filtered(sql("min(:known_at)", known_at=known_at.copy()), pending)
    return Chained(columns, holds, coming if leaving is None else earliest([coming, leaving]))


def _any(match: exp.Expr, last: timedelta | None) -> tuple[exp.Expr, exp.Expr | None]:
    """Whether there is a match less than `last` ago, and when the first of those leaves."""
    if last is None:
        return sql("coalesce(bool_or(:match), false)", match=match), None
    recent = exp.and_(match, sql(":at > :now - :length", at=happened(), now=now(), length=interval(last)))
    leaving = filtered(sql("min(:at)", at=happened()), recent.copy())
    due = sql(":leaving + :length", leaving=leaving, length=interval(last))
    return sql("coalesce(bool_or(:recent), false)", recent=recent), due


def window(
    aggregate: exp.Expr, keys: list[str], start: int | str, end: int | str | None, *, is_after: bool = False
) -> exp.Expr:
    """The aggregate over the events from `start` to `end` microseconds before (or after) the row's.

    A text is SQL's own bound (UNBOUNDED); None the row's moment.
    """
    side = "FOLLOWING" if is_after else "PRECEDING"
    spec = exp.WindowSpec(
        kind="RANGE",
        start=_bound(start),
        start_side=side,
        end="CURRENT ROW" if end is None else _bound(end),
        end_side=None if end is None else side,
    )
    order = exp.Order(expressions=[exp.Ordered(this=column(TIME), nulls_first=True)])
    return exp.Window(this=aggregate, partition_by=[column(key) for key in keys], order=order, spec=spec)


def _bound(bound: int | str) -> exp.Expr | str:
    return bound if isinstance(bound, str) else exp.Literal.number(bound)
