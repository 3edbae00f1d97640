"""The way in for e-mail webhooks: POST /v1/webhooks/{vendor}/{source}; what they mean is known to `jobs.ingest.webhooks`."""

from starlette.routing import BaseRoute

from jobs.core.context import Context
from jobs.ingest.collector.metrics import Metrics
from jobs.ingest.collector.sink import Sink


def webhook_routes(context: Context, sink: Sink, counted: Metrics) -> list[BaseRoute]:
    """The route, once there is something behind it."""
    return []
