"""Headers of /v1 beside the credential's: what a caller says about a call, and what is said about an answer."""

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.responses import Response

from postrider.dispatch import Answer
from postrider.kernel.ids import random_text

IDEMPOTENCY_KEY: Final = "Idempotency-Key"
REQUEST_ID: Final = "X-Request-Id"
IGNORED_HEADER: Final = "Postrider-Ignored-Fields"
REPLAYED_HEADER: Final = "Idempotent-Replayed"
UNDO_HEADER: Final = "Postrider-Undo-Id"

_MOST_IGNORED: Final = 50
_REQUEST_ID_FORM: Final = re.compile(r"[A-Za-z0-9._:/+=@-]{1,100}")


def request_id_of(headers: Headers) -> str:
    """The caller's own name for the request; one that is made up where there is none, or none that can be logged."""
    given = headers.get(REQUEST_ID, "")
    return given if _REQUEST_ID_FORM.fullmatch(given) else f"req_{random_text(26)}"


def name_ignored(response: Response, names: Sequence[str]) -> None:
    """Lists the fields that were not used, as far as a header holds them."""
    if names:
        listed = [quote(name[:100], safe="[]._-") for name in names[:_MOST_IGNORED]]
        response.headers[IGNORED_HEADER] = ", ".join(listed + ["..."] * (len(names) > _MOST_IGNORED))


def say_outcome(response: Response, answer: Answer) -> None:
    """Says how to take the call back, and whether this is the answer of an earlier one."""
    if answer.undo_id is not None:
        response.headers[UNDO_HEADER] = answer.undo_id
    if answer.replayed:
        response.headers[REPLAYED_HEADER] = "true"
