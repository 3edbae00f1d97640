"""`c360 collector webhooks …`: which vendors may post, and by which secret."""

from pathlib import Path

import click

from jobs.core.command import HintingGroup, pass_context
from jobs.core.context import Context
from jobs.core.errors import UsageError


@click.group(cls=HintingGroup)
def webhooks() -> None:
    """E-mail vendors that post events: their secrets, one per vendor and source. No secret, no address.

    Vendors post to /v1/webhooks/VENDOR/SOURCE of the collector; a running collector notices changes at once. Behind a
    proxy set C360_COLLECTOR_PUBLIC_URL, for some vendors sign the address too.

    \b
    Examples:
      c360 collector webhooks set sendgrid sendgrid
      c360 collector webhooks set mailchimp mailchimp --generate
      c360 collector webhooks list
    """


@webhooks.command("set")
@click.argument("vendor")
@click.argument("source")
@click.option(
    "--file",
    "path",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="Read the secret from this file, `-` for standard input. [ask for it]",
)
@click.option("--generate", is_flag=True, help="Make one up, for a vendor that does not sign (mailchimp).")
@pass_context
def set_secret(context: Context, vendor: str, source: str, *, path: Path | None, generate: bool) -> None:
    """Keep the secret by which VENDOR proves itself when it posts events of SOURCE.

    sendgrid: the public verification key · hubspot: the app's client secret · customerio: the signing key · mailchimp:
    the last part of the address. It is never an argument, where other users of the machine would see it.

    \b
    Examples:
      c360 collector webhooks set sendgrid sendgrid --file verification_key.txt
      c360 collector webhooks set hubspot hubspot_email
      c360 collector webhooks set mailchimp mailchimp --generate
    """
    from jobs.ingest.webhooks.base import open_vendor
    from jobs.ingest.webhooks.secrets import new_token, write_secret

    door = open_vendor(vendor)
    if generate and (path is not None or not door.makes_secret):
        raise UsageError(f"--generate is for vendors that do not sign, without --file; {vendor} has {door.hint}")
    if generate:
        secret = new_token()
    elif path is not None:
        with click.open_file(str(path), "rb") as file:
            secret = file.read().strip()
    else:
        secret = str(click.prompt(f"{vendor}: {door.hint}", hide_input=True)).strip().encode()
    kept = write_secret(context.settings, vendor, source, secret)
    click.echo(f"kept in {kept}", err=True)
    address = f"/v1/webhooks/{vendor}/{source}"
    if generate:
        click.echo("the address for the vendor, shown this once:", err=True)
        address = f"{address}/{secret.decode('ascii')}"
    click.echo(address)


@webhooks.command("list")
@pass_context
def list_secrets(context: Context) -> None:
    """List which vendors may post to which source; the secrets are not shown.

    \b
    Examples:
      c360 collector webhooks list
    """
    from jobs.ingest.webhooks.secrets import list_secrets as kept

    for vendor, source in kept(context.settings):
        click.echo(f"{vendor}  {source}  /v1/webhooks/{vendor}/{source}")


@webhooks.command()
@click.argument("vendor")
@click.argument("source")
@pass_context
def remove(context: Context, vendor: str, source: str) -> None:
    """Forget the secret of VENDOR for SOURCE: its requests are refused from then on.

    \b
    Examples:
      c360 collector webhooks remove mailchimp mailchimp
    """
    from jobs.ingest.webhooks.secrets import remove_secret

    remove_secret(context.settings, vendor, source)
    click.echo(f"removed {vendor} of {source}")
