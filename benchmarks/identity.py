"""Identity under load and under attack: components beside a bare scipy call, scenario C, two hundred merges and fifty undos.

    make bench-identity                                 all parts, some minutes
    make bench-identity PART=components                 0.76 million links
    make bench-identity PART=scenario EVENTS=1000000    planted attacks against the truth
    make bench-identity PART=undo                       the marts of two worlds, one with merges that were undone
    make bench-identity PART=sample                     the identity step on the lake of C360_HOME, after `c360 run`
    make bench-identity PART=records FILES=FOLDER       linkage of public files with known truth, held to its floors

The first three are all parts; their input is simulated (`tests/scenario_c.py`, `tests/undo_worlds.py`), seeds are printed.
Ratios travel between machines, seconds do not. Exit code 1 when a limit is missed.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow as pa
import undo_worlds
from identity_figures import Verdicts, fail_on, figures, timed
from scenario_c import make_world
from scenario_c_score import examine
from warehousekit import build_contents, built

from jobs.core.catalog import lake_table
from jobs.core.context import Context
from jobs.core.settings import Settings, load_settings
from jobs.identity import aliases, edges, runner
from jobs.identity.components import Components, resolve
from jobs.identity.linkage.evaluate import Request, evaluate
from jobs.identity.linkage.matching import Matched
from jobs.identity.rules import load_rules
from jobs.lake import delta
from jobs.lake.duck import lake_connection
from jobs.lake.runs import Stage

NOW = datetime(2018, 1, 2, tzinfo=UTC)
ROUNDS = 7
LIMIT_BARE, LIMIT_DELTA, LIMIT_SECONDS = 2.0, 10.0, 30.0
FEBRL = {"birth_date": "date_of_birth", "national_id": "soc_sec_id", "city": "suburb", "address": "address_1"}
# File → entity column, pattern, ours → theirs, least F1: Splink's fake_1000, FEBRL 1 and FEBRL 2.
FILES: dict[str, tuple[str, str, dict[str, str], float]] = {
    "fake_1000.csv": ("cluster", "", {"given_name": "first_name", "birth_date": "dob"}, 0.94),
    "dataset1.csv": ("rec_id", r"rec-(\d+)", FEBRL, 0.97),
    "dataset2.csv": ("rec_id", r"rec-(\d+)", FEBRL, 0.97),
}
Ints = np.ndarray[Any, np.dtype[np.int64]]


@contextmanager
def a_home(**options: Any) -> Iterator[Settings]:
    """An empty home, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="c360-bench-") as folder:
        yield load_settings(home=folder, now=NOW, **options)


def simulated_sightings(links: int, seed: int) -> pa.Table:
    """Rows of silver_identifiers: events of two identifiers, an account's and an address's or a browser's, each pair once."""
    draw = np.random.default_rng(seed)
    people = links // 3
    who = np.concatenate([np.arange(people), draw.integers(0, people, links - people)])
    place = draw.permutation(links)  # addresses and browsers come in any order
    other = [f"email_v1_{n:064x}" if n < people else f"browser-{n:032x}" for n in place.tolist()]
    kinds = ["email" if n < people else "anonymous_id" for n in place.tolist()]
    at = pa.array(1_483_228_800_000_000 + draw.integers(0, 31_536_000_000_000, links)).cast(
        pa.timestamp("us", tz="UTC")
    )
    same = {
        "source": pa.repeat("sim_bench", links), "event_id": pa.array([f"e{n}" for n in range(links)]),
        "effective_at": at, "received_at": at, "receive_position": pa.array(np.arange(links)),
        "is_simulated": pa.array(np.ones(links, dtype=np.bool_)),
        "event_date": at.cast(pa.timestamp("us")).cast(pa.date32()), "ingest_batch": pa.repeat("bench", links),
    }  # fmt: skip
    accounts = {
        "identifier_type": pa.repeat("user_id", links),
        "identifier_value": [f"u{n}" for n in who[place].tolist()],
    }
    others = {"identifier_type": pa.array(kinds), "identifier_value": pa.array(other)}
    return pa.concat_tables([pa.table(same | accounts), pa.table(same | others)])


