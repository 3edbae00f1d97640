"""The fencing epoch: a number that grows with every writer. Whoever is no longer the newest may not commit.

The kernel lock alone keeps writers apart where it works. It does not on a network disk without locks, nor when somebody
has removed the lock's file under a writer that stands still: then two hold "the" lock, and the epoch says which one counts.
"""

import os
from dataclasses import dataclass

from jobs.core.errors import RetryableError
from jobs.core.failpoints import Sabotage, sabotaged
from jobs.core.files import sync
from jobs.core.settings import Settings
from jobs.warehouse.paths import epoch_folder
from jobs.warehouse.sidecar import read_sidecar

KEPT = 16  # files of past epochs; the newest alone counts


@dataclass(frozen=True)
class Fence:
    """One writer's turn. `epoch` is written into the build that it makes and into the sidecar of what it publishes."""

    settings: Settings
    epoch: int

    def check(self) -> None:
        """Raises RetryableError when another writer has taken over since; called right before each commit."""
        newest = newest_epoch(self.settings)
        if newest > self.epoch and not sabotaged(self.settings, Sabotage.IGNORE_EPOCH):
            raise RetryableError(
                f"another writer of the warehouse has taken over (epoch {newest}, this one has {self.epoch}); "
                "nothing was published by this one; look at that one's outcome before you run it again"
            )


def newest_epoch(settings: Settings) -> int:
    """The highest number taken so far; that of the published file counts too, should the folder have been lost."""
    folder = epoch_folder(settings)
    taken = [int(path.name) for path in folder.iterdir() if path.name.isdigit()] if folder.exists() else []
    published = read_sidecar(settings)
    return max([0, *taken, *([published.epoch] if published else [])])


def take_epoch(settings: Settings) -> Fence:
    """The next number, for good. Making a file that must not exist is atomic also on disks that know no locks."""
    folder = epoch_folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        number = newest_epoch(settings) + 1
        try:
            os.close(os.open(folder / str(number), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:  # another writer was faster
            continue
        sync(folder)
        for path in folder.iterdir():
            if path.name.isdigit() and int(path.name) <= number - KEPT:
                path.unlink(missing_ok=True)
        return Fence(settings, number)
