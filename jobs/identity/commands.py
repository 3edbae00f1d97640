"""`c360 identity …`: resolve identifiers to profiles, and say why two identifiers belong together."""

import json
from pathlib import Path

import click

from jobs.core.command import HintingGroup, pass_context
from jobs.core.context import Context
from jobs.identity.review_commands import review_group

approve = click.option(
    "--approve",
    type=click.IntRange(min=0),
    default=0,
    help="Let it merge and split so many profiles, by the number it named.",
)


@click.group(cls=HintingGroup)
def group() -> None:
    """Resolve identifiers to profiles, explain a profile.

    Identifiers seen in one event or record belong together; chains of them make a profile. Its id stays: new evidence
    may merge profiles, and then the oldest id lives on, the other redirects to it, and the ledger says why.
    What may link, and how far, stands in jobs/identity/rules.yml.

    \b
    Examples:
      c360 identity run                              after each ingest
      c360 identity explain p_4fd1c2a90b7e55d0a1b2c3d4
      c360 identity explain loyalty_id:1228
      c360 identity undo 3fa9c1d20b77
      c360 identity rebuild                          the map of identifiers anew from the ledger
      c360 identity review list                      records that may be one person
      c360 identity evaluate --records people.csv --entity-column cluster
    """


group.add_command(review_group)


@group.command("run")
@approve
@pass_context
def run_command(context: Context, approve: int) -> None:
    """Compare the records of people, resolve all identifiers; write profile_identifiers, profile_redirects, the ledger.

    Running it again on the same events changes nothing. A run that would merge or split more than 1 % of the profiles
    (settings identity_changes_share, identity_changes) writes nothing and ends with exit code 3.

    \b
    Examples:
      c360 identity run
      c360 identity run --approve 340      after the run has said that it would change 340
    """
    from jobs.identity.runner import match, run
    from jobs.lake.locks import identity_lock
    from jobs.lake.runs import stage

    with identity_lock(context.settings), stage(context, "identity.run") as current:
        matched = match(context)
        current.details |= {"person_records": matched.records, "matched_pairs": matched.linked}
        figures = run(context, current, approved=approve, matched=matched.table)
    if matched.records:
        weights = "weights newly learned" if matched.has_trained else "weights as learned before"
        click.echo(
            f"{matched.records:,} records of people: {matched.linked:,} pairs linked, {matched.left_open:,} left open "
            f"({weights}); see: c360 identity review list"
        )
    click.echo(
        "{identifiers:,} identifiers in {profiles:,} profiles: {creates:,} created, {merges:,} merged, "
        "{splits:,} split; {shared_identifiers:,} shared identifiers stand alone ({links_cut:,} links cut)".format(
            **figures
        )
    )


@group.command()
@click.argument("subject", metavar="PROFILE_ID|[TYPE:]IDENTIFIER")
@click.option(
    "--limit", type=click.IntRange(min=1), default=25, show_default=True, help="Most links and ledger entries to print."
)
@pass_context
def explain(context: Context, subject: str, limit: int) -> None:
    """Print what a profile is made of: identifiers, the links between them, the events that prove them, its history.

    E-mail and phone are shown as tokens.

    \b
    Examples:
      c360 identity explain p_4fd1c2a90b7e55d0a1b2c3d4
      c360 identity explain user_id:U-1228
    """
    from jobs.identity.explain import explain_lines

    for line in explain_lines(context.settings, subject, limit):
        click.echo(line)


@group.command("undo")
@click.argument("merge_id")
@approve
@pass_context
def undo_command(context: Context, merge_id: str, approve: int) -> None:
    """Undo a merge: its two profiles are two again under their old ids, and nothing joins them any more.

    MERGE_ID is what `c360 identity explain` prints beside the merge, or its beginning. Identifiers go back to the side that they
    were on before the merge; the marts follow with the next run of the DAG build_profiles, recommendations and clusters with the
    next of score_profiles.

    \b
    Examples:
      c360 identity explain p_4fd1c2a90b7e55d0a1b2c3d4
      c360 identity undo 3fa9c1d20b77
    """
    from jobs.identity.undo import undo
    from jobs.lake.locks import identity_lock
    from jobs.lake.runs import stage

    with identity_lock(context.settings), stage(context, "identity.undo") as current:
        done = undo(context, current, merge_id, approved=approve)
    click.echo(f"the two sides of the merge are apart, and stay apart: {done.kept_id} and {done.parted_id}")
    for profile_id, now in ((done.kept_id, done.kept_now), (done.parted_id, done.parted_now)):
        if now != profile_id:
            click.echo(f"{profile_id} is part of {now} on other grounds: c360 identity explain {now}")


