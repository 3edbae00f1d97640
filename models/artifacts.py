"""Model files: Parquet and JSON in, nothing that could run code out. Whoever loads them knows their sha256 from elsewhere."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import feather

from jobs.core.errors import PermanentError
from jobs.core.hashing import hash_file

ALLOWED = (".parquet", ".arrow", ".json")
Content: TypeAlias = pa.Table | dict[str, Any]


class ArtifactError(PermanentError):
    """A model file is missing, changed, or of a kind that is never loaded."""


def write_files(folder: Path, files: Mapping[str, Content]) -> dict[str, str]:
    """Writes tables as Parquet and mappings as JSON; returns file name → sha256 hex digest."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name
        _require_allowed(path)
        if isinstance(content, pa.Table):
            pq.write_table(content, path)
        else:
            path.write_text(json.dumps(content, sort_keys=True, indent=1), encoding="utf-8")
    return {name: hash_file(folder / name) for name in sorted(files)}


def read_files(folder: Path, expected: Mapping[str, str]) -> dict[str, Content]:
    """Reads exactly the expected files; `expected` is file name → sha256.

    Everything is checked before anything is parsed. Raises ArtifactError for another file in the folder, a link, a
    suffix that is not .parquet, .arrow or .json, a missing file, or changed bytes.
    """
    if not folder.is_dir():
        raise ArtifactError(
            f"model files are gone: {folder.name}/ does not exist; train again: c360 models train --force"
        )
    paths = sorted(p for p in folder.rglob("*") if not p.is_dir() or p.is_symlink())
    for path in paths:
        _require_allowed(path)
    found = {str(p.relative_to(folder)): p for p in paths}
    if set(found) != set(expected):
        odd = ", ".join(sorted(set(found) ^ set(expected)))
        raise ArtifactError(
            f"refused: model files differ from what was registered ({odd}); train again or promote another version"
        )
    for name, path in found.items():
        if hash_file(path) != expected[name]:
            raise ArtifactError(
                f"refused: {name} has changed since it was registered; train again or promote another version"
            )
    return {name: _parse(path) for name, path in found.items()}


def _require_allowed(path: Path) -> None:
    if path.is_symlink() or path.suffix not in ALLOWED:
        raise ArtifactError(
            f"refused: {path.name} is not a plain {', '.join(ALLOWED)} file; models hold data, never code"
        )


def _parse(path: Path) -> Content:
    if path.suffix == ".parquet":
        return pq.read_table(path)
    if path.suffix == ".arrow":
        return feather.read_table(path)
    parsed = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(parsed, dict):
        raise ArtifactError(f"refused: {path.name} is not a JSON object")
    return parsed
