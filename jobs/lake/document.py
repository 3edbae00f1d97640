"""Writes `docs/data.md` from the contracts, so that the page cannot drift from what the tables promise."""

from collections.abc import Iterable

from expectations import contracts
from jobs.core.catalog import TABLES
from jobs.core.settings import Settings

HEADER = """# Data: every table, its grain and its columns

This page is generated from `expectations/contracts` by `c360 lake document`; `make lint` refuses it when it has drifted.
Times are UTC. `is_simulated` (or a source named `sim_*`) tells invented rows from those of the data package, everywhere.
The `ops_*` tables are excepted: they tell of runs, files and figures, not of people or goods.

The lake holds Delta tables below `C360_HOME/lake`, the warehouse DuckDB tables in `C360_HOME/warehouse/c360.duckdb`.
Columns marked `yes` are never NULL. Keys are unique.
"""
RAW_PII = ", raw PII: closed folder, kept `retention_days`"


def render() -> str:
    """The whole page: lake tables in the order of the catalog, then the public marts."""
    parts = [HEADER, "\n## Lake\n"]
    for name, table in TABLES.items():
        where = f"`lake/{table.folder}`" + (RAW_PII if table.raw_pii else "")
        parts.append(_section(name, where, table.contract))
    parts.append("\n## Warehouse: public marts\n")
    parts += [_section(f"marts.{name}", "schema `marts`", contract) for name, contract in contracts.marts().items()]
    return "".join(parts)


def _section(title: str, where: str, contract: contracts.TableContract) -> str:
    head = f"\n### {title}\n\n{contract.grain} Key: {', '.join(f'`{name}`' for name in contract.key)}. In {where}.\n"
    return head + "\n| column | type | never NULL | meaning |\n|---|---|---|---|\n" + "".join(_rows(contract.columns))


def _rows(columns: Iterable[contracts.Column]) -> Iterable[str]:
    for column in columns:
        allowed = f" One of: {', '.join(column.allowed)}." if column.allowed else ""
        identifies = "; identifies a person" if column.identifies else ""
        meaning = (column.description + identifies + allowed).replace("|", "\\|")
        yield f"| {column.name} | {column.type} | {'yes' if column.required else ''} | {meaning} |\n"


def write_page(settings: Settings, *, check: bool) -> bool:
    """Writes the page, or with `check` only compares; returns whether the page on disk was already right."""
    page = settings.project_root / "docs" / "data.md"
    text = render()
    same = page.exists() and page.read_text(encoding="utf-8") == text
    if not check and not same:
        page.write_text(text, encoding="utf-8")
    return same
