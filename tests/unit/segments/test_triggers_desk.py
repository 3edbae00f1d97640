"""The desk: occasions decided once, late events, re-entry, caps, quiet hours, consent, the order of time."""

import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from triggerkit import START, World, book, minutes, policy, told, trigger

from jobs.segments.triggers.model import Turn

CART = {"event": "Added", "not_followed_by": {"event": ["Added", "Ordered"]}, "within": "1 hour"}
DWELL = {"event": "Left", "where": [{"property": "seconds", "gt": 120}], "unless": {"event": "Ordered"}}


def world(*triggers: Any, **more: Any) -> World:
    made = World(book(*triggers, **more))
    made.person()
    return made


def test_an_absence_is_decided_when_its_lateness_is_over_and_once() -> None:
    it = world(trigger(CART))
    it.happens("Added", 0)
    it.happens("Added", 10)
    assert told(it.until(71.9)) == []
    [row] = it.until(72)
    assert told([row]) == ["tested fire 72"]
    assert (row["occasion_at"], row["not_before"]) == (START + minutes(70), START + minutes(72))
    assert (row["event_keys"], row["expires_at"]) == (["e2"], START + minutes(72 + 24 * 60))
    assert told(it.until(2000)) == []


def test_the_desk_says_who_is_due_when() -> None:
    it = world(trigger(CART))
    it.happens("Added", 0)
    it.until(1)
    assert it.desk.store.next_due() == START + minutes(62)
    it.happens("Ordered", 2)
    it.until(2)
    assert it.desk.store.next_due() is None


@pytest.mark.parametrize(
    ("bought", "late", "expected"),
    [
        (60, 0, []),  # the last moment counts
        (60.1, 0, ["tested fire 62", "tested cancel 62 undone"]),  # after the occasion and before its decision
        (30, 31.9, []),  # just in time
        (30, 32, ["tested fire 62", "tested cancel 62 undone"]),  # at the moment of the decision
        (30, 33, ["tested fire 62", "tested cancel 63 undone"]),  # late, and not sent yet
        (100, 0, ["tested fire 62", "tested cancel 100 undone"]),  # not late at all, and not sent yet
        (0, 0, ["tested fire 62"]),  # at the same instant is not after it
    ],
)
def test_an_order_before_the_message_is_sent(bought: float, late: float, expected: list[str]) -> None:
    it = world(trigger(CART))
    it.happens("Added", 0)
    it.happens("Ordered", bought, late=late)
    assert told(it.until(1000)) == expected


@pytest.mark.parametrize(
    ("bought", "late", "expected"),
    [
        (30, 100, ["tested regret 130 undone"]),  # it should not have been sent
        (89, 100, ["tested regret 189 undone"]),  # bought before it was sent, and not known
        (91, 100, []),  # bought after it was sent: that is what it was for
    ],
)
def test_an_order_known_after_the_message_was_sent(bought: float, late: float, expected: list[str]) -> None:
    it = world(trigger(CART))
    it.happens("Added", 0)
    it.happens("Ordered", bought, late=late)
    it.until(80)
    assert it.sends(90) == ["tested"]
    assert told(it.until(1000)) == expected
    assert told(it.until(2000)) == []


def test_what_nobody_sent_in_time_is_not_taken_back() -> None:
    it = world(trigger(CART, expires="1 hour"))
    it.happens("Added", 0)
    it.happens("Ordered", 122)
    it.until(100)
    assert told(it.until(200)) == []


def test_an_event_known_too_late_is_held_as_expired() -> None:
    it = world(trigger(CART, expires="1 hour"))
    it.happens("Added", 0, late=120)
    assert told(it.until(1000)) == ["tested hold 120 expired"]


def test_a_presence_is_decided_when_it_is_received() -> None:
    it = world(trigger(DWELL))
    it.happens("Left", 0, late=3, seconds=120)
    it.happens("Left", 10, late=3, seconds=120.5)
    it.happens("Left", 20, seconds="many")
    it.happens("Ordered", 40)
    assert told(it.until(30)) == ["tested fire 13"]
    assert told(it.until(50)) == ["tested cancel 40 undone"]


