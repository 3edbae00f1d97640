"""The contracts as they stood at a git revision of this checkout."""

from expectations.contracts.sets import FOLDERS, ContractSet, from_texts
from jobs.core.revisions import texts_at
from jobs.core.settings import Settings

FOLDER = "expectations/contracts"


def read_revision(settings: Settings, revision: str) -> ContractSet:
    """Events and sources at `revision` (branch, tag, hash). Raises UsageError when git does not know it."""
    texts = texts_at(settings, revision, [f"{FOLDER}/{name}" for name in FOLDERS])
    return from_texts((f"{revision}:{name}", text) for name, text in texts.items())
