"""A stand-in for the c360 command, for tests of what calls it."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STUB = """#!{python}
import json, os, pathlib, sys, time
home = pathlib.Path(os.environ["C360_HOME"])
with (home / "calls.jsonl").open("a") as out:
    out.write(json.dumps({{"arguments": sys.argv[1:], "environment": dict(os.environ), "cwd": os.getcwd()}}) + "\\n")
print("12:00:00 INFO    jobs.stub  " + " ".join(sys.argv[1:]), file=sys.stderr, flush=True)
codes = home / "exit_codes.json"
sys.exit(json.loads(codes.read_text()).get(" ".join(sys.argv[1:]), 0) if codes.exists() else 0)
"""


@dataclass(frozen=True)
class Stub:
    """Stands in for the c360 command: notes how it was called, ends as it was told."""

    home: Path
    executable: Path

    def set_exit_codes(self, codes: dict[str, int]) -> None:
        """Arguments, joined by blanks, to exit code; all others end with 0."""
        (self.home / "exit_codes.json").write_text(json.dumps(codes))

    @property
    def calls(self) -> list[dict[str, Any]]:
        """Arguments, environment and working directory of each call, in order."""
        file = self.home / "calls.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    @property
    def commands(self) -> list[str]:
        """The calls' arguments, joined by blanks."""
        return [" ".join(call["arguments"]) for call in self.calls]


def make_stub(home: Path) -> Stub:
    """A stub below `home`, which becomes C360_HOME of whoever calls it."""
    home.mkdir(parents=True, exist_ok=True)
    executable = home / "fake-c360"
    executable.write_text(STUB.format(python=sys.executable))
    executable.chmod(0o755)
    return Stub(home, executable)