def test_same_looks_at_followers_with_the_same_text_only() -> None:
    viewed = {"event": "Viewed", "not_followed_by": {"event": "Added"}, "within": "1 hour", "same": "product"}
    it = world(trigger(viewed))
    it.happens("Viewed", 0, product="a")
    it.happens("Viewed", 1, product="b")
    it.happens("Viewed", 2)
    it.happens("Added", 5, product="b")
    assert told(it.until(500)) == ["tested fire 62"]


def test_if_is_judged_by_what_is_known_at_the_decision() -> None:
    rule = {"event": "Viewed", "gte": 2}
    it = world(trigger(CART, **{"if": rule}))
    it.happens("Added", 0)
    it.happens("Viewed", 1)
    it.happens("Viewed", 30, late=40)
    it.happens("Added", 100)
    assert told(it.until(1000)) == ["tested hold 62 condition", "tested fire 162"]


@pytest.mark.parametrize(
    ("consent", "suppressed", "expected"),
    [
        (True, False, "tested fire 0"),
        (False, False, "tested hold 0 consent"),
        (None, False, "tested hold 0 consent"),
        (True, True, "tested hold 0 suppressed"),
        (False, True, "tested hold 0 suppressed consent"),
    ],
)
def test_consent_and_suppression(consent: bool | None, suppressed: bool, expected: str) -> None:
    rules = policy(purposes={"marketing": {"consent": "has_marketing_consent"}})
    it = world(trigger(DWELL), obeyed=rules)
    it.person(consent=consent, suppressed=suppressed)
    it.happens("Left", 0, seconds=121)
    assert told(it.until(1)) == [expected]


def test_a_profile_that_no_build_knows_has_no_consent() -> None:
    it = world(trigger(DWELL), obeyed=policy(purposes={"marketing": {"consent": "has_marketing_consent"}}))
    it.happens("Left", 0, profile="new", seconds=121)
    assert told(it.until(1)) == ["tested hold 0 consent"]


def test_re_entry() -> None:
    it = world(trigger(DWELL, re_entry="1 hour"), trigger(DWELL, "often"), trigger(DWELL, "only", re_entry="once"))
    for after in (0, 59, 60):
        it.happens("Left", after, seconds=121)
    kept = [line for line in told(it.until(100)) if not line.startswith("often")]
    assert kept == [
        "only fire 0", "tested fire 0", "only hold 59 re_entry", "tested hold 59 re_entry",
        "only hold 60 re_entry", "tested fire 60",
    ]  # fmt: skip
    assert [line for line in told(it.decided) if line.startswith("often")] == [f"often fire {at}" for at in (0, 59, 60)]


def test_what_was_taken_back_counts_for_nothing() -> None:
    rules = policy(purposes={"marketing": {"caps": [{"at_most": 1, "within": "1 day"}]}})
    it = world(trigger(DWELL, re_entry="once"), obeyed=rules)
    it.happens("Left", 0, seconds=121)
    it.happens("Ordered", 10)
    it.happens("Left", 20, seconds=121)
    assert told(it.until(100)) == ["tested fire 0", "tested cancel 10 undone", "tested fire 20"]


def test_caps_count_over_triggers_and_the_lower_rank_goes_first() -> None:
    rules = policy(purposes={"marketing": {"caps": [{"at_most": 2, "within": "1 day"}]}, "service": {}})
    it = world(
        trigger(DWELL, "z", rank=1), trigger(DWELL, "b"), trigger(DWELL, "a"), trigger(DWELL, "s", purpose="service"),
        obeyed=rules,
    )  # fmt: skip
    it.happens("Left", 0, seconds=121)
    it.happens("Left", 24 * 60, seconds=121)
    assert told(it.until(1)) == ["z fire 0", "a fire 0", "b hold 0 frequency_cap", "s fire 0"]
    assert told(it.until(3000))[:2] == ["z fire 1440", "a fire 1440"]


