"""Files of this checkout as they stood at a git revision."""

import subprocess
from collections.abc import Iterable

from jobs.core.errors import UsageError
from jobs.core.settings import Settings


def texts_at(settings: Settings, revision: str, folders: Iterable[str], suffix: str = ".yml") -> dict[str, str]:
    """Path below the project → text, of the files of that ending right inside the folders at `revision` (branch, tag, hash).

    Raises UsageError when git is not there or does not know it, and when none of the folders has such a file.
    """
    wanted = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    unknown = f"no revision {revision!r} in this checkout; name a branch, a tag or a commit"
    commit = _git(settings, *wanted, otherwise=unknown).strip()
    listed = [f"{folder}/" for folder in folders]
    names = _git(settings, "ls-tree", "-z", "--name-only", commit, *listed).split("\0")
    found = {name: _git(settings, "show", f"{commit}:./{name}") for name in names if name.endswith(suffix)}
    if not found:
        raise UsageError(f"revision {revision!r} has nothing in {', '.join(listed)}; name a later one")
    return found


def _git(settings: Settings, *arguments: str, otherwise: str = "git failed and does not say why") -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(settings.project_root), *arguments],  # noqa: S607 - the git of the PATH
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=60,
            check=False,
            env=settings.child_environment,
        )
    except OSError as error:
        raise UsageError("git is not installed; compare two folders instead") from error
    if done.returncode:
        problem = done.stderr.strip().splitlines()
        raise UsageError(f"git {arguments[0]} failed: {problem[0]}" if problem else otherwise)
    return done.stdout
