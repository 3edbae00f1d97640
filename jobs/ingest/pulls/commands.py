"""`c360 ingest pull …`: fetch into landing/ what others keep."""

from collections.abc import Callable

import click

from jobs.core.command import HintingGroup, pass_context
from jobs.core.context import Context
from jobs.core.errors import RetryableError
from jobs.ingest.pulls.report import PullReport


@click.group(cls=HintingGroup)
def pull() -> None:
    """Fetch into landing/ what others keep: new objects of an S3 prefix, changed records of a REST source.

    A pull only lands files; `c360 ingest run` loads them. Each can be run again at any time, and by a schedule in its YAML
    (jobs/ingest/pulls/<name>.yml).

    \b
    Examples:
      c360 ingest pull list
      c360 ingest pull s3 pos --bucket exports --prefix pos/
      c360 ingest pull rest hubspot_contacts
    """


@pull.command("list")
@pass_context
def list_pulls(context: Context) -> None:
    """List the pulls: from where, into which source, when, and what they have fetched so far.

    \b
    Examples:
      c360 ingest pull list
    """
    from jobs.core.definitions import load_pulls
    from jobs.ingest.pulls.ledger import open_ledger

    with open_ledger(context.settings) as ledger:
        for header in load_pulls(context.settings.project_root).values():
            files, last = ledger.last_of(header.source if header.kind == "s3" else header.name)
            when = header.schedule or "by hand"
            click.echo(
                f"{header.name}: {header.kind} -> {header.source}, {when}, {files} files, last {last or 'never'}"
            )


@pull.command()
@click.argument("name", metavar="SOURCE")
@click.option("--bucket", help="Bucket; without it, SOURCE is the name of a pull with a YAML.")
@click.option("--prefix", default="", help="Only objects whose key begins so.")
@click.option("--all-versions", is_flag=True, help="Also what was overwritten since, where the bucket keeps versions.")
@pass_context
def s3(context: Context, name: str, bucket: str | None, prefix: str, all_versions: bool) -> int:
    """Fetch the objects of a prefix that were not fetched before, each exactly once.

    An object is known by bucket, key, etag, version and size, never by a date. Exit code 4 says that some object could not
    be taken (vanished since it was listed, archived, too large); the others are in.

    Credentials come from boto3's own chain, or from C360_S3_CREDENTIALS_FILE.

    \b
    Examples:
      c360 ingest pull s3 pos --bucket exports --prefix pos/2024/
      c360 ingest pull s3 nightly_exports          (jobs/ingest/pulls/nightly_exports.yml)
    """
    from jobs.ingest.pulls.options import S3Options, find_pull, s3_options, typed_options
    from jobs.ingest.pulls.s3 import pull_objects

    if bucket is None:
        if prefix or all_versions:
            raise click.UsageError("--prefix and --all-versions need --bucket; a pull with a YAML says them there")
        header = find_pull(context.settings, name, "s3")
        source, options = header.source, s3_options(header)
    else:
        given = {"bucket": bucket, "prefix": prefix, "all_versions": all_versions}
        source, options = name, typed_options(f"pull s3 {name}", given, S3Options)
    return _run(context, name, lambda: pull_objects(context, source, options))


@pull.command()
@click.argument("name")
@click.option("--since", help="Begin here instead of where the last run ended, e.g. 2024-01-01T00:00:00Z.")
@pass_context
def rest(context: Context, name: str, since: str | None) -> int:
    """Fetch the records that changed since the last run, as jobs/ingest/pulls/NAME.yml says.

    A crash repeats records and loses none; repeats are dropped when they are loaded. The secret is a file that only you
    can read: C360_HOME/secrets/<secret>, mode 0600.

    \b
    Examples:
      c360 ingest pull rest hubspot_contacts
      c360 ingest pull rest hubspot_contacts --since 2024-01-01T00:00:00Z
    """
    from jobs.ingest.pulls.options import find_pull
    from jobs.ingest.pulls.rest import pull_rest

    header = find_pull(context.settings, name, "rest")
    return _run(context, name, lambda: pull_rest(context, header, since=since))


def _run(context: Context, name: str, work: Callable[[], PullReport]) -> int:
    from jobs.lake.runs import stage

    with stage(context, f"ingest.pull_{name}") as current:
        try:
            report = work()
        except OSError as error:
            raise RetryableError(
                f"pull {name}: {error.strerror or error}; what is in landing/ counts, run it again"
            ) from error
        current.rows_in, current.rows_out = report.received, report.landed
        current.details = report.details
        current.status = "refused_input" if report.problems else "ok"
    click.echo(report.line)
    return int(report.exit_code)
