"""Pages from templates, under a policy that lets nothing run, load or frame."""

import hashlib
from functools import cache
from importlib.resources import files
from typing import Any, Final

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

_FOLDER: Final = files("postrider.doors.web")
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action {targets}; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_IMMUTABLE: Final = "public, max-age=31536000, immutable"


_STATIC: Final = {"pages.css": "text/css", "mark.svg": "image/svg+xml"}


@cache
def static_file(name: str) -> tuple[str, bytes]:
    """The path of a static file, which changes with it, and its content."""
    content = _FOLDER.joinpath("static", name).read_bytes()
    return f"/static/{hashlib.sha256(content).hexdigest()[:16]}.{name.rpartition('.')[2]}", content


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("postrider.doors.web", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, *, status: int = 200, targets: tuple[str, ...] = (), **values: Any) -> HTMLResponse:
    """The page that ``template`` (a file of templates/) makes of ``values``.

    ``targets``: where its forms may lead, by redirects, beside ourselves; sources as in a content security policy.
    """
    paths = {"stylesheet": static_file("pages.css")[0], "icon": static_file("mark.svg")[0]}
    html = _environment().get_template(template).render(**paths, **values)
    policy = _POLICY.format(targets=" ".join(("'self'", *targets)))
    # With no referrer at all, browsers would send forms with the origin "null", which is nobody's.
    headers = {"Content-Security-Policy": policy, "Referrer-Policy": "same-origin", "X-Frame-Options": "DENY"}
    return HTMLResponse(html, status, headers=headers)


def static_routes() -> list[BaseRoute]:
    """The style sheet and the icon; they may be kept for ever, because others have other paths."""
    return [_route(name, kind) for name, kind in _STATIC.items()]


def _route(name: str, kind: str) -> Route:
    path, content = static_file(name)

    async def answer(request: Request) -> Response:
        return Response(content, media_type=kind, headers={"Cache-Control": _IMMUTABLE})

    return Route(path, answer)
