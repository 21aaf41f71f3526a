"""The messages under tests/data/mail, by name, and a short way to write one more."""

from pathlib import Path

_FOLDER = Path(__file__).parents[2] / "data" / "mail"

NAMES = tuple(sorted(path.stem for path in _FOLDER.glob("*.eml")))


def read_mail(name: str) -> bytes:
    """The raw message of that name."""
    return (_FOLDER / f"{name}.eml").read_bytes()


def write_mail(body: str = "Hello", **headers: str) -> bytes:
    """A plain message from bob@buyer.test; an argument such as ``reply_to`` becomes the header ``reply-to``."""
    fields = {"from": "Bob <bob@buyer.test>", "to": "ann@acme.test", "subject": "Re: Hello", **headers}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return f"{head}Content-Type: text/plain; charset=utf-8\r\n\r\n{body}".encode()
