"""An evaluation as lines for a reader."""

from collections.abc import Iterator
from typing import Any

from jobs.identity.linkage.evaluate import Evaluation

VIEWS = {"pairwise": "pairs of records", "cluster": "whole clusters", "label_pairs": "labelled pairs"}


def lines(found: Evaluation) -> Iterator[str]:
    """A table of three figures per method and view, and what the figures are of."""
    yield f"{found.records:,} records of {found.entities:,} entities; compared by {', '.join(found.columns)}"
    yield f"{'':36}{'precision':>10}{'recall':>10}{'F1':>10}"
    for method, figures in found.methods.items():
        for view, text in VIEWS.items():
            if score := figures.get(view):
                yield f"{method:15} {text:20}{score['precision']:10.4f}{score['recall']:10.4f}{score['f1']:10.4f}"
        yield f"{'':15} {_told(figures)}"
    yield f"linked from {found.config.link}, asked from {found.config.review}, seed {found.config.seed}"


def _told(figures: dict[str, Any]) -> str:
    told = f"{figures['clusters']:,} clusters, the largest of {figures['largest_cluster']}, {figures['seconds']:.1f} s"
    if "pairs_to_review" not in figures:
        return told
    refused = f"{figures['pairs_refused']} refused for want of support"
    return f"{told}; {figures['pairs_linked']:,} pairs linked, {refused}, {figures['pairs_to_review']:,} to review"
