"""What a change of definitions would do, as a table and as Markdown."""

from segmentkit import ask, catalogue, segment, trait, world

from jobs.segments.change.compare import compare
from jobs.segments.change.markdown import report

HISTORY = [
    ("ann", "Order", "2017-03-01 10:00", {}),
    ("ann", "Order", "2017-03-02 10:00", {}),
    ("bob", "Order", "2017-03-02 10:00", {}),
]
EVERYBODY = [(who, "2017-03-10 00:00") for who in ("ann", "bob", "cat")]
BASE = catalogue(
    segment("buyers", "{event: Order}"),
    segment("quiet", "{event: Order, eq: 0}"),
    segment("gone", "{event: Order, gte: 2}"),
    trait("letter", "{priority: [{segment: buyers, rank: 1}, {segment: quiet, rank: 2}], ties: listed}"),
)
HEAD = catalogue(
    segment("buyers", "{event: Order, gte: 2}"),
    segment("quiet", "{event: Order, eq: 0}"),
    segment("fresh", "{event: Order, gte: 1}"),
    trait("letter", "{priority: [{segment: buyers, rank: 1}, {segment: quiet, rank: 2}], ties: listed}"),
)


def test_who_enters_and_who_leaves() -> None:
    with world(HISTORY) as connection:
        ask(connection, EVERYBODY)
        found = compare(connection, BASE, HEAD, [("newsletter", "buyers"), ("calm", "quiet"), ("all", None)])
    changes = {change.name: change for change in found.segments}
    assert found.profiles == 3
    assert [(c.before, c.after, c.entering, c.leaving) for c in (changes["buyers"], changes["quiet"])] == [
        (2, 1, 0, 1),
        (1, 1, 0, 0),
    ]
    assert changes["buyers"].leaving_sample == ("bob",)
    assert changes["buyers"].overlaps == (("fresh", 1),)
    assert (changes["fresh"].before, changes["fresh"].entering_sample) == (None, ("ann", "bob"))
    assert (changes["gone"].after, changes["gone"].leaving) == (None, 1)
    assert not changes["quiet"].is_changed
    assert [change.name for change in found.changed] == ["fresh", "buyers", "gone"]
    assert found.syncs == {"buyers": ("newsletter",)}
    assert found.reshuffles[0].moves == (("buyers", None, 1),)


def test_the_report_is_for_a_reviewer() -> None:
    with world(HISTORY) as connection:
        ask(connection, EVERYBODY)
        text = report(compare(connection, BASE, HEAD, [("newsletter", "buyers")]), {})
    assert "| `buyers` | 2 | 1 | +0 | -1 | newsletter |" in text
    assert "| `fresh` | new | 2 | +2 | -0 | - |" in text
    assert "| `gone` | 1 | gone | +0 | -1 | - |" in text
    assert "| buyers | - | 1 |" in text
    assert "1 other segments stay as they are." in text


def test_nothing_changed_is_said_so() -> None:
    with world(HISTORY) as connection:
        ask(connection, EVERYBODY)
        assert "Nobody enters or leaves any segment." in report(compare(connection, BASE, BASE), {})
