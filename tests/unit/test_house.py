"""The shape of the house: file and function sizes, one door per concern, no leftovers."""

import ast
from pathlib import Path

import pytest

from jobs.core.settings import PROJECT_ROOT

MAX_FUNCTION_LINES = 40
MAX_FILE_LINES = 300
PACKAGES = ("jobs", "models", "expectations", "dags")
SOURCES = sorted(path for name in PACKAGES for path in (PROJECT_ROOT / name).rglob("*.py"))


def code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function from `def` to its end, its docstring left out: prose is not complexity."""
    end = node.end_lineno or node.lineno
    docstring = node.body[0] if ast.get_docstring(node) is not None else None
    prose = (docstring.end_lineno or 0) - docstring.lineno + 1 if docstring is not None else 0
    return end - node.lineno + 1 - prose


def too_long(text: str) -> list[str]:
    """Names of the functions of a module that are longer than allowed."""
    functions = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [f"{f.name} ({code_lines(f)})" for f in functions if code_lines(f) > MAX_FUNCTION_LINES]


def test_there_are_sources_to_judge() -> None:
    assert len(SOURCES) > 40


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PROJECT_ROOT)))
def test_sizes(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_FILE_LINES
    assert too_long(text) == []


def test_a_long_function_is_found() -> None:
    body = "\n".join(f"    x{i} = {i}" for i in range(MAX_FUNCTION_LINES))
    assert too_long(f"def f():\n{body}\n") == [f"f ({MAX_FUNCTION_LINES + 1})"]


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PROJECT_ROOT)))
def test_no_shell_and_no_frames_pulled_into_the_driver(path: Path) -> None:
    """`shell=True` never; `toPandas`/`collect()` only in the models, where the data is one matrix."""
    text = path.read_text(encoding="utf-8")
    assert "shell=True" not in text
    if path.relative_to(PROJECT_ROOT).parts[0] != "models":
        assert ".toPandas(" not in text
        assert ".collect()" not in text