@pytest.mark.parametrize(
    ("zone", "expected"),
    [(None, 720), ("no such place", 720), ("Asia/Tokyo", 660), ("America/New_York", 0)],
)
def test_quiet_hours_by_the_persons_clock(zone: str | None, expected: int) -> None:
    """The start is 12:00 UTC: 21:00 in Tokyo, 07:00 in New York."""
    rules = policy(
        zone_trait="city_zone", default_zone="Pacific/Auckland", quiet_hours={"start": "20:00", "end": "07:00"}
    )
    it = world(trigger(DWELL), obeyed=rules)
    it.person(zone=zone)
    it.happens("Left", 0, seconds=121)
    [row] = it.until(1)
    wanted = {720: 5 * 60, 660: 10 * 60, 0: 0}[expected]  # Auckland: 01:00, so that five hours (DST: +13) are missing
    assert row["not_before"] - START == timedelta(minutes=wanted + (60 if expected == 720 else 0))


def test_a_message_that_would_expire_in_quiet_hours_is_held() -> None:
    rules = policy(quiet_hours={"start": "11:00", "end": "13:00"})
    it = world(trigger(DWELL, expires="1 hour"), obeyed=rules)
    it.happens("Left", 0, seconds=121)
    assert told(it.until(1)) == ["tested hold 0 quiet_hours"]


def turn(after: float, *, is_entry: bool = True, known: float | None = None, **more: Any) -> Turn:
    known_at = START + minutes(after if known is None else known)
    return Turn("lapsed", "ann", is_entry, START + minutes(after), known_at, **more)


def lapsing() -> World:
    from triggerkit import ATTRIBUTES

    from jobs.core.definitions import SegmentHeader
    from jobs.segments.language.catalogue import resolve

    rule = {"all": [{"event": "Ordered"}, {"not": {"event": "Ordered", "last": "1 day"}}]}
    header = SegmentHeader(name="lapsed", description="Used by the tests of triggers.", rule=rule)
    made = World(book(trigger({"enters": "lapsed"})), resolve({}, {"lapsed": header}, ATTRIBUTES))
    made.person()
    made.happens("Ordered", 0)
    return made


def test_a_membership_by_time_waits_for_what_is_late() -> None:
    it = lapsing()
    assert told(it.until(1440, turns=[turn(1440, is_by_time=True)])) == []
    assert it.desk.store.next_due() == START + minutes(1442)
    assert told(it.until(1500)) == ["tested fire 1442"]


def test_a_membership_that_has_turned_back_by_its_decision_is_held() -> None:
    it = lapsing()
    it.happens("Ordered", 1430, late=11)
    it.until(1440, turns=[turn(1440, is_by_time=True)])
    assert told(it.until(1500, turns=[turn(1441, is_entry=False)])) == ["tested hold 1442 undone"]


def test_a_membership_that_turns_back_before_the_message_is_sent() -> None:
    it = lapsing()
    it.until(1440, turns=[turn(1440, is_by_time=True)])
    it.until(1450)
    assert told(it.until(1500, turns=[turn(1460, is_entry=False, known=1500)])) == ["tested cancel 1500 undone"]
    assert told(it.until(1600, turns=[turn(1550, is_entry=False)])) == []


def test_a_merge_of_profiles_makes_no_occasion_new() -> None:
    it = world(trigger(CART))
    it.happens("Added", 0)
    assert len(it.until(62)) == 1
    it.connection.execute("update known_events set profile_id = 'bob'")
    it.desk.store.move({"ann": "bob"})
    it.person("bob")
    it.happens("Viewed", 63, profile="bob")
    assert told(it.until(63)) == []
    it.happens("Ordered", 64, profile="bob")
    assert told(it.until(64)) == ["tested cancel 64 undone"]


