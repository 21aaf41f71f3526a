"""``/metrics``: what the doors count, and whatever the engine adds to the same registry."""

import ipaddress
from typing import Final

from prometheus_client import Counter, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from postrider.kernel.metrics import REGISTRY

CALLS: Final = Counter("postrider_calls", "Calls of operations.", ["door", "operation", "outcome"], registry=REGISTRY)
SECONDS: Final = Histogram(
    "postrider_call_seconds",
    "How long calls took.",
    ["door", "operation"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60),
    registry=REGISTRY,
)
TRACKED: Final = Counter(
    "postrider_tracking_requests", "Requests of recipients.", ["kind", "outcome"], registry=REGISTRY
)


def observe_call(door: str, operation: str, outcome: str, seconds: float) -> None:
    """Counts one call. ``outcome``: ok or the error's code. ``operation`` is a name of the catalogue, or none."""
    CALLS.labels(door, operation, outcome).inc()
    SECONDS.labels(door, operation).observe(seconds)


async def metrics(request: Request) -> Response:
    """The registry in Prometheus' text format, for clients in a private network only."""
    if not _is_near(request):
        return PlainTextResponse("Metrics are served inside a private network only.\n", 403)
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)


def _is_near(request: Request) -> bool:
    if request.client is None:
        return False
    try:
        address = ipaddress.ip_address(request.client.host)
    except ValueError:
        return False
    return address.is_private or address.is_loopback or address.is_link_local
