"""A reader that stays: it opens the published file anew when another build has taken its place."""

from types import TracebackType

import duckdb

from jobs.core.settings import Settings
from jobs.warehouse.reader import open_published


class PublishedReader:
    """For services and loops. One per process: DuckDB hands all connections of a process to one path the same open file,
    so that a second one would go on seeing the old build, and keep the first one at it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._seen: tuple[int, int] | None = None

    def connection(self) -> duckdb.DuckDBPyConnection:
        """A connection to the build that is published now; raises PermanentError when there is none.

        The one of before is closed when the build has changed: take rows before you ask again. What is read between two
        calls is of one build.
        """
        now = self._identity()
        if self._connection is None or now != self._seen:
            self.close()
            self._connection = open_published(
                self._settings
            )  # looked at before it is opened: at worst opened once too often
            self._seen = now
        return self._connection

    def close(self) -> None:
        """Safe to call twice."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._seen = None

    def __enter__(self) -> "PublishedReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _identity(self) -> tuple[int, int] | None:
        """Device and inode. While the old file is held open, no new one can get its number."""
        try:
            found = self._settings.warehouse_file.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino
