"""`c360 models …`: train, score, and look at what is registered."""

import click

from jobs.core.command import HintingGroup, pass_context
from jobs.core.context import Context
from jobs.core.errors import UsageError


@click.group(cls=HintingGroup)
def group() -> None:
    """Train, evaluate, promote and score the ML models.

    Two models: als_recommender (product types that a profile has not bought yet) and profile_clusters. Only profiles with
    profiling consent are learnt from; all others get the popular list. The weights of record linkage, learned by
    `c360 identity`, are registered beside them.

    \b
    Examples:
      c360 models train                      train what is missing or older than C360_RETRAIN_DAYS
      c360 models score                      write recommendations and clusters to the gold tables
      c360 models list                       every registered version, the champion marked
      c360 models show als_recommender       figures of the champion beside its baselines
      c360 models promote als_recommender 3  serve version 3 from the next scoring on
    """


@group.command()
@click.option(
    "--force", is_flag=True, help="Train although the champion is young. Equal data still makes no new version."
)
@pass_context
def train(context: Context, force: bool) -> None:
    """Train each model whose champion is missing or too old, judge it on the last four weeks, and register what is better.

    \b
    Examples:
      c360 models train            what the DAG train_models does
      c360 models train --force    do not wait for the champion to age
    """
    from contextlib import closing

    from jobs.lake.runs import stage
    from jobs.warehouse.reader import open_published
    from models.record_linkage import register_linkage
    from models.tracking import Registry
    from models.training import train_all

    with stage(context, "models.train") as st, closing(open_published(context.settings)) as connection:
        registry = Registry(context.settings)
        outcomes = train_all(context, connection, registry, force=force)
        linkage = register_linkage(context, registry)
        st.rows_out = sum(1 for outcome in outcomes if outcome.action == "registered")
        st.details = {o.model_name: {"action": o.action, "version": o.version, "message": o.message} for o in outcomes}
    for outcome in outcomes:
        click.echo(f"{outcome.model_name}: {outcome.action}, serving version {outcome.version}; {outcome.message}")
    if linkage:
        click.echo(f"record_linkage: weights {linkage.fingerprint} of `c360 identity` are version {linkage.version}")


@group.command()
@pass_context
def score(context: Context) -> None:
    """Write the champions' recommendations and clusters to the gold tables; unchanged content is left alone.

    \b
    Examples:
      c360 models score
    """
    from contextlib import closing

    from jobs.lake.runs import stage
    from jobs.warehouse.reader import open_published
    from models.scoring import score_all
    from models.tracking import Registry

    with stage(context, "models.score") as st, closing(open_published(context.settings)) as connection:
        written = score_all(context, connection, Registry(context.settings))
        st.rows_out = sum(w.rows for w in written)
        st.details = {w.table: {"version": w.version, "rows": w.rows, "changed": w.changed} for w in written}
    for w in written:
        state = "written" if w.changed else "unchanged"
        click.echo(
            f"{w.table}: {w.rows:,} rows {state}, {w.personal_profiles:,} profiles personal, {w.model_name} {w.version}"
        )


@group.command("list")
@pass_context
def list_models(context: Context) -> None:
    """List every registered version, newest first.

    \b
    Examples:
      c360 models list
    """
    from models.tracking import Registry

    registry = Registry(context.settings)
    names = registry.names()
    if not names:
        click.echo("no model is registered yet; run: c360 models train")
    for name in names:
        for v in registry.versions(name):
            mark = "champion" if v.is_champion else ""
            click.echo(
                f"{name:18} version {v.version:>3}  {v.trained_at:%Y-%m-%d %H:%M}  {mark:8}  {v.tags.get('verdict', '')}"
            )


@group.command()
@click.argument("name")
@click.option("--version", "number", help="A registered version. [default: the champion]")
@pass_context
def show(context: Context, name: str, number: str | None) -> None:
    """Show one version: where it came from, its parameters, and its figures beside the baselines'.

    \b
    Examples:
      c360 models show als_recommender
      c360 models show profile_clusters --version 2
    """
    from models.tracking import Registry

    registry = Registry(context.settings)
    versions = registry.versions(name)
    chosen = [v for v in versions if (v.version == number if number else v.is_champion)]
    if not chosen:
        known = ", ".join(registry.names()) or "none; run: c360 models train"
        raise UsageError(f"no version {number or 'champion'} of {name!r}; registered models: {known}")
    version = chosen[0]
    params, metrics = registry.run_facts(version)
    click.echo(f"{name} version {version.version}{' (champion)' if version.is_champion else ''}")
    facts = {
        **version.tags,
        **{f"param {k}": v for k, v in params.items()},
        **{k: f"{v:.4f}" for k, v in metrics.items()},
    }
    for key, value in sorted(facts.items()):
        click.echo(f"  {key:44} {value}")
    for file, digest in sorted(version.sha256.items()):
        click.echo(f"  file {file:39} sha256 {digest}")


@group.command()
@click.argument("name")
@click.argument("version")
@pass_context
def promote(context: Context, name: str, version: str) -> None:
    """Serve another registered version from the next scoring on. Promoting the old one again undoes it.

    \b
    Examples:
      c360 models promote als_recommender 3
    """
    from models.record_linkage import NAME
    from models.tracking import Registry

    if name == NAME:
        raise UsageError(
            "record linkage is served from the table identity_weights; learn anew with: c360 identity train"
        )
    Registry(context.settings).promote(name, version)
    click.echo(f"{name}: version {version} is the champion; write its answers with: c360 models score")
