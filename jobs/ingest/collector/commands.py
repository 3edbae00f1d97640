"""`c360 collector …`: the HTTP door for events, and the keys to it."""

import click

from jobs.core.command import HintingGroup, pass_context
from jobs.core.context import Context
from jobs.ingest.webhooks.commands import webhooks


@click.group(cls=HintingGroup)
def group() -> None:
    """HTTP door for events: the Segment API, answered when the messages are on disk.

    \b
    Examples:
      c360 collector keys create web --kind browser --origin https://shop.example.com
      c360 collector keys create pos
      c360 collector serve
    """


group.add_command(webhooks)


@group.command()
@click.option("--port", type=click.IntRange(0, 65535), help="Port; 0 takes a free one. [C360_COLLECTOR_PORT, 8090]")
@click.option("--host", help="Address to bind to. [C360_COLLECTOR_HOST, 127.0.0.1]")
@click.option("--insecure-i-know", is_flag=True, help="Serve other machines without TLS, with a warning every minute.")
@pass_context
def serve(context: Context, port: int | None, host: str | None, insecure_i_know: bool) -> None:
    """Serve the collector until Ctrl-C or SIGTERM; then finish what was accepted and stop.

    Loopback only, unless C360_COLLECTOR_TLS_CERT and C360_COLLECTOR_TLS_KEY are set. /docs describes the API.

    \b
    Examples:
      c360 collector serve
      c360 collector serve --port 9000
      curl -u WRITE_KEY: http://127.0.0.1:8090/v1/track -d '{"event":"Product Viewed","anonymousId":"a1"}'
    """
    from jobs.ingest.collector.server import serve as run

    settings = context.settings
    host = host or settings.collector_host
    run(context, host, settings.collector_port if port is None else port, insecure=insecure_i_know)


@group.group(cls=HintingGroup)
def keys() -> None:
    """Write keys: who may send what. Kept hashed; a key is shown once, when it is made.

    \b
    server   all types, all identifiers, /v1/import; refused from a browser
    browser  track, page, screen, identify, each with the visitor's own anonymousId; no alias, group or import;
             no grant of consent ("Consent Preference Updated") that names another id than the anonymousId

    Anything else is answered 403 not_allowed_for_key. A running collector notices changes within five seconds.

    \b
    Examples:
      c360 collector keys create web --kind browser --origin https://shop.example.com
      c360 collector keys list
      c360 collector keys revoke web
    """


@keys.command()
@click.argument("source")
@click.option("--kind", type=click.Choice(["server", "browser"]), default="server", show_default=True)
@click.option("--type", "types", multiple=True, metavar="TYPE", help="Allow only this message type; repeatable.")
@click.option("--server-only", multiple=True, metavar="EVENT", help="Refuse this event name; repeatable.")
@click.option(
    "--origin",
    "origins",
    multiple=True,
    metavar="URL",
    help="Site that may use a browser key, e.g. https://shop.example.com; repeatable, `*` for any. "
    "[only pages on this machine]",
)
@pass_context
def create(
    context: Context,
    source: str,
    *,
    kind: str,
    types: tuple[str, ...],
    server_only: tuple[str, ...],
    origins: tuple[str, ...],
) -> None:
    """Make a key for SOURCE, a source contract of kind events, and show it: the only time.

    \b
    Examples:
      c360 collector keys create pos
      c360 collector keys create web --kind browser --origin https://shop.example.com
      c360 collector keys create web --kind browser --type page --type track --server-only "Order Completed"
    """
    from jobs.ingest.collector.keys import KeyKind, create_key

    key, text = create_key(
        context.settings,
        source,
        KeyKind(kind),
        context.clock.now(),
        types=types,
        server_only=server_only,
        origins=origins,
    )
    click.echo(f"{key.kind} key {key.id} for {key.source}: {', '.join(key.types)}", err=True)
    click.echo("it is shown this once:", err=True)
    click.echo(text)


@keys.command("list")
@click.argument("source", required=False)
@pass_context
def list_keys(context: Context, source: str | None) -> None:
    """List the keys, of SOURCE or all; their text is not kept.

    \b
    Examples:
      c360 collector keys list
      c360 collector keys list web
    """
    from jobs.ingest.collector.keys import read_keys

    for key in read_keys(context.settings):
        if source in (None, key.source):
            state = f"revoked {key.revoked_at:%Y-%m-%d %H:%M}" if key.revoked_at else "valid"
            where = f", from {', '.join(key.origins) or 'pages on this machine'}" if key.is_browser else ""
            without = f", without {', '.join(key.server_only)}" if key.server_only else ""
            click.echo(f"{key.id}  {key.source}  {key.kind}  {state}  {', '.join(key.types)}{without}{where}")


@keys.command()
@click.argument("source")
@click.option("--id", "key_id", metavar="ID", help="Only this key. [all valid keys of SOURCE]")
@pass_context
def revoke(context: Context, source: str, key_id: str | None) -> None:
    """Revoke the keys of SOURCE; a running collector refuses them within five seconds.

    \b
    Examples:
      c360 collector keys revoke web
      c360 collector keys revoke web --id 1f9c0a7be211
    """
    from jobs.ingest.collector.keys import revoke_keys

    for key in revoke_keys(context.settings, source, context.clock.now(), key_id=key_id):
        click.echo(f"revoked {key.kind} key {key.id} of {key.source}")
