"""One REST pull in a process of its own: reads the definition as JSON, prints what the process touched, as JSON.

Started by the tests, so that it can be killed, and so that everything it opens is seen from its first import on.
"""

import json
import sys
from typing import Any

TOUCHED: dict[str, list[str]] = {"connected": [], "written": [], "started": []}


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Notes connections, files opened for writing, folders made and processes started."""
    if event == "socket.connect":
        TOUCHED["connected"].append(str(arguments[1]))
    elif event in ("os.mkdir", "os.rename", "sqlite3.connect"):
        TOUCHED["written"].append(str(arguments[0]))
    elif event in ("subprocess.Popen", "os.exec", "os.posix_spawn"):
        TOUCHED["started"].append(str(arguments[0]))
    elif event == "open" and isinstance(arguments[0], str):
        mode, flags = arguments[1], arguments[2]
        if (isinstance(mode, str) and set(mode) & set("wax+")) or (isinstance(flags, int) and flags & 3):
            TOUCHED["written"].append(arguments[0])


def main() -> None:
    """Pulls, then tells."""
    from jobs.core.context import Context
    from jobs.core.definitions import PullHeader
    from jobs.core.settings import load_settings, prepare_process
    from jobs.ingest.pulls.rest import pull_rest

    prepare_process()
    report = pull_rest(Context.from_settings(load_settings()), PullHeader.model_validate_json(sys.stdin.read()))
    modules = sorted({name.partition(".")[0] for name in sys.modules})
    sys.stdout.write(json.dumps(TOUCHED | {"landed": report.landed, "modules": modules}))


if __name__ == "__main__":
    sys.addaudithook(watch)
    main()