def from_delta_to_delta(settings: Settings, target: Path) -> int:
    """What a run does of it: sightings by their tokens → nodes, links and components (`runner.read_graph`), and identifier and
    component in a Delta table; how many components."""
    from deltalake import write_deltalake

    graph = runner.read_graph(settings, load_rules())
    columns = {
        "identifier_type": pa.array(graph.nodes.types),
        "identifier_value": pa.array(graph.nodes.values),
        "component": pa.array(graph.components.label),
    }
    made, no_statistics = pa.table(columns), {"delta.dataSkippingNumIndexedCols": "0"}  # on texts, as the lake's tables
    write_deltalake(
        str(target), made, mode="overwrite", configuration=no_statistics, writer_properties=delta.writing(made.schema)
    )
    return graph.components.count


def bare(nodes: int, a: Ints, b: Ints) -> Ints:
    """What scipy itself costs."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    graph = coo_matrix((np.ones(len(a), dtype=np.bool_), (a, b)), shape=(nodes, nodes))
    label: Ints = connected_components(graph, directed=False)[1]
    return label


@click.group(invoke_without_command=True)
@click.pass_context
def bench(context: click.Context) -> None:
    """Measures identity; without a command, the parts whose input is simulated."""
    context.obj = verdicts = Verdicts()
    context.call_on_close(lambda: fail_on(verdicts))
    if context.invoked_subcommand is None:
        for part in (components, scenario, undo):
            context.invoke(part)


@bench.command()
@click.option("--links", default=760_000, show_default=True)
@click.option("--seed", default=20180102, show_default=True)
@click.pass_obj
def components(verdicts: Verdicts, links: int, seed: int) -> None:
    """Components beside the bare scipy call on the same integer links; the best of several rounds, in turns."""
    with a_home() as settings:
        delta.append(settings, "silver_identifiers", simulated_sightings(links, seed))
        delta.ensure_table(settings, aliases.TABLE)
        connection = lake_connection(settings, ("silver_identifiers",))
        nodes, found = edges.read_nodes(connection, load_rules()), edges.read_edges(connection)
        connection.close()
        limits, count = load_rules().limits, len(nodes)
        click.echo(f"components: {len(found):,} links between {count:,} simulated identifiers, seed {seed}")
        whole: Components = resolve(nodes, found, limits)
        target = settings.home / "components"
        arrival = np.random.default_rng(seed).permutation(len(found))
        a, b = found.a[arrival], found.b[arrival]
        works: dict[str, Callable[[], Any]] = {
            "bare scipy call, links sorted": lambda: bare(count, found.a, found.b),
            "bare scipy call, links as events bring them": lambda: bare(count, a, b),
            "components with limits": lambda: resolve(nodes, found, limits),
            "tokens in Delta to components in Delta": lambda: from_delta_to_delta(settings, target),
        }
        best = dict.fromkeys(works, (float("inf"), float("inf")))
        for _ in range(ROUNDS):
            for name, work in works.items():
                cpu, wall, made = timed(work)
                if isinstance(made, int) and made != whole.count:
                    raise SystemExit(f"{made:,} components instead of {whole.count:,}; the ratio means nothing")
                best[name] = min(best[name][0], cpu), min(best[name][1], wall)
        for name, (cpu, wall) in best.items():
            figures(name, cpu, wall)
        tidy, base, within, through = (cpu for cpu, _ in best.values())
        click.echo(
            f"  with limits {within / tidy:.1f} times the bare call's CPU (sorted), "
            + verdicts.at_most("components with limits", within / tidy, LIMIT_BARE)
        )
        click.echo(
            f"  Delta to Delta {through / base:.1f} times (as events bring them), "
            + verdicts.at_most("Delta to Delta", through / base, LIMIT_DELTA)
        )
        cpu, wall, _ = timed(lambda: runner.run(Context.from_settings(settings), Stage("identity.run")))
        figures("all of c360 identity run, the first", cpu, wall)


@bench.command()
@click.option("--events", default=1_000_000, show_default=True)
@click.option("--seed", default=20180102, show_default=True)
@click.pass_obj
def scenario(verdicts: Verdicts, events: int, seed: int) -> None:
    """Scenario C: what the planted attacks come to, and that no profile is over a limit."""
    world = make_world(events, seed)
    click.echo(f"scenario C: {events:,} simulated events of {world.people:,} people, seed {seed}")
    with a_home() as settings:
        delta.append(settings, "silver_identifiers", world.sightings)
        for name in ("first run", "a run that changes nothing"):
            cpu, wall, _ = timed(lambda: runner.run(Context.from_settings(settings), Stage("identity.run")))
            figures(name, cpu, wall)
        findings = examine(settings, world)
    for line in findings.lines():
        click.echo(f"  {line}")
    click.echo(f"  profiles over a limit, {verdicts.at_most('profiles over a limit', findings.over_limit, 0)}")


@bench.command()
@click.pass_obj
def sample(verdicts: Verdicts) -> None:
    """The identity step on the lake of C360_HOME: what it reads is copied to a home of its own, where it runs for the first
    time and once more. Seconds on the clock, for the limit is what a person waits."""
    there = load_settings()
    if not (lake_table("silver_identifiers").path(there) / "_delta_log").exists():
        raise SystemExit(f"{there.home} holds no silver_identifiers; run: c360 run, or name a home by C360_HOME")
    with tempfile.TemporaryDirectory(prefix="c360-bench-") as folder:
        home = Path(folder)
        kept = [lake_table(name).path(there) for name in ("silver_identifiers", aliases.TABLE)]
        for path in (*kept, there.home / "vault", there.home / "keys"):
            if path.exists():
                shutil.copytree(path, home / path.relative_to(there.home))
        settings = load_settings(home=folder, now=there.now)
        delta.ensure_table(settings, aliases.TABLE)
        rows = delta.row_count(settings, "silver_identifiers")
        click.echo(f"sample: {rows:,} rows of silver_identifiers in {there.home}")
        for name in ("first run", "a run that changes nothing"):
            cpu, wall, (matched, made) = timed(lambda: identity_step(settings))
            figures(name, cpu, wall)
            click.echo(f"  {name}, seconds on the clock, {verdicts.at_most(name, wall, LIMIT_SECONDS)}")
        click.echo(
            f"  {matched.records:,} records of people, {made['identifiers']:,} identifiers, {made['profiles']:,} profiles"
        )


def identity_step(settings: Settings) -> tuple[Matched, dict[str, int]]:
    """What `c360 identity run` does."""
    context = Context.from_settings(settings)
    matched = runner.match(context)
    return matched, runner.run(context, Stage("identity.run"), matched=matched.table)


@bench.command()
@click.option("--files", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True)
@click.pass_obj
def records(verdicts: Verdicts, files: Path) -> None:
    """Pairwise F1 of linkage, after clustering, on files whose truth is known; each has a floor."""
    for name, (entity, pattern, columns, floor) in FILES.items():
        with a_home() as settings:
            found = evaluate(settings, Request(files / name, entity, columns, pattern))
        exact, likely = (found.methods[method]["pairwise"] for method in ("deterministic", "probabilistic"))
        clusters = found.methods["probabilistic"]["cluster"]["f1"]
        click.echo(
            f"  {name:14} {found.records:,} records: exact rules F1 {exact['f1']:.4f}; probabilities precision "
            f"{likely['precision']:.4f}, recall {likely['recall']:.4f}, clusters F1 {clusters:.4f}, F1 {likely['f1']:.4f}, "
            + verdicts.at_least(name, likely["f1"], floor)
        )


@bench.command()
@click.option("--undone", default=50, show_default=True)
@click.option("--seed", default=20180102, show_default=True)
def undo(undone: int, seed: int) -> None:
    """200 merges, some undone: every mart, segment and activation table equals that of a world in which those never happened."""
    with a_home(identity_changes=1_000) as first, a_home(identity_changes=1_000) as second:
        merges = undo_worlds.with_undoing(first, seed, undone)
        undo_worlds.without_them(second, first, seed)
        click.echo(f"undo: {len(merges)} simulated merges, {undone} undone, seed {seed}")
        contents = []
        for settings in (first, second):
            built(settings)
            contents.append(build_contents(settings))
        maps = [delta.read(settings, "profile_identifiers") for settings in (first, second)]
        same = [name for name, content in contents[0].items() if contents[1].get(name) == content]
        profiles = len(set(maps[0]["profile_id"].to_pylist()))
    click.echo(
        f"  {profiles} profiles; maps equal: {maps[0].equals(maps[1])}; {len(same)} of {len(contents[0])} tables equal"
    )
    if len(same) != len(contents[0]) or not maps[0].equals(maps[1]):
        raise SystemExit(f"different: {sorted(set(contents[0]) - set(same))}")


if __name__ == "__main__":
    bench()
