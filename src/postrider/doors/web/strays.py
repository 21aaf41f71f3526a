"""What a browser is shown at an address that has no page. Programs get the same in JSON (see doors/http.py)."""

from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse

from postrider.doors.web.rendering import render

_HOME: Final = ("/", "To the first page")


def wants_page(request: Request) -> bool:
    """Whether a person looks at the answer: browsers ask for HTML, programs for anything or for JSON."""
    return "text/html" in request.headers.get("accept", "").lower()


def missing_page() -> HTMLResponse:
    """At an address that leads nowhere."""
    message, hint = "No page has this address.", "It may be mistyped, or from a link that is too old."
    return render("message.html", status=404, title="There is nothing here", message=message, hint=hint, link=_HOME)


def unfit_page(allowed: list[str]) -> HTMLResponse:
    """At an address that takes something else than what the browser did. ``allowed``: the methods that it takes."""
    message, hint = "This address is not one to open.", "A button of another page leads here. Begin at the first one."
    page = render("message.html", status=405, title="That does not work", message=message, hint=hint, link=_HOME)
    page.headers["Allow"] = ", ".join(allowed)
    return page
