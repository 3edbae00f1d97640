"""Where exports go: a folder, or a prefix of a bucket. Both know builds by their manifest and the current one by a pointer."""

import fcntl
import io
import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from jobs.core.errors import PermanentError, RetryableError, UsageError
from jobs.core.files import sync, write_durably
from jobs.core.settings import Settings
from jobs.transport.s3 import ObjectStore, StoredObject

log = logging.getLogger(__name__)
MANIFEST = "manifest.json"
POINTER = "current.json"
NOT_OURS = "the export there holds a JSON file that is not ours or damaged; move it away"


class Place(Protocol):
    """What an export needs of where it goes."""

    def manifest(self, build: str) -> dict[str, Any] | None:
        """That of a build that is there whole; None otherwise."""

    def require_no_newer(self, epoch: int) -> None:
        """Raises RetryableError when the pointer is at a build that was published later."""

    def take(self, build: str, folder: Path) -> None:
        """Copies what is in the folder, the manifest last."""

    def point_to(self, build: str, epoch: int) -> None:
        """Moves the pointer, in one step, unless it has got ahead."""


def place_of(settings: Settings, to: str, *, keep: int, client: Any = None) -> Place:
    """The place that `--to` names; raises UsageError when it is a URL of another kind. `keep` is for folders only."""
    if to.startswith("s3://"):
        bucket, _, prefix = to.removeprefix("s3://").partition("/")
        if not bucket:
            raise UsageError("--to s3://BUCKET/PREFIX names no bucket")
        return Bucket(ObjectStore(settings, client), bucket, prefix.strip("/"))
    if "://" in to:
        raise UsageError("--to takes a folder or s3://BUCKET/PREFIX")
    return Folder(Path(to).expanduser().resolve(), keep)


class Folder:
    """Below one folder; keeps as many builds as it is told, the current one among them. Exports at the same time wait for each
    other by a kernel lock on the folder; where the disk knows none, the last one to move the pointer wins."""

    def __init__(self, root: Path, keep: int) -> None:
        self._root, self._keep = root, keep

    def manifest(self, build: str) -> dict[str, Any] | None:
        return _json(self._text(f"{build}/{MANIFEST}"))

    def require_no_newer(self, epoch: int) -> None:
        _require_no_newer(_json(self._text(POINTER)), epoch)

    def take(self, build: str, folder: Path) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        with self._alone():
            if self.manifest(build) is not None:
                return  # another export has brought it meanwhile
            draft = self._root / f".{build}.partial"
            shutil.rmtree(draft, ignore_errors=True)
            shutil.copytree(folder, draft)
            for path in (*draft.iterdir(), draft):
                sync(path)
            target = self._root / build
            shutil.rmtree(target, ignore_errors=True)  # without a manifest: not an export of ours that anybody reads
            draft.replace(target)
            sync(self._root)

    def point_to(self, build: str, epoch: int) -> None:
        with self._alone():
            self.require_no_newer(epoch)
            write_durably(self._root / POINTER, _pointer(build, epoch), mode=0o644)
            self._prune(build)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        handle = os.open(self._root, os.O_RDONLY)
        try:
            with suppress(OSError):  # a disk without locks
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _prune(self, current: str) -> None:
        """Only what an export has written; the pointer has moved, so that nothing here may end the command."""
        others = {path.parent: _epoch(path) for path in self._root.glob(f"*/{MANIFEST}") if path.parent.name != current}
        ours = sorted(
            (folder for folder, epoch in others.items() if epoch is not None), key=lambda f: -(others[f] or 0)
        )
        for folder in ours[max(self._keep - 1, 0) :]:
            try:
                shutil.rmtree(folder)
            except OSError as error:
                log.warning("export: the old build %s stays: %s", folder, error)

    def _text(self, name: str) -> str | None:
        file = self._root / name
        return file.read_text(encoding="utf-8") if file.is_file() else None


class Bucket:
    """Below one prefix; deletes nothing, old builds are for a rule of the bucket."""

    def __init__(self, store: ObjectStore, bucket: str, prefix: str) -> None:
        self._store, self._bucket, self._prefix = store, bucket, prefix

    def manifest(self, build: str) -> dict[str, Any] | None:
        return _json(self._text(f"{build}/{MANIFEST}"))

    def require_no_newer(self, epoch: int) -> None:
        _require_no_newer(_json(self._text(POINTER)), epoch)

    def take(self, build: str, folder: Path) -> None:
        names = sorted(path.name for path in folder.iterdir() if path.name != MANIFEST)
        for name in (*names, MANIFEST):
            with (folder / name).open("rb") as content:
                self._store.put(self._bucket, self._key(f"{build}/{name}"), content)

    def point_to(self, build: str, epoch: int) -> None:
        held = self._stored(POINTER)
        _require_no_newer(_json(self._content(held) if held else None), epoch)
        content = _pointer(build, epoch).encode()
        self._store.put_unless_changed(self._bucket, self._key(POINTER), content, etag=held.etag if held else None)

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name

    def _text(self, name: str) -> str | None:
        stored = self._stored(name)
        return self._content(stored) if stored else None

    def _stored(self, name: str) -> StoredObject | None:
        key = self._key(name)
        there = self._store.list(self._bucket, key, all_versions=False)
        return next((stored for stored in there if stored.key == key), None)

    def _content(self, stored: StoredObject) -> str:
        out = io.BytesIO()
        for _ in self._store.fetch(stored, out):
            continue
        return out.getvalue().decode()


def _pointer(build: str, epoch: int) -> str:
    return json.dumps({"build_id": build, "epoch": epoch, "manifest": f"{build}/{MANIFEST}"}, indent=2) + "\n"


def _epoch(manifest: Path) -> int | None:
    """Of the build whose folder this is; None when no export has written it, whatever else it is."""
    if manifest.parent.is_symlink():
        return None
    try:
        said = json.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(said, dict) or said.get("build_id") != manifest.parent.name or "warehouse_sha256" not in said:
        return None
    epoch = said.get("epoch")
    return epoch if isinstance(epoch, int) else None


def _json(text: str | None) -> dict[str, Any] | None:
    try:
        said = json.loads(text) if text is not None else {}
    except ValueError as error:
        raise PermanentError(NOT_OURS) from error
    if not isinstance(said, dict):
        raise PermanentError(NOT_OURS)
    return said if text is not None else None


def _require_no_newer(pointer: dict[str, Any] | None, epoch: int) -> None:
    if pointer is None:
        return
    build, found = pointer.get("build_id"), pointer.get("epoch")
    if not isinstance(build, str) or not isinstance(found, int):
        raise PermanentError(NOT_OURS)
    if found > epoch:
        raise RetryableError(f"build {build} was exported meanwhile, which was published later; nothing is left to do")
