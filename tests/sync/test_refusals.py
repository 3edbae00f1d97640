"""Whom a refusal in the lake reaches: profiles of the map, and provisional ones that a build may have shown."""

import pytest
from synckit import NOW, lake_rows, token

from jobs.core.profile_ids import founded_profile_id
from jobs.core.settings import Settings
from jobs.sync.consent import refused_since

OLD, NEW, OTHER = (token(n) for n in range(3))


def founded(*tokens: str) -> set[str]:
    """What a build may have called these e-mails: the id that each founds, and the next where that is taken."""
    return {founded_profile_id("email", value, attempt) for value in tokens for attempt in (0, 1)}


def refused(settings: Settings) -> set[str]:
    return refused_since(settings, ["marketing"], now=NOW)


def test_a_refusal_reaches_the_provisional_profile_that_the_build_has_seen(settings: Settings) -> None:
    """Of an identifier that no run has seen yet, and of one that a run has given to another profile since."""
    lake_rows(settings, "profile_identifiers", *({"profile_id": "p_q", "identifier_value": token(n)} for n in (0, 1)))
    lake_rows(settings, "consents", *({"identifier_value": token(n), "status": "denied"} for n in (0, 2)))
    assert refused(settings) == {"p_q", *founded(*(token(n) for n in (0, 1, 2)))}


@pytest.mark.parametrize("said", [OLD, NEW], ids=["old", "new"])
@pytest.mark.parametrize("table", ["consents", "suppressions"])
def test_a_refusal_under_one_token_reaches_what_was_founded_on_the_other(
    settings: Settings, table: str, said: str
) -> None:
    """A build before `keys rotate` founded the profile on the old token, one after it on the new one."""
    lake_rows(settings, "ops_token_aliases", {"old_token": OLD, "new_token": NEW})
    lake_rows(settings, table, {"identifier_value": said, "status": "denied"})
    assert refused(settings) == founded(OLD, NEW)


@pytest.mark.parametrize(("said", "known"), [(OLD, NEW), (NEW, OLD)], ids=["old", "new"])
@pytest.mark.parametrize("table", ["consents", "suppressions"])
def test_a_refusal_under_one_token_reaches_the_profile_that_is_known_by_the_other(
    settings: Settings, table: str, said: str, known: str
) -> None:
    lake_rows(settings, "ops_token_aliases", {"old_token": OLD, "new_token": NEW})
    lake_rows(settings, "profile_identifiers", *({"profile_id": "p_q", "identifier_value": v} for v in (known, OTHER)))
    lake_rows(settings, table, {"identifier_value": said, "status": "denied"})
    assert refused(settings) == {"p_q", *founded(OLD, NEW, OTHER)}


def test_the_other_token_of_an_identifier_beside_a_refused_one_counts_too(settings: Settings) -> None:
    lake_rows(settings, "ops_token_aliases", {"old_token": OLD, "new_token": NEW})
    lake_rows(settings, "profile_identifiers", *({"profile_id": "p_q", "identifier_value": v} for v in (NEW, OTHER)))
    lake_rows(settings, "consents", {"identifier_value": OTHER, "status": "denied"})
    assert refused(settings) == {"p_q", *founded(OLD, NEW, OTHER)}
