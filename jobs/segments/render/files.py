"""The generated files as a whole: rendered, compared with the committed ones, written."""

from collections.abc import Mapping
from pathlib import Path

from jobs.segments.language.model import Catalogue
from jobs.segments.render.macros import macros
from jobs.segments.render.models import INTERMEDIATE, SEGMENTS, models
from jobs.segments.render.schema import schemas

GENERATED = ((SEGMENTS, "seg_*.sql"), (INTERMEDIATE, "int_segments__*.sql"))


def render(catalogue: Catalogue) -> dict[Path, str]:
    """Path below the project → content, for every generated file."""
    return models(catalogue) | macros(catalogue) | schemas(catalogue)


def drift(project_root: Path, files: Mapping[Path, str]) -> list[Path]:
    """Generated files that are missing or differ from `files`, and models whose definition is gone; sorted."""
    wrong = [path for path, text in files.items() if _read(project_root / path) != text]
    return sorted(wrong + stale(project_root, files))


def stale(project_root: Path, files: Mapping[Path, str]) -> list[Path]:
    """Models of which nothing is defined any more."""
    there = (
        path.relative_to(project_root) for folder, name in GENERATED for path in (project_root / folder).glob(name)
    )
    return sorted(path for path in there if path not in files)


def write(project_root: Path, files: Mapping[Path, str]) -> list[Path]:
    """Makes the committed files equal to `files`; returns those that were changed or removed."""
    differing = drift(project_root, files)
    for path in differing:
        if path in files:
            (project_root / path).parent.mkdir(parents=True, exist_ok=True)
            (project_root / path).write_text(files[path], encoding="utf-8")
        else:
            (project_root / path).unlink()
    return differing


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None
