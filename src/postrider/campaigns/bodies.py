"""The body of an email as it is sent, kept and shown: plain text made HTML, dangerous HTML removed. Pure."""

import re
from collections.abc import Sequence
from typing import Final

from postrider.campaigns.documents import MAX_BODY_CHARACTERS, StepInput, SubsequenceInput, VariantInput
from postrider.content.html import html_to_text, looks_like_html, plain_to_html, sanitise_html
from postrider.content.template import Dialect, TemplateError
from postrider.content.template.tokens import Kind, tokenize

# Template braces, and the tables that HTML readers move text out of.
_LANDMARKS: Final = re.compile(r"[{}|]|<table\b", re.IGNORECASE)
_DROPPED: Final = re.compile(r"<!--.*?(?:-->|\Z)|<(script|style)\b.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_CONSTRUCTS: Final = {Kind.TAG, Kind.OPEN, Kind.NEXT, Kind.CLOSE}


def html_of(body: str) -> str:
    """The HTML that a body, written as HTML or as plain text, is sent as."""
    return sanitise_html(body if looks_like_html(body) else plain_to_html(body))


def text_of(body: str) -> str:
    """What a reader sees of a body, as plain text, its template tags as they stand."""
    return html_to_text(body) if looks_like_html(body) else body


def kept_body(body: str) -> str:
    """``body`` as it is stored: the HTML that is sent, from which the same HTML is made again.

    A body stays as it was written (and is converted for each email, as ever) where that would not hold: its template
    tags stand between the rows of a table or in an attribute that goes, or it would become longer than a body may be.
    """
    html = html_of(body)
    if html and not looks_like_html(html):
        html = f"<div>{html}</div>"
    is_lasting = len(html) <= MAX_BODY_CHARACTERS and html_of(html) == html
    return html if is_lasting and _keeps_template(body, html) else body


def with_kept_bodies(steps: Sequence[StepInput]) -> list[StepInput]:
    """``steps`` with all their bodies as they are stored."""
    return [step.model_copy(update=_kept(step) | _kept_variants(step)) for step in steps]


def with_kept_sequences(subsequences: Sequence[SubsequenceInput]) -> list[SubsequenceInput]:
    """``subsequences`` with all their bodies as they are stored."""
    return [each.model_copy(update={"sequence": with_kept_bodies(each.sequence)}) for each in subsequences]


def _kept(text: StepInput | VariantInput) -> dict[str, object]:
    return {"body": kept_body(text.body)} if text.body else {}


def _kept_variants(step: StepInput) -> dict[str, object]:
    if not step.variants:
        return {}
    return {"variants": [variant.model_copy(update=_kept(variant)) for variant in step.variants]}


def _keeps_template(before: str, after: str) -> bool:
    """Whether both hold the same template tags, choices and braces in the same order, on the same side of every table.

    Scripts, styles and comments hold no template. Never so where the template has a mistake.
    """
    try:
        same = _constructs(before) == _constructs(after)
    except TemplateError:
        return False
    return same and _landmarks(_DROPPED.sub("", before)) == _landmarks(after)


def _constructs(body: str) -> list[tuple[Kind, str]]:
    """The parts of a template that mean something, in their order."""
    tokens = tokenize(body, "html" if looks_like_html(body) else "text", Dialect.SENDKIT)
    return [(token.kind, token.text) for token in tokens if token.kind in _CONSTRUCTS]


def _landmarks(html: str) -> list[str]:
    return [mark.lower() for mark in _LANDMARKS.findall(html)]
