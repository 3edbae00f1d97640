"""Makes the output of `airflow dags test` readable: the lines of c360 itself, without Airflow's frame around them."""

import re

# A line of a task's command, as Airflow logs it: time, [level], the line, then the logger and the place.
TASK_LINE = re.compile(r"^\S+ \[\w+\s*\] (?P<text>.*?)\s*\[airflow\.task\.hooks\.[\w.]*SubprocessHook\] loc=\S+$")
TASK_START = re.compile(r"\[DAG TEST\] starting task_id=(?P<task>\w+)")
WAITING = "No tasks to run. unrunnable tasks:"
# What c360 says by itself: a log line of ours, an error in one line.
PROGRESS = re.compile(r"^\d\d:\d\d:\d\d (INFO|WARNING|ERROR|CRITICAL)\s+(jobs|models|expectations)\b|^c360: ")
FRAME = ("Tmp dir root location:", "Running command:", "Output:", "Command exited with return code")


def task_started(line: str) -> str | None:
    """Name of the task that this line says has begun."""
    found = TASK_START.search(line)
    return found["task"] if found else None


def is_waiting(line: str) -> bool:
    """Whether Airflow says that no task is running and none can be started."""
    return WAITING in line


def task_text(line: str) -> str | None:
    """The line that a task's command printed, or None for Airflow's own talk."""
    found = TASK_LINE.match(line)
    if found is None or found["text"].startswith(FRAME):
        return None
    return found["text"]


def is_progress(text: str) -> bool:
    """Whether the line is worth showing while all goes well."""
    return PROGRESS.match(text) is not None
