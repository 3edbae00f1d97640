"""A difference as Markdown, for a pull request. Profile ids are the only thing in it that is somebody's."""

from collections.abc import Mapping, Sequence

from jobs.segments.change.compare import Difference, SegmentChange
from jobs.segments.evaluate.explain import Reason


def report(difference: Difference, reasons: Mapping[tuple[str, str], Reason], share: float = 1.0) -> str:
    """The whole report; `reasons`: (segment, profile_id) → why, of some who enter or leave; `share`: of the profiles asked."""
    sampled = "" if share >= 1 else f", a sample of {share:.0%} of all"
    lines = ["## Segments that change", "", f"Over {difference.profiles:,} profiles{sampled}.", ""]
    changed = difference.changed
    if not changed and not difference.reshuffles:
        return "\n".join([*lines, "Nobody enters or leaves any segment.", ""])
    lines += ["| segment | before | after | enter | leave | syncs that send it |", "|---|--:|--:|--:|--:|---|"]
    lines += [_row(change, difference.syncs.get(change.name, ())) for change in changed]
    unchanged = len(difference.segments) - len(changed)
    lines += ["", f"{unchanged} other segments stay as they are.", ""]
    for found in difference.reshuffles:
        lines += [f"### Winners of `{found.trait}`", "", "| before | after | profiles |", "|---|---|--:|"]
        lines += [f"| {before or '-'} | {after or '-'} | {count:,} |" for before, after, count in found.moves] + [""]
    for change in changed:
        lines += _details(change, reasons)
    return "\n".join(lines)


def _row(change: SegmentChange, syncs: Sequence[str]) -> str:
    before = "new" if change.before is None else f"{change.before:,}"
    after = "gone" if change.after is None else f"{change.after:,}"
    return f"| `{change.name}` | {before} | {after} | +{change.entering:,} | -{change.leaving:,} | {', '.join(syncs) or '-'} |"


def _details(change: SegmentChange, reasons: Mapping[tuple[str, str], Reason]) -> list[str]:
    lines: list[str] = []
    if change.overlaps:
        shared = ", ".join(f"`{name}` {count:,}" for name, count in change.overlaps)
        lines += [f"Members of `{change.name}` that are also in: {shared}.", ""]
    for words, sample in (("enters", change.entering_sample), ("leaves", change.leaving_sample)):
        for profile_id in sample:
            if reason := reasons.get((change.name, profile_id)):
                lines += [f"- `{profile_id}` {words} `{change.name}`:", *tree(reason, 1)]
    return [*lines, ""] if lines and lines[-1] else lines


def tree(reason: Reason, depth: int = 0) -> list[str]:
    """A reason as nested list items: yes or no, the words, the value, the events counted."""
    value = "" if reason.value is None else f" = {reason.value}"
    events = ", ".join(f"{name} {at:%Y-%m-%d %H:%M}" for _, name, at in reason.events)
    shown = (
        f"{'  ' * depth}- {'yes' if reason.holds else 'no'}: {reason.words}{value}{f' ({events})' if events else ''}"
    )
    return [shown, *(line for part in reason.parts for line in tree(part, depth + 1))]
