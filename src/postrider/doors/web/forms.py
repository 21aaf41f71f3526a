"""What a page's form sends: small, urlencoded, every field a text that a database can store."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from postrider.doors.rest.body import read_body
from postrider.kernel.errors import InvalidInput

_MOST_BYTES: Final = 64 * 1024
_MOST_FIELDS: Final = 200


@dataclass(frozen=True, slots=True)
class Form:
    """The fields that were sent. A field may come several times: the ticked ones of a group of boxes."""

    fields: Mapping[str, tuple[str, ...]]

    def one(self, name: str) -> str:
        """The first value of a field; empty when it was not sent."""
        return self.fields.get(name, ("",))[0]

    def every(self, name: str) -> tuple[str, ...]:
        """All values of a field, each once."""
        return tuple(dict.fromkeys(self.fields.get(name, ())))


async def read_form(request: Request) -> Form:
    """The form in the body. Raises: InvalidInput, BodyTooLarge, TooSlow."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await read_body(request, _MOST_BYTES)
    if kind != "application/x-www-form-urlencoded":
        raise InvalidInput("This page takes a form.", hint="Open the page and use its form.")
    return parse_form(body)


def parse_form(body: bytes) -> Form:
    """The fields in an urlencoded body. Raises: InvalidInput."""
    fields: dict[str, tuple[str, ...]] = {}
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS, separator="&"
        )
    except ValueError:
        raise InvalidInput("The form could not be read.", hint="Open the page again and use its form.") from None
    for name, value in pairs:
        if "\x00" in value:
            raise InvalidInput("A field of the form contains a NUL character.", hint="Send text without NUL.")
        fields[name] = (*fields.get(name, ()), value)
    return Form(fields)
