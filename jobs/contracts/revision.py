"""The contracts as they stood at a git revision of this checkout."""

import subprocess

from expectations.contracts.sets import FOLDERS, ContractSet, from_texts
from jobs.core.errors import UsageError
from jobs.core.settings import Settings

FOLDER = "expectations/contracts"


def read_revision(settings: Settings, revision: str) -> ContractSet:
    """Events and sources at `revision` (branch, tag, hash). Raises UsageError when git does not know it."""
    commit = _git(settings, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}").strip()
    paths = [f"{FOLDER}/{name}" for name in FOLDERS]
    names = _git(settings, "ls-tree", "-z", "--name-only", commit, *[f"{path}/" for path in paths]).split("\0")
    files = [name for name in names if name.endswith(".yml")]
    if not files:
        raise UsageError(f"revision {revision!r} has no contracts in {FOLDER}; name a later one")
    return from_texts((f"{revision}:{name}", _git(settings, "show", f"{commit}:{name}")) for name in files)


def _git(settings: Settings, *arguments: str) -> str:
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
        raise UsageError("git is not installed; compare folders instead: c360 contracts check OLD NEW") from error
    if done.returncode:
        problem = done.stderr.strip().splitlines()
        raise UsageError(f"git {arguments[0]} failed: {problem[0] if problem else 'no such revision here'}")
    return done.stdout
