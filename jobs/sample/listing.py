"""The table of files that `c360 sample generate` prints."""

from collections.abc import Iterable, Iterator

from jobs.sample.writer import Written


def file_table(written: Iterable[Written]) -> Iterator[str]:
    """Lines of a table: source, real or simulated, files, messages, size."""
    items = list(written)
    yield f"{'source':20} {'kind':10} {'file':28} {'messages':>10} {'MiB':>8}"
    for item in items:
        kind = "simulated" if item.is_simulated else "real"
        yield f"{item.source:20} {kind:10} {item.file:28} {item.messages:>10,} {item.size_bytes / 2**20:>8.2f}"
    for kind, group in (
        ("real", [i for i in items if not i.is_simulated]),
        ("simulated", [i for i in items if i.is_simulated]),
    ):
        size = sum(item.size_bytes for item in group) / 2**20
        yield f"{'all':20} {kind:10} {len(group):<28} {sum(item.messages for item in group):>10,} {size:>8.2f}"
