"""The definitions of a commit, or of a folder."""

import io
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jobs.core.errors import UsageError
from jobs.core.settings import Settings
from jobs.segments.language.catalogue import DEFINITIONS, load
from jobs.segments.language.model import Catalogue

REFERENCE = re.compile(r"^[A-Za-z0-9_@][A-Za-z0-9_@.^~{}/-]*$")


def catalogue_of(settings: Settings, version: str) -> Catalogue:
    """The catalogue of a folder when there is one of the name, else of a commit of the project's repository.

    Raises UsageError when it is neither, DefinitionError with every problem of its files.
    """
    if version and Path(version).is_dir():
        return load(Path(version))
    with _checked_out(settings, version) as folder:
        return load(folder)


@contextmanager
def _checked_out(settings: Settings, reference: str) -> Iterator[Path]:
    if not REFERENCE.match(reference):
        raise UsageError(
            f"{reference!r} is neither a folder nor a commit; expected a branch, a tag, a commit or a folder"
        )
    command = ["git", "-C", str(settings.project_root), "archive", "--format=tar", reference, "--", str(DEFINITIONS)]
    try:
        done = subprocess.run(command, env=settings.child_environment, capture_output=True, check=False)
    except FileNotFoundError:
        raise UsageError("git is not installed; name two folders of definitions instead") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise UsageError(f"no definitions of {reference!r}: {said[-1] if said else 'git does not know it'}")
    with tempfile.TemporaryDirectory(prefix="c360-definitions-") as place:
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
            archive.extractall(place, filter="data")
        yield Path(place)