@group.command()
@approve
@pass_context
def rebuild(context: Context, approve: int) -> None:
    """Make profile_identifiers and profile_redirects anew from the ledger and silver: the same ids, the same map.

    For a map that was lost or damaged; events that came since are resolved as by `run`.

    \b
    Examples:
      c360 identity rebuild
    """
    from jobs.identity.runner import run
    from jobs.lake.locks import identity_lock
    from jobs.lake.runs import stage

    with identity_lock(context.settings), stage(context, "identity.rebuild") as current:
        figures = run(context, current, approved=approve, from_ledger=True, command="c360 identity rebuild")
    click.echo("{identifiers:,} identifiers in {profiles:,} profiles; {creates:,} created".format(**figures))


@group.command("train")
@pass_context
def train_command(context: Context) -> None:
    """Learn anew how much an agreement of two records says: table identity_weights.

    `run` does so once by itself and then keeps to it, so that the same records are judged the same tomorrow. New weights may
    link and part people at the next run, within what its guard allows.

    \b
    Examples:
      c360 identity train
    """
    from jobs.identity.runner import learn
    from jobs.lake.locks import identity_lock
    from jobs.lake.runs import stage

    with identity_lock(context.settings), stage(context, "identity.train") as current:
        weights, is_new = learn(context)
        current.details |= {"model_version": weights.version, "is_new": is_new}
    click.echo(f"weights {weights.version}: {'new' if is_new else 'as before'}, {', '.join(weights.levels)}")


@group.command()
@click.option("--records", type=click.Path(path_type=Path), required=True, help="CSV or Parquet, a record a row.")
@click.option("--entity-column", required=True, help="Column that says who a record is of: the truth.")
@click.option("--entity-pattern", default="", metavar="REGEX", help="Which part of it does; its first group, or all.")
@click.option(
    "--map",
    "mapping",
    default="",
    metavar="OURS=THEIRS,…",
    help="Columns that have another name than ours in the file.",
)
@click.option(
    "--label-pairs",
    type=click.Path(path_type=Path),
    help="Pairs that a person has judged: X_l, X_r, clerical_match_score.",
)
@click.option("--link", type=click.FloatRange(0, 1, min_open=True, max_open=True), help="Another threshold of linking.")
@click.option("--json", "as_json", is_flag=True, help="Figures as one JSON object.")
@pass_context
def evaluate(
    context: Context,
    *,
    records: Path,
    entity_column: str,
    entity_pattern: str,
    mapping: str,
    label_pairs: Path | None,
    link: float | None,
    as_json: bool,
) -> None:
    """Link the records of a file whose truth is known, and print how well: exact rules and probabilities, apart.

    Ours: given_name, surname, birth_date, email, phone, address, city, postcode, state, national_id. Columns that the file
    has under these names need no --map; two are enough. How records are compared stands in jobs/identity/linkage/linkage.yml.

    \b
    Examples:
      c360 identity evaluate --records people.csv --entity-column cluster --map given_name=first_name,birth_date=dob
      c360 identity evaluate --records febrl.csv --entity-column rec_id --entity-pattern 'rec-(\\d+)' --json
    """
    from jobs.identity.linkage.evaluate import Request
    from jobs.identity.linkage.evaluate import evaluate as evaluated
    from jobs.identity.linkage.report import lines

    request = Request(records, entity_column, pairs_of(mapping), entity_pattern, label_pairs, link)
    found = evaluated(context.settings, request)
    if as_json:
        click.echo(json.dumps(found.as_dict()))
        return
    for line in lines(found):
        click.echo(line)


def pairs_of(mapping: str) -> dict[str, str]:
    """`a=b,c=d` as a mapping; raises click.BadParameter."""
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in mapping.split(","))):
        ours, equals, theirs = part.partition("=")
        if not equals or not ours.strip() or not theirs.strip():
            raise click.BadParameter(f"{part!r} is not OURS=THEIRS", param_hint="--map")
        found[ours.strip()] = theirs.strip()
    return found
