"""The summary as text for people: short tables, plain sentences, what to do next."""

from collections.abc import Iterable

from jobs.pipeline.summary import TARGET, Row, Summary, dag_of

RULE = "─" * 78
MIB = 2**20


def render(summary: Summary) -> str:
    """All sections that have something to say, one blank line between them."""
    sections = [
        _stages(summary.stages),
        render_balance(summary.balance),
        _quarantine(summary),
        _profiles(summary),
        _sizes("segments", "members", [(r["segment_name"], r["members"]) for r in summary.segments]),
        _sizes("clusters", "profiles", [(r["cluster_name"], r["profiles"]) for r in summary.clusters]),
        _models(summary),
        _example(summary.example),
        _next(summary),
    ]
    return "\n" + "\n\n".join("\n".join(lines) for lines in sections if lines)


def number(value: object) -> str:
    """Thousands separated; a dash for what was not counted."""
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def _title(text: str) -> str:
    return f"{text.upper()} {RULE[len(text) + 1 :]}"


def _stages(stages: list[Row]) -> list[str]:
    if not stages:
        return ["nothing has run yet: c360 run"]
    lines = [
        _title("stages"),
        f"{'dag':<24} {'stage':<20} {'rows in':>11} {'rows out':>11} {'seconds':>8} {'peak MiB':>9}  status",
    ]
    for row in stages:
        lines.append(
            f"{dag_of(str(row['run_id'])):<24} {row['stage']:<20} {number(row['rows_in']):>11} "
            f"{number(row['rows_out']):>11} {row['seconds']:>8.1f} {row['peak_memory_bytes'] / MIB:>9,.0f}  {row['status']}"
        )
    largest = max(stages, key=lambda r: r["peak_memory_bytes"])
    total = sum(r["seconds"] for r in stages)
    memory = largest["peak_memory_bytes"] / MIB
    lines.append(f"{total:,.1f} s in all stages; largest process {memory:,.0f} MiB, in {largest['stage']}")
    return lines


def render_balance(balance: list[Row]) -> list[str]:
    """One line per source, their sum, and whether every message is accounted for."""
    if not balance:
        return []
    columns = ("received", "accepted", "duplicate", "quarantined", "suppressed", "in_flight")
    lines = [_title("balance"), f"{'source':<20}" + "".join(f"{name:>12}" for name in columns)]
    for row in balance:
        doubled = f" ({number(row['doubled'])} doubled)" if row.get("doubled") else ""
        mark = "" if row["is_balanced"] else f"  OFF{doubled}"
        hour = f"  {row['received_hour']:%Y-%m-%d %H}h" if "received_hour" in row else ""
        lines.append(f"{row['source']:<20}" + "".join(f"{number(row[name]):>12}" for name in columns) + hour + mark)
    lines.append(f"{'all':<20}" + "".join(f"{number(sum(r[name] for r in balance)):>12}" for name in columns))
    wrong = [str(r["source"]) for r in balance if not r["is_balanced"]]
    lines.append(f"the balance is OFF for {', '.join(wrong)}" if wrong else "every message is accounted for")
    return lines


def _quarantine(summary: Summary) -> list[str]:
    lines = [f"{r['source']:<20} {r['reason_code']:<40} {number(r['messages']):>11}" for r in summary.quarantine]
    lines += [f"refused file {r['source']}/{r['file_name']}: {r['reason']}" for r in summary.refused_files]
    return [_title("set aside, by reason"), *lines] if lines else []


def _profiles(summary: Summary) -> list[str]:
    if not summary.profiles:
        return []
    p, o = summary.profiles, summary.orders
    return [
        _title("profiles"),
        f"{number(p['profiles'])} profiles: {number(p['buyers'])} with purchases that are not simulated, "
        f"{number(p['simulated_only'])} known from simulated data alone",
        f"{number(p['with_marketing_consent'])} with marketing consent, {number(p['suppressed'])} suppressed",
        f"{number(o['order_lines'])} order lines that are not simulated, in {number(o['orders'])} orders, "
        f"sales value {o['sales_value']}",
    ]


def _sizes(title: str, unit: str, sizes: Iterable[tuple[object, object]]) -> list[str]:
    lines = [f"{name!s:<60} {number(size):>11} {unit}" for name, size in sizes]
    return [_title(title), *lines] if lines else []


def _models(summary: Summary) -> list[str]:
    if not summary.metrics:
        return []
    figures: dict[tuple[str, str], dict[str, float]] = {}
    for row in summary.metrics:
        figures.setdefault((row["model_name"], row["metric"]), {})[row["baseline"]] = row["value"]
    lines = [_title("ml models")]
    for (model, metric), values in figures.items():
        others = ", ".join(f"{name} {value:.4f}" for name, value in sorted(values.items()) if name != "model")
        own = f"{values['model']:.4f}" if "model" in values else "-"
        lines.append(f"{model:<18} {metric:<28} {own:>10}" + (f"   ({others})" if others else ""))
    lines += [verdict(values) for (_, metric), values in figures.items() if metric == TARGET]
    if summary.served:
        served = ", ".join(f"{r['tier']} {number(r['profiles'])}" for r in summary.served)
        lines.append(f"profiles served, by kind of list: {served}")
    return lines


def verdict(values: dict[str, float]) -> str:
    """The plain sentence about the recommender, from the figures of its target metric by baseline."""
    if not {"model", "popularity"} <= values.keys():
        return f"{TARGET} was not measured beside popularity"
    model, popular = values["model"], values["popularity"]
    change = f" ({model / popular - 1:+.1%})" if popular else ""
    if model > popular:
        return f"ALS beats popularity on {TARGET}: {model:.4f} against {popular:.4f}{change}"
    return f"ALS does NOT beat popularity on {TARGET}: {model:.4f} against {popular:.4f}{change}; popularity is served"


def _example(example: Row) -> list[str]:
    if not example:
        return []
    lines = [
        _title("one profile"),
        f"{example['profile_id']}: {example['lifecycle_stage']}, {example['rfm_segment']}, "
        f"{number(example['order_count'])} orders worth {example['lifetime_value']}, mostly {example['favourite_department']}",
        "bought most:  " + ", ".join(f"{r['product_type']} ({r['times']}x)" for r in example["bought_most"]),
    ]
    if example["recommended"]:
        items = ", ".join(f"{r['rank']}. {r['item_id']}" for r in example["recommended"])
        lines.append(f"recommended:  {items}  ({example['recommended'][0]['tier']})")
    return lines


def _next(summary: Summary) -> list[str]:
    return [
        _title("where to look, what to try"),
        f"warehouse   {summary.warehouse_file}  (DuckDB; replaced whole, open it read-only)",
        'query       c360 warehouse sql "select * from marts.kpi_daily order by kpi_date desc limit 5"',
        "profile     c360 identity explain PROFILE_ID",
        "set aside   c360 ops landing · c360 ops balance",
        "airflow     make airflow, then trigger ingest_events",
        *_your_data(summary),
    ]


def _your_data(summary: Summary) -> list[str]:
    if not summary.has_sample:
        return [f"your data   put files into {summary.home}/landing/<source>/ and run again; see CONTRIBUTING.md"]
    return [
        "your data   put files into landing/<source>/ of a fresh C360_HOME; see CONTRIBUTING.md",
        f"            ({summary.home} holds the sample and runs on the sample's clock)",
    ]
