"""The one HTTP application: every door that is reached over HTTP, behind one guard."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp

from postrider.doors.addresses import Guard, own_addresses
from postrider.doors.installation import Installation, RunJob
from postrider.doors.mcp.http import mcp_app
from postrider.doors.oauth.bridge import oauth_routes
from postrider.doors.proxies import BehindProxies
from postrider.doors.rest.openapi import write_openapi
from postrider.doors.rest.problems import MethodNotAllowed, problem_response
from postrider.doors.rest.routes import RestDoor
from postrider.doors.rest.uploads import remove_stale
from postrider.doors.web.files import FilesDoor
from postrider.doors.web.health import Readiness, healthz
from postrider.doors.web.metrics import metrics
from postrider.doors.web.people import PeopleDoor
from postrider.doors.web.strays import missing_page, unfit_page, wants_page
from postrider.doors.web.tracking import TrackingDoor
from postrider.doors.web.unsubscribe import UnsubscribeDoor
from postrider.files.store import FOLDER, UNFINISHED
from postrider.kernel.errors import NotFound


@dataclass(frozen=True, slots=True)
class Binding:
    """How this process serves. ``port`` None: not known, any is accepted. ``engine``: one runs here as well."""

    host: str = "127.0.0.1"
    port: int | None = None
    engine: bool = False


def http_app(installation: Installation, binding: Binding | None = None, run_job: RunJob | None = None) -> ASGIApp:
    """Everything that Postrider serves over HTTP. ``run_job``: see RunJob; without it jobs wait for an engine."""
    binding = binding or Binding()
    settings = installation.settings
    mcp, mcp_lifespan = mcp_app(installation, port=binding.port)

    @cache
    def document() -> bytes:
        return json.dumps(write_openapi(installation.dispatcher.catalogue, settings.public_url)).encode()

    async def openapi(request: Request) -> Response:
        return Response(document(), media_type="application/json")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        remove_stale(settings.data_dir / "uploads")
        remove_stale(settings.data_dir / FOLDER, UNFINISHED)
        async with mcp_lifespan():
            yield

    routes: list[BaseRoute] = [
        Route("/openapi.json", openapi),
        Route("/healthz", healthz),
        Route("/readyz", Readiness(installation, binding.engine).answer),
        Route("/metrics", metrics),
        Route("/mcp", mcp),
        Route("/mcp/{rest:path}", mcp),
        Route("/v1/{rest:path}", RestDoor(installation, run_job)),
        *oauth_routes(installation),
        *TrackingDoor(installation).routes(),
        *UnsubscribeDoor(installation).routes(),
        *FilesDoor(installation).routes(),
        *PeopleDoor(installation).routes(),
    ]
    own = own_addresses(binding.host, settings.public_url, settings.cors_origins or ())
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Guard, addresses=own)],
        exception_handlers={HTTPException: _http_problem},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    # Before everything else: limits, cookies and addresses go by the client that a trusted proxy speaks for.
    return app if settings.trusted_proxies is None else BehindProxies(app, settings.trusted_proxies)


async def _http_problem(request: Request, error: Exception) -> Response:
    """What the router refuses: a page for browsers, for all others the envelope of every other refusal."""
    if isinstance(error, HTTPException) and error.status_code == 405:
        allowed = _methods_at(request)
        if wants_page(request):
            return unfit_page(allowed)
        return problem_response(
            MethodNotAllowed(
                f"{request.method} is not possible here.",
                hint=f"Use {', '.join(allowed)}.",
                details={"allowed": allowed},
            )
        )
    if wants_page(request):
        return missing_page()
    return problem_response(NotFound("There is no such path.", hint="All paths are listed in /openapi.json."))


def _methods_at(request: Request) -> list[str]:
    """What can be done at the request's path. The router asks only its first route there, and a path may have more."""
    routes: list[BaseRoute] = request.app.routes
    matching = [route for route in routes if isinstance(route, Route) and route.matches(request.scope)[0] != Match.NONE]
    return sorted({method for route in matching for method in route.methods or ()})
