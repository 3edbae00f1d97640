"""The checker that judges the crash drill: clean on a true account, and red for each fault planted."""

from dataclasses import replace
from pathlib import Path

import pytest
from chaos.checker import Checker, Found, Place, Verdict
from chaos.ledger import Ledger, Tally, tally
from chaos.messages import Message, Outcome, crowd

SENT = [message for client in crowd(7, "run", 3, 3_000) for message in client.messages()]
ALL = {message.seq: message for message in SENT}


def true_account() -> list[Found]:
    """The rows that a faultless pipeline makes of SENT."""
    rows, kept = [], set()
    for number, message in enumerate(SENT):
        if message.outcome is Outcome.QUARANTINE:
            place = Place.QUARANTINE
        elif message.outcome is Outcome.SUPPRESSED:
            place = Place.SUPPRESSED
        else:
            place = Place.DUPLICATE if message.seq in kept else Place.SILVER
            kept.add(message.seq)
        rows.append(row(place, f"m{number}", message))
    return rows


def row(place: Place, message_id: str, message: Message) -> Found:
    marks = {Place.SILVER: (message.imprint,), Place.QUARANTINE: (message.payload_hash,)}.get(place, ())
    reasons = (message.reason,) if place is Place.QUARANTINE and message.reason else ()
    return Found(place, message_id, message.event_id, marks, reasons, message.seq)


def all_acked() -> Tally:
    sent = Tally()
    sent.attempted.update(message.seq for message in SENT)
    sent.acked.update(message.seq for message in SENT)
    return sent


def judged(rows: list[Found], sent: Tally | None = None) -> Verdict:
    checker = Checker(ALL.values(), sent or all_acked())
    checker.take(rows)
    return checker.judge()


def first(rows: list[Found], place: Place) -> int:
    return next(index for index, found in enumerate(rows) if found.place is place)


def faults(verdict: Verdict) -> dict[str, int]:
    return {name: getattr(verdict, name) for name in Verdict.FAULTS if getattr(verdict, name)}


def test_the_generator_sends_what_it_says() -> None:
    texts = [message.text for message in SENT]
    assert len(texts) == 3_000
    again = [message.text for client in crowd(7, "run", 3, 3_000) for message in client.messages()]
    assert texts == again
    share = (len(texts) - len(set(texts))) / len(texts)
    assert 0.08 < share < 0.12
    conflicts = [message for message in SENT if message.is_conflict]
    assert 0.005 < len(conflicts) / len(texts) < 0.02
    originals = {message.event_id for message in SENT if message.outcome is Outcome.SILVER}
    assert {message.event_id for message in conflicts} <= originals
    assert len({message.reason for message in SENT if message.reason}) == 11


def test_a_true_account_is_clean() -> None:
    verdict = judged(true_account())
    assert verdict.is_clean
    assert faults(verdict) == {}
    assert verdict.attempted == verdict.acked == 3_000
    assert verdict.silver + verdict.quarantine + verdict.suppressed + verdict.repeats == 3_000
    assert str(verdict).endswith("lost=0 duplicated=0 unexpected=0 mutated=0 misfiled=0 recovered=0")


@pytest.mark.parametrize("place", list(Place))
def test_a_row_that_is_missing_is_lost(place: Place) -> None:
    rows = true_account()
    del rows[first(rows, place)]
    assert judged(rows).lost >= 1


def test_a_repeat_without_its_event_is_lost() -> None:
    rows = true_account()
    repeat = rows[first(rows, Place.DUPLICATE)]
    index = next(i for i, r in enumerate(rows) if r.place is Place.SILVER and r.seq == repeat.seq)
    rows[index] = replace(repeat, message_id=rows[index].message_id)
    assert faults(judged(rows)) == {"lost": 1}


@pytest.mark.parametrize("place", list(Place))
def test_a_batch_written_twice_is_duplicated(place: Place) -> None:
    rows = true_account()
    rows.append(rows[first(rows, place)])
    assert faults(judged(rows)) == {"duplicated": 1}


def test_a_message_in_two_tables_is_duplicated() -> None:
    rows = true_account()
    rows.append(replace(rows[first(rows, Place.SILVER)], place=Place.DUPLICATE))
    assert faults(judged(rows)) == {"duplicated": 1}


@pytest.mark.parametrize("place", [Place.SILVER, Place.QUARANTINE, Place.DUPLICATE])
def test_a_segment_loaded_twice_is_duplicated(place: Place) -> None:
    """Another message of the log, of a text that was sent once."""
    rows = true_account()
    rows.append(replace(rows[first(rows, place)], message_id="new"))
    assert judged(rows).duplicated >= 1


