"""`python -m jobs.orchestration.in_turn`: tests the DAGs named on standard input, a line each, one after the other.

What `airflow dags test` does, in one process for all of them: to import Airflow, and to build the API that its tasks speak
to, takes ten seconds, once per process. After each DAG a line on standard output says how it ended, see
`jobs.core.exits.ENDED`. Ends when its input does.
"""

import os
import runpy
import sys
import traceback

from jobs.core.exits import ENDED


def test_dag(dag_id: str) -> int:
    """The exit code that `airflow dags test` would have had."""
    sys.argv = ["airflow", "dags", "test", dag_id]
    try:
        runpy.run_module("airflow", run_name="__main__")
    except SystemExit as ended:
        if isinstance(ended.code, str):
            sys.stderr.write(ended.code + "\n")
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except Exception:  # as an uncaught error ends a process: what it was goes to the log, and the run stops
        traceback.print_exc()
        return 1
    return 0


def main() -> None:
    """Until the end of input."""
    names = os.fdopen(os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)  # a task that asks something gets no answer, and does not take a name for one
    for line in names:
        code = test_dag(line.strip())
        sys.stderr.flush()
        sys.stdout.write(f"{ENDED} {code}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