def test_a_membership_by_time_is_decided_once_though_profiles_merge() -> None:
    """After a stop the changes are read again, as of the profile that there is now."""
    it = lapsing()
    it.until(1440, turns=[turn(1440, is_by_time=True)])
    assert len(it.until(1450)) == 1
    it.connection.execute("update known_events set profile_id = 'bob'")
    it.desk.store.move({"ann": "bob"})
    it.person("bob")
    assert told(it.until(1455, turns=[replace(turn(1440, is_by_time=True), profile_id="bob", told_of="ann")])) == []


def test_a_way_back_takes_back_what_was_sent_off_before_it() -> None:
    """Also when it is told again, as after a stop."""
    it = lapsing()
    it.happens("Ordered", 1500)
    turns = [turn(1440), turn(1500, is_entry=False), turn(2940)]
    assert told(it.until(1440, turns=turns[:1])) == ["tested fire 1440"]
    assert told(it.until(1500, turns=turns[1:2])) == ["tested cancel 1500 undone"]
    assert told(it.until(2940, turns=turns[2:])) == ["tested fire 2940"]
    assert told(it.until(2945, turns=turns)) == []


def test_what_happens_while_nobody_looks_is_taken_back_all_the_same() -> None:
    calls = ([80, 200, 3000], [80, 3000], [3000])
    found = []
    for stops in calls:
        it = world(trigger(CART))
        it.happens("Added", 0)
        it.happens("Ordered", 100)
        for stop in stops:
            it.until(stop)
        found.append(told(it.decided))
    assert found == [["tested fire 62", "tested cancel 100 undone"]] * 3


NAMES = ("Added", "Added", "Ordered", "Left", "Viewed")


def history(seed: int) -> list[tuple[str, str, float, float]]:
    pick = random.Random(seed)
    rows = [
        (pick.choice("ab"), pick.choice(NAMES), pick.randrange(0, 600, 5), pick.choice([0, 0, 0, 1, 30, 90]))
        for _ in range(pick.randrange(1, 14))
    ]
    return sorted(rows, key=lambda row: row[2] + row[3])


def played(events: list[tuple[str, str, float, float]], stops: list[int]) -> list[dict[str, Any]]:
    rules = policy(purposes={"marketing": {"caps": [{"at_most": 2, "within": "3 hours"}]}})
    condition = {"event": "Viewed", "last": "2 hours", "gte": 1}
    it = World(
        book(
            trigger(CART, "cart", re_entry="2 hours"),
            trigger(DWELL, "dwell", **{"if": {"not": condition}}),
            obeyed=rules,
        )
    )
    for profile in "ab":
        it.person(profile)
    for profile, name, after, late in events:
        it.happens(name, after, late=late, profile=profile, seconds=200)
    for stop in stops:
        it.until(stop)
    return sorted(
        ({**row, "known_at": None} for row in it.decided), key=lambda row: (row["occasion_id"], row["decision"])
    )


def expected_occasions(events: list[tuple[str, str, float, float]]) -> set[tuple[str, float]]:
    """Carts, as the definition says in words: (profile, when decided)."""
    found = set()
    for place, (profile, name, after, late) in enumerate(events):
        if name != "Added":
            continue
        decided = max(after + 62, after + late)
        later = [
            one
            for other, one in enumerate(events)
            if other != place and one[0] == profile and one[1] in ("Added", "Ordered") and after < one[2] <= after + 60
        ]
        if all(one[2] + one[3] >= decided for one in later):
            found.add((profile, decided))
    return found


@pytest.mark.parametrize("seed", range(6))
def test_however_time_is_cut_the_same_is_decided(seed: int) -> None:
    events = history(seed)
    pick = random.Random(seed + 1000)
    stops = [*sorted(pick.sample(range(1, 1000), 12)), 1000]
    at_once, in_pieces = played(events, [1000]), played(events, stops)
    assert at_once == in_pieces, f"seed {seed}"
    carts = {
        (row["profile_id"], (row["decided_at"] - START) / timedelta(minutes=1))
        for row in at_once
        if row["trigger_name"] == "cart" and row["decision"] in ("fire", "hold")
    }
    assert carts == expected_occasions(events), f"seed {seed}"
