"""The few pages that people see: small, without scripts, under a strict content security policy."""

import base64
import hashlib
from html import escape
from typing import Final

from starlette.responses import HTMLResponse

_STYLE: Final = (
    "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:12vh auto;padding:0 1rem;color:#1b1b1b;"
    "background:#fff}button{font:inherit;padding:.6rem 1.4rem;border:0;border-radius:.4rem;background:#0b57d0;"
    "color:#fff;cursor:pointer}button:focus-visible{outline:3px solid #1b1b1b;outline-offset:2px}"
    "@media(prefers-color-scheme:dark){body{color:#eee;background:#16181c}button:focus-visible{outline-color:#eee}}"
)
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def page(title: str, message: str, *, status: int = 200, button: str | None = None) -> HTMLResponse:
    """A page with a heading, a sentence and, with ``button``, a form that posts to the page's own address."""
    form = (
        f'<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click">'
        f'<button type="submit">{escape(button)}</button></form>'
        if button
        else ""
    )
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1><p>{escape(message)}</p>{form}</main></body></html>"
    )
    return HTMLResponse(html, status, headers={"Content-Security-Policy": _POLICY})


def not_found() -> HTMLResponse:
    """The page for a link that is not ours: the same for unknown, forged and mistyped ones."""
    return page(
        "This link does not work", "It may be incomplete. Please use the link from the message again.", status=404
    )
