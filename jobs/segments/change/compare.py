"""Two catalogues over the same profiles at the same moment: sizes, who enters and leaves, overlaps, winners of priority lists."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jobs.segments.compile.rules import segment_column, trait_column
from jobs.segments.evaluate.local import Evaluator
from jobs.segments.language.model import Catalogue
from jobs.segments.language.traits import Priority

SAMPLES = 3
OVERLAPS = 5


@dataclass(frozen=True)
class SegmentChange:
    """One segment of either side. Sizes are None where it is not defined; samples are the first profile ids in order."""

    name: str
    before: int | None
    after: int | None
    entering: int
    leaving: int
    entering_sample: tuple[str, ...] = ()
    leaving_sample: tuple[str, ...] = ()
    overlaps: tuple[tuple[str, int], ...] = ()

    @property
    def is_changed(self) -> bool:
        """Whether anybody enters or leaves, or the segment itself comes or goes."""
        return bool(self.entering or self.leaving or self.before is None or self.after is None)


@dataclass(frozen=True)
class Reshuffle:
    """Profiles of a priority list whose winner is another: (before, after) → how many; None: nobody won."""

    trait: str
    moves: tuple[tuple[str | None, str | None, int], ...]


@dataclass(frozen=True)
class Difference:
    """What changes. `profiles`: how many were asked; `syncs`: those that send a segment that changes, by its name."""

    profiles: int
    segments: tuple[SegmentChange, ...]
    reshuffles: tuple[Reshuffle, ...]
    syncs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def changed(self) -> tuple[SegmentChange, ...]:
        """The segments that change, those with most movement first."""
        moved = [change for change in self.segments if change.is_changed]
        return tuple(sorted(moved, key=lambda change: (-(change.entering + change.leaving), change.name)))


def compare(
    connection: Any, base: Catalogue, head: Catalogue, syncs: Iterable[tuple[str, str | None]] = ()
) -> Difference:
    """Evaluates both for the one moment of each profile in `asked`; `syncs`: (name, segment it sends)."""
    for side, catalogue in (("base", base), ("head", head)):
        evaluator = Evaluator(catalogue)
        evaluator.rank(connection)
        connection.execute(f"create or replace temp table {side}_side as {evaluator.query}")
    profiles = int(connection.execute("select count(*) from head_side").fetchall()[0][0])
    names = sorted({*base.segments, *head.segments})
    changes = tuple(_segment(connection, name, base, head) for name in names)
    shared = [name for name in head.traits if name in base.traits and isinstance(head.traits[name].value, Priority)]
    reshuffles = tuple(found for name in shared if (found := _reshuffle(connection, name)).moves)
    moved = {change.name for change in changes if change.is_changed}
    sending: dict[str, list[str]] = {}
    for sync, segment in syncs:
        if segment in moved and segment is not None:
            sending.setdefault(segment, []).append(sync)
    return Difference(profiles, changes, reshuffles, {name: tuple(sorted(found)) for name, found in sending.items()})


def _segment(connection: Any, name: str, base: Catalogue, head: Catalogue) -> SegmentChange:
    column = segment_column(name)
    was = f"b.{column}" if name in base.segments else "false"
    now = f"h.{column}" if name in head.segments else "false"
    both = "base_side as b join head_side as h using (profile_id)"
    sizes = f"""select count(*) filter ({was}), count(*) filter ({now}), count(*) filter ({now} and not {was}),
        count(*) filter ({was} and not {now}) from {both}"""
    before, after, entering, leaving = connection.execute(sizes).fetchall()[0]
    samples = [
        tuple(
            row[0]
            for row in connection.execute(
                f"select profile_id from {both} where {condition} order by 1 limit {SAMPLES}"
            ).fetchall()
        )
        for condition in (f"{now} and not {was}", f"{was} and not {now}")
    ]
    is_changed = bool(entering or leaving or name not in base.segments or name not in head.segments)
    return SegmentChange(
        name,
        before if name in base.segments else None,
        after if name in head.segments else None,
        entering,
        leaving,
        samples[0],
        samples[1],
        _overlaps(connection, name, head) if is_changed and name in head.segments else (),
    )


def _overlaps(connection: Any, name: str, head: Catalogue) -> tuple[tuple[str, int], ...]:
    others = [other for other in head.segments if other != name]
    if not others:
        return ()
    counts = ", ".join(f"count(*) filter ({segment_column(other)})" for other in others)
    found = connection.execute(f"select {counts} from head_side where {segment_column(name)}").fetchall()[0]
    shared = sorted(
        ((other, int(count)) for other, count in zip(others, found, strict=True) if count),
        key=lambda pair: (-pair[1], pair[0]),
    )
    return tuple(shared[:OVERLAPS])


def _reshuffle(connection: Any, name: str) -> Reshuffle:
    column = trait_column(name)
    query = f"""select b.{column}, h.{column}, count(*) from base_side as b join head_side as h using (profile_id)
        where b.{column} is distinct from h.{column} group by all order by 3 desc, 1, 2"""
    return Reshuffle(
        name, tuple((before, after, int(count)) for before, after, count in connection.execute(query).fetchall())
    )
