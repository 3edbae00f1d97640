"""How the commands of DAG tasks ended, kept beside the logs: Airflow reports only success or failure of a run."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from jobs.core.settings import Settings

ENDED = "c360-dag-ended"  # begins the line, with the exit code behind it, that tells the end of a DAG that was tested


@dataclass(frozen=True)
class TaskExit:
    """One try of one task: `exit_code` is that of its command, negative for the signal that ended it."""

    dag_id: str
    task_id: str
    run_id: str
    try_number: int
    exit_code: int


def exits_file(settings: Settings) -> Path:
    """One JSON line per finished command, in the order they ended."""
    return settings.home / "logs" / "task_exits.jsonl"


def record_exit(settings: Settings, finished: TaskExit) -> None:
    """Appends one line; a single short write, so that tasks that end together do not mix."""
    file = exits_file(settings)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as out:
        out.write(json.dumps(asdict(finished)) + "\n")


def recorded_exits(settings: Settings) -> list[TaskExit]:
    """All finished commands, oldest first; empty when none ran yet."""
    file = exits_file(settings)
    if not file.exists():
        return []
    return [TaskExit(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]
