"""End of a window: no table carries a token of the replaced key any more, and the key is gone.

What a crash interrupts, the next `retire` does to the end. The order is what makes it safe: tables first, then a look that
must find nothing, then vault and aliases (which could be needed until that look), then the key, then the record.
"""

import logging
from dataclasses import dataclass, replace

from jobs.core.context import Context
from jobs.core.errors import PermanentError, UsageError
from jobs.core.failpoints import Failpoint, fail_at
from jobs.core.settings import Settings
from jobs.core.token_lock import tokens_changing
from jobs.lake.delta import ensure_all
from jobs.lake.locks import maintenance_lock
from jobs.privacy import persons, vault
from jobs.privacy.aliases import kind_of, read_aliases, write_aliases
from jobs.privacy.audit import audit
from jobs.privacy.key_files import remove_key
from jobs.privacy.keys import TokenKey, load_token_key
from jobs.privacy.registry import KeyRow, Purpose, Registry, State
from jobs.privacy.rewrite import old_tokens, rewrite, unknown_tokens
from jobs.privacy.tokens import token_of_normalised

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Retired:
    """The key as it is recorded now, the rows rewritten by table, and how many tokens were unknown to the vault."""

    key: KeyRow
    rewritten: dict[str, int]
    unknown: int


def retire_tokens(context: Context, *, early: bool = False, rekey_unknown: bool = False) -> Retired:
    """Ends the window of the last rotation. `early` does so before its day; with `rekey_unknown`, tokens that the vault does
    not know are replaced by tokens made of themselves: their rows stay joined, new messages do not join them.

    Raises UsageError when there is no window or it is still open, PermanentError when unknown tokens are found or an
    interrupted replay waits, RetryableError while a run or maintenance is at work.
    """
    settings = context.settings
    with tokens_changing(settings), maintenance_lock(settings):  # compaction would meet our commits
        ensure_all(settings)
        registry = Registry(settings)
        old = _ending(context, registry, early=early)
        if any((settings.home / "replay").glob("open-*")):
            raise PermanentError("an interrupted replay holds old tokens; finish it first: c360 ingest run")
        unknown = _name_unknown(settings, old, load_token_key(settings), rekey=rekey_unknown)
        _step(settings)
        changed = rewrite(settings, old.key_version, read_aliases(settings), lambda: _step(settings))
        if left := old_tokens(settings, old.key_version):
            raise PermanentError(f"old tokens are left in {left}; the key stays: run c360 privacy keys retire again")
        _forget(context, old)
        old = replace(old, state=State.RETIRED, retired_at=context.clock.now())
        registry.change([old])
        return Retired(old, changed, unknown)


def _step(settings: Settings) -> None:
    fail_at(settings, Failpoint.AFTER_RETIREMENT_STEP)


def _ending(context: Context, registry: Registry, *, early: bool) -> KeyRow:
    found = registry.of(Purpose.TOKENS, State.WINDOW)
    if not found:
        raise UsageError("no key waits for its retirement; see: c360 privacy keys list")
    ends = found[0].window_ends_at
    if ends and context.clock.now() < ends and not early:
        raise UsageError(
            f"the window of {found[0].key_name} is open until {ends:%Y-%m-%d %H:%M} UTC; wait, or end it now with --early"
        )
    return found[0]


def _name_unknown(settings: Settings, old: KeyRow, key: TokenKey, *, rekey: bool) -> int:
    """Sees to it that every old token has an alias; returns how many had none."""
    found = unknown_tokens(settings, old.key_version)
    tokens = {token for names in found.values() for token in names}
    if tokens and not rekey:
        counts = ", ".join(f"{table}: {len(names)}" for table, names in found.items())
        raise PermanentError(
            f"the vault does not know {len(tokens)} tokens of {old.key_name} ({counts}); restore the vault, or go on with "
            "--rekey-unknown: their rows stay joined with each other, but not with new messages"
        )
    if tokens:
        made = {token: token_of_normalised(kind_of(token), token, key) for token in tokens}
        write_aliases(settings, read_aliases(settings) | made)
    return len(tokens)


def _forget(context: Context, old: KeyRow) -> None:
    """Vault entries, aliases and the key file, in this order; each removal may be repeated."""
    settings = context.settings
    with vault.open_vault(settings) as connection:
        audit(context, "keys:retire", key=old.key_name)
        persons.rename(connection, vault.cipher_of(settings, connection), read_aliases(settings))
        connection.execute("delete from identifiers where token glob ?", (f"*_v{old.key_version}_*",))
    _step(settings)
    write_aliases(settings, {})
    _step(settings)
    remove_key(settings, old.key_name)
    _step(settings)
