"""The definitions of a revision, or of a folder."""

import tempfile
from pathlib import Path

from jobs.core.definitions import SEGMENT_FOLDER, TRAIT_FOLDER
from jobs.core.revisions import texts_at
from jobs.core.settings import Settings
from jobs.segments.language.catalogue import load
from jobs.segments.language.model import Catalogue


def catalogue_of(settings: Settings, version: str) -> Catalogue:
    """The catalogue of a folder when there is one of the name, else of a revision (branch, tag, hash) of this checkout.

    Raises UsageError when it is neither, DefinitionError with every problem of its files.
    """
    if version and Path(version).is_dir():
        return load(Path(version))
    texts = texts_at(settings, version, [folder.as_posix() for folder in (SEGMENT_FOLDER, TRAIT_FOLDER)])
    with tempfile.TemporaryDirectory(prefix="c360-definitions-") as place:
        for name, text in texts.items():
            path = Path(place) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return load(Path(place))
