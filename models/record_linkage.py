"""The weights of record linkage in the registry: what `identity_weights` holds is a version, so that a change of who is linked
can be traced to what was learned when."""

import pyarrow as pa

from jobs.core.context import Context
from jobs.lake import delta
from models.base import Metric
from models.tracking import Candidate, Registered, Registry

NAME = "record_linkage"
TABLE = "identity_weights"
FIGURES = ("m_probability", "u_probability", "match_weight")


def register_linkage(context: Context, registry: Registry) -> Registered | None:
    """Registers and promotes the weights in force, once; None where nothing was learned yet."""
    table = delta.read(context.settings, TABLE)
    if not table.num_rows:
        return None
    candidate = candidate_of(table)
    known = registry.with_fingerprint(NAME, candidate.fingerprint)
    if known is None:
        known = registry.register(candidate, registry.record(candidate))
    if not known.is_champion:
        registry.promote(NAME, known.version)
    return registry.champion(NAME)


def candidate_of(table: pa.Table) -> Candidate:
    """A run of MLflow: a metric per column, degree of agreement and figure; the table itself as its file."""
    rows = table.sort_by([("column_name", "ascending"), ("level", "ascending")]).to_pylist()
    first = rows[0]
    metrics = [
        Metric(_key(f"{row['column_name']}_{row['level']}_{figure}"), "model", float(row[figure]))
        for row in rows
        for figure in FIGURES
        if row[figure] is not None
    ]
    kept = table.select([name for name in table.column_names if name != "trained_at"])
    columns = sorted({row["column_name"] for row in rows})
    params = {"records": first["records"], "columns": ", ".join(columns), "is_simulated": first["is_simulated"]}
    return Candidate(
        NAME,
        str(first["model_version"]),
        first["trained_at"],
        params,
        metrics,
        {"weights.parquet": kept},
    )


def _key(text: str) -> str:
    """MLflow takes letters, digits and a few signs."""
    return "".join(letter if letter.isalnum() or letter in "_-./" else "_" for letter in text).strip("_")
