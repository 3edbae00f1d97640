"""Occasions of triggers that events alone set off, as one query: what happened, and what did not.

Relations it reads beside `eval_events` (see `program.py`):

- `asked_occasions`: profile_id, as_of, since: whose occasions are wanted, decided after `since` and
  up to `as_of`; one row per profile;
- `fresh`: event_key: events seen for the first time now, whatever their time of receipt;
- `open_messages`: trigger_name, event_key: occasions that have fired and may still be taken back.

It gives one row per trigger and event that is an occasion of its: trigger_name, profile_id, event_key, occasion_at, decided_at,
is_new, is_pending (decided after `as_of`), is_open, and of the first later event that undoes it undone_at (the earliest time
of one) and undone_known_at (when the first of them was received); NULL when there is none. An absence counts as such by what
was received before decided_at, so that the answer is the same whenever it is asked; what is received at that very moment may
come before or after the question.
"""

from collections.abc import Mapping

from sqlglot import exp

from jobs.segments.compile.collect import Needs
from jobs.segments.compile.nodes import all_of, column, interval, micros, sql, text
from jobs.segments.compile.program import Program, Step, event_steps
from jobs.segments.compile.properties import Property
from jobs.segments.compile.sequences import PARTITION, window
from jobs.segments.compile.windows import happened
from jobs.segments.language.triggers import Absence, Presence, Trigger

FOLLOWERS = ("followed_known_at", "undone_at", "undone_known_at")


def occasions(triggers: Mapping[str, Trigger]) -> Program | None:
    """The program of those triggers that events alone set off; None when there are none."""
    needs = Needs()
    columns: dict[str, exp.Expr] = {}
    found: list[exp.Select] = []
    for name, trigger in sorted(triggers.items()):
        if isinstance(trigger.occasion, Presence | Absence):
            followers = _followers(name, trigger.occasion, needs)
            columns |= followers
            found.append(_of_trigger(trigger, trigger.occasion, needs, followers))
    if not found:
        return None
    moments = exp.select(*PARTITION, exp.alias_(sql("min(since)"), "since")).from_("asked_occasions")
    steps: list[Step] = [("moments", moments.group_by(*PARTITION)), *event_steps(needs)]
    made = [exp.alias_(expression, name) for name, expression in columns.items()]
    steps.append(("followed", exp.select("*", *made).from_(steps[-1][0])))
    whole: exp.Query = found[0]
    for part in found[1:]:
        whole = exp.union(whole, part, distinct=False)
    steps += [("found", exp.select("*").from_(whole.subquery("each_trigger"))), ("judged", _judged())]
    steps.append(("result", exp.select("*").from_("judged").where(sql("is_new or is_pending or is_open"))))
    return Program(tuple(steps), needs)


def _followers(name: str, occasion: Presence | Absence, needs: Needs) -> dict[str, exp.Expr]:
    """Window columns over the later events that undo an occasion; none when nothing does."""
    unwanted = occasion.unless if isinstance(occasion, Presence) else occasion.not_followed_by
    if unwanted is None:
        return {}
    same = _same(occasion)
    if same:
        needs.properties.add(same)
    mark = needs.mark(unwanted)
    keys = [*PARTITION, *([same.column] if same else [])]
    received = sql("min(case when :mark then received_at end)", mark=mark)
    happening = sql("min(case when :mark then effective_at end)", mark=mark.copy())
    columns = {
        f"{name}_undone_at": window(happening, keys, 1, "UNBOUNDED", is_after=True),
        f"{name}_undone_known_at": window(received, keys, 1, "UNBOUNDED", is_after=True),
    }
    if isinstance(occasion, Absence):
        within = micros(occasion.within)
        columns[f"{name}_followed_known_at"] = window(received.copy(), keys, 1, within, is_after=True)
    return columns


def _same(occasion: Presence | Absence) -> Property | None:
    return Property(occasion.same, "text") if isinstance(occasion, Absence) and occasion.same else None


def _of_trigger(
    trigger: Trigger, occasion: Presence | Absence, needs: Needs, followers: Mapping[str, exp.Expr]
) -> exp.Select:
    """The events that a trigger may take for an occasion, with the moments at which it came about and is decided."""
    same = _same(occasion)
    conditions = [needs.mark(occasion), *([sql(":same is not null", same=column(same.column))] if same else [])]
    occasion_at: exp.Expr = happened()
    decided_at: exp.Expr = column("received_at")
    if isinstance(occasion, Absence):
        occasion_at = sql(":at + :within", at=happened(), within=interval(occasion.within))
        decided_at = sql(
            "greatest(:over + :lateness, received_at)", over=occasion_at.copy(), lateness=interval(trigger.lateness)
        )
    values = {"trigger_name": text(trigger.name), "occasion_at": occasion_at, "decided_at": decided_at}
    for name in FOLLOWERS:
        made = f"{trigger.name}_{name}"
        values[name] = column(made) if made in followers else exp.cast(exp.null(), "timestamp")
    chosen = [exp.alias_(expression, name) for name, expression in values.items()]
    plain = ("profile_id", "as_of", "event_key")
    return exp.select(*plain, *chosen).from_("followed").where(all_of(conditions))


def _judged() -> exp.Select:
    """All of them, and whether each is new, will be, or may still be taken back."""
    is_occasion = "(followed_known_at is null or followed_known_at >= decided_at)"
    flags = {
        "is_new": f"{is_occasion} and decided_at <= found.as_of and (decided_at > since or fresh_key is not null)",
        "is_pending": f"{is_occasion} and decided_at > found.as_of",
        "is_open": "open_key is not null",
    }
    plain = (
        "trigger_name",
        "found.profile_id",
        "event_key",
        "occasion_at",
        "decided_at",
        "undone_at",
        "undone_known_at",
    )
    made = [exp.alias_(sql(condition), name) for name, condition in flags.items()]
    fresh = exp.select(exp.alias_(column("event_key"), "fresh_key")).distinct().from_("fresh").subquery("known")
    names = {"event_key": "open_key", "trigger_name": "open_trigger"}
    opened = exp.select(*(exp.alias_(column(name), new) for name, new in names.items())).distinct()
    rows = exp.select(*plain, *made).from_("found")
    rows = rows.join("moments", on=sql("found.profile_id = moments.profile_id and found.as_of = moments.as_of"))
    rows = rows.join(fresh, on=sql("event_key = fresh_key"), join_type="left")
    is_opened = sql("event_key = open_key and trigger_name = open_trigger")
    return rows.join(opened.from_("open_messages").subquery("opened"), on=is_opened, join_type="left")