def test_what_was_never_attempted_is_unexpected() -> None:
    rows = true_account()
    stranger = Found(Place.SILVER, "x", "other-1", ("f",), (), 999_999)
    assert faults(judged([*rows, stranger])) == {"unexpected": 1}
    sent = all_acked()
    seq = rows[first(rows, Place.QUARANTINE)].seq
    assert seq is not None
    del sent.attempted[seq], sent.acked[seq]
    assert faults(judged(rows, sent)) == {"unexpected": 1}


@pytest.mark.parametrize("place", [Place.SILVER, Place.QUARANTINE])
def test_another_content_is_mutated(place: Place) -> None:
    rows = true_account()
    index = first(rows, place)
    rows[index] = replace(rows[index], imprints=("0" * 24,))
    assert faults(judged(rows)) == {"mutated": 1}


def test_a_valid_one_in_quarantine_is_misfiled() -> None:
    rows = true_account()
    index = first(rows, Place.SILVER)
    message = ALL[rows[index].seq or 0]
    rows[index] = Found(
        Place.QUARANTINE, "q", message.event_id, (message.payload_hash,), ("out_of_range",), message.seq
    )
    assert judged(rows).misfiled == 1


def test_an_invalid_one_in_silver_is_misfiled() -> None:
    rows = true_account()
    index = next(i for i, r in enumerate(rows) if r.reasons and r.reasons != ("id_conflict",))
    rows[index] = replace(rows[index], place=Place.SILVER)
    assert faults(judged(rows)) == {"misfiled": 1}


def test_the_wrong_claimant_in_silver_is_misfiled() -> None:
    """The second of two bodies with one id is kept, the first set aside."""
    rows = true_account()
    claim = next(i for i, r in enumerate(rows) if r.reasons == ("id_conflict",))
    kept = next(i for i, r in enumerate(rows) if r.place is Place.SILVER and r.event_id == rows[claim].event_id)
    mine = ALL[rows[kept].seq or 0]
    rows[claim] = replace(rows[claim], place=Place.SILVER, imprints=("0" * 24,), reasons=())
    rows[kept] = replace(rows[kept], place=Place.QUARANTINE, imprints=(mine.payload_hash,), reasons=("id_conflict",))
    assert judged(rows).misfiled >= 2


@pytest.mark.parametrize("reasons", [(), ("out_of_range", "bad_number")])
def test_a_quarantine_row_without_its_reason_is_misfiled(reasons: tuple[str, ...]) -> None:
    rows = true_account()
    index = first(rows, Place.QUARANTINE)
    rows[index] = replace(rows[index], reasons=reasons)
    assert faults(judged(rows)) == {"misfiled": 1}


def test_a_suppressed_one_that_is_kept_is_misfiled() -> None:
    rows = true_account()
    index = first(rows, Place.SUPPRESSED)
    rows[index] = replace(rows[index], place=Place.SILVER)
    assert faults(judged(rows)) == {"misfiled": 1}


# ---- requests that were cut


@pytest.fixture
def cut() -> Tally:
    """The first message was sent twice: no answer, then one."""
    sent = all_acked()
    sent.attempted[SENT[0].seq] += 1
    sent.cut[SENT[0].seq] += 1
    return sent


def test_what_was_on_its_way_may_be_there_or_not(cut: Tally) -> None:
    rows = true_account()
    assert judged(rows, cut).is_clean
    place = Place.DUPLICATE if rows[0].place is Place.SILVER else rows[0].place
    found = judged([*rows, replace(rows[0], message_id="recovered", place=place)], cut)
    assert found.is_clean
    assert found.recovered == 1
    twice = [replace(rows[0], message_id=name, place=place) for name in ("r1", "r2")]
    assert faults(judged([*rows, *twice], cut)) == {"duplicated": 1}


def test_the_ledger_is_read_as_it_was_written(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "a.ledger")
    for seqs, word in [((1, 2), "refused"), ((1, 2), "cut"), ((1, 2), "ack"), ((3,), None)]:
        request = ledger.attempt(seqs)
        assert (tmp_path / "a.ledger").read_text().splitlines()[-1].startswith(f"attempt {request} ")
        if word:
            ledger.conclude(request, word)
    ledger.close()
    found = tally(tmp_path)
    assert found.attempted == {1: 3, 2: 3, 3: 1}
    assert found.acked == {1: 1, 2: 1}
    assert found.cut == {1: 1, 2: 1, 3: 1}
    assert found.requests == {"refused": 1, "cut": 2, "ack": 1}


def test_the_line_names_its_figures_in_order() -> None:
    names = " ".join(pair.partition("=")[0] for pair in str(Verdict()).split())
    assert names == (
        "attempted acked silver quarantine suppressed lost duplicated unexpected mutated misfiled recovered"
    )
