"""The dbt project as parsed by a build before: parsing costs more than a quarter of what dbt takes, and gives the same each time.

dbt leaves what it has parsed in its target folder, but takes it up again only when every variable is as it was, and `as_of`
never is. What a project parses to depends on its files, the target and what `Parsing.key` names; the other variables
(`variables` in dbt.py) are read when a model is compiled, but for where a source is, which `with_sources` says anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# One per process and key: a process that builds twice (a backfill, the tests) does not read the file again.
_known: dict[str, bytes] = {}
MOST_KNOWN = 4


@dataclass(frozen=True)
class Parsing:
    """What a project was parsed for, and where dbt leaves that."""

    key: str
    target: Path

    @property
    def file(self) -> Path:
        """Written by dbt whenever it has parsed."""
        return self.target / "partial_parse.msgpack"

    @property
    def mark(self) -> Path:
        """Holds the key of `file`."""
        return self.target / "parsed_for"

    def manifest(self, root: str, pins: Mapping[str, str]) -> Any | None:
        """As dbt has it in memory, a new one each time (dbt writes into it while it works); None when it must parse."""
        held = _known.get(self.key)
        if held is None and self._is_marked():
            held = self.file.read_bytes()
        if held is None:
            self.mark.unlink(missing_ok=True)  # until dbt has parsed
            return None
        _keep(self.key, held)
        return with_sources(_read(held), root, pins)

    def done(self) -> None:
        """dbt has parsed, and left what it made."""
        if self.key in _known or not self.file.exists():
            return
        _keep(self.key, self.file.read_bytes())
        self.mark.write_text(self.key, encoding="utf-8")

    def _is_marked(self) -> bool:
        return self.file.exists() and self.mark.exists() and self.mark.read_text(encoding="utf-8") == self.key


def with_sources(manifest: Any, root: str, pins: Mapping[str, str]) -> Any:
    """The manifest with sources below this root, in these versions: what sources.yml says with variables."""
    for source in manifest.sources.values():
        said = {"lake_root": root, "pin": pins.get(source.name, "")}
        source.meta.update(said)
        source.config.meta.update(said)
    return manifest


def _read(held: bytes) -> Any:
    from dbt.contracts.graph.manifest import Manifest
    from dbt.parser.manifest import extended_mashumuro_decoder

    return Manifest.from_msgpack(held, decoder=extended_mashumuro_decoder)


def _keep(key: str, held: bytes) -> None:
    _known.pop(key, None)
    _known[key] = held
    while len(_known) > MOST_KNOWN:
        del _known[next(iter(_known))]
