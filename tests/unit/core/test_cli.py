"""The command line as a person meets it: help of every area, hints on a typo, exit codes."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from jobs.cli import AREAS, cli


def c360(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Runs the real entry point in a process of its own."""
    command = [sys.executable, "-m", "jobs.cli", "--home", str(home), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("area", AREAS)
def test_every_area_has_help(area: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["--home", str(tmp_path), area, "--help"])
    assert result.exit_code == 0, result.output
    assert result.output.startswith("Usage:")
    assert "Examples:" in result.output


def test_a_wrong_command_exits_2_with_a_hint(tmp_path: Path) -> None:
    done = c360("lake", "tabels", home=tmp_path)
    assert done.returncode == 2
    assert "Did you mean 'tables'?" in done.stderr
    done = c360("ingets", home=tmp_path)
    assert done.returncode == 2
    assert "Did you mean 'ingest'?" in done.stderr


def test_an_expected_error_is_one_line_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "settings.yml").write_text("nonsense: 1\n")
    done = c360("lake", "tables", home=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("c360: ")
    assert len(done.stderr.strip().splitlines()) == 1


def test_root_help_imports_no_engine() -> None:
    program = (
        "import sys; from click.testing import CliRunner; from jobs.cli import cli;"
        "CliRunner().invoke(cli, ['--help']);"
        "print(sorted({'pyspark','airflow','mlflow','dbt','great_expectations','pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
