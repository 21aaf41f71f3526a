"""A link by mail to set a new password, over a real SMTP client and a sink on loopback."""

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from postrider.adapters.system_mail import _access
from postrider.app import App, build
from postrider.doors.web.beginnings import MAILS
from postrider.settings import Settings, SettingsError, load_settings
from tests.conftest import Installation
from tests.integration.certificates import Authority
from tests.integration.smtp_sink import Accepted, Rule, SmtpSink
from tests.people.rig import Person, give_password, person_at

USER, PASSWORD_THERE = "post@house.test", "p@ss word"
SENT = "If somebody here has that address"


@pytest.fixture
async def sink(tmp_path: Path) -> AsyncIterator[SmtpSink]:
    """A server that wants TLS and a password."""
    authority = Authority()
    context = authority.server_context("127.0.0.1", tmp_path / "server.pem")
    async with SmtpSink(users={USER: PASSWORD_THERE}, tls=context, implicit_tls=True) as running:
        running.authority = authority  # type: ignore[attr-defined]
        yield running


@pytest.fixture
async def app(sink: SmtpSink, tmp_path: Path) -> AsyncIterator[App]:
    ca = tmp_path / "ca.pem"
    ca.write_bytes(sink.authority.certificate.public_bytes(Encoding.PEM))  # type: ignore[attr-defined]
    built = build(
        load_settings(
            {
                "POSTRIDER_DATA_DIR": str(tmp_path / "data"),
                "POSTRIDER_PUBLIC_URL": "https://mail.example.com",
                "POSTRIDER_ALLOW_PRIVATE_HOSTS": "true",
                "POSTRIDER_TLS_CA_FILE": str(ca),
                "POSTRIDER_SMTP_URL": f"smtps://post%40house.test:p%40ss%20word@127.0.0.1:{sink.port}?from=post@house.test",
            }
        )
    )
    await Installation.on(built)
    await give_password(built, "ann@ann.test")
    yield built
    await built.close()


@pytest.fixture
async def person(app: App) -> AsyncIterator[Person]:
    async with person_at(app, "https://mail.example.com") as opened:
        yield opened


async def until(condition: Callable[[], bool]) -> None:
    """Returns once it holds. Raises: TimeoutError."""
    with anyio.fail_after(20):
        while not condition():
            await anyio.sleep(0.01)


async def until_mail(sink: SmtpSink, count: int = 1) -> Accepted:
    await until(lambda: len(sink.accepted) >= count)
    return sink.accepted[count - 1]


async def test_the_link_in_the_mail_sets_a_new_password(sink: SmtpSink, app: App, person: Person) -> None:
    assert (await person.get("/sign-in")).text.count('href="/reset"') == 1
    answer = await person.send("/reset", email=" Ann@Ann.test ")
    assert answer.status_code == 200 and SENT in answer.text
    mail = await until_mail(sink)
    assert (mail.sender, list(mail.recipients)) == (USER, ["ann@ann.test"])
    message = message_from_bytes(mail.data, policy=default)
    assert message["From"] == "Postrider <post@house.test>" and message["To"] == "ann@ann.test"
    text = message.get_content()
    [token] = re.findall(r"https://mail\.example\.com/reset/([0-9a-z]{40})\s", text)
    new = {"password": "another tandem kettle", "again": "another tandem kettle"}
    assert (await person.send(f"/reset/{token}", **new)).status_code == 303
    assert "ann@ann.test" in (await person.get("/")).text
    assert (await person.get(f"/reset/{token}")).status_code == 404


async def test_the_answer_is_the_same_whoever_is_asked_for(sink: SmtpSink, person: Person) -> None:
    answers = [await person.send("/reset", email=email) for email in ("nobody@nowhere.test", "", "ann@ann.test")]
    assert len({(answer.status_code, answer.text) for answer in answers}) == 1
    await until_mail(sink)
    assert [list(mail.recipients) for mail in sink.accepted] == [["ann@ann.test"]]


async def test_one_address_gets_a_few_messages_an_hour(sink: SmtpSink, person: Person) -> None:
    for _ in range(MAILS):
        assert (await person.send("/reset", email="ann@ann.test")).status_code == 200
    late = await person.send("/reset", email="ann@ann.test")
    assert late.status_code == 429 and 0 < int(late.headers["retry-after"]) <= 3_600
    for _ in range(MAILS):
        assert (await person.send("/reset", email="nobody@nowhere.test")).status_code == 200
    assert (await person.send("/reset", email="nobody@nowhere.test")).status_code == 429
    await until_mail(sink, MAILS)
    assert len(sink.accepted) == MAILS


async def test_a_form_that_was_not_shown_sends_nothing(sink: SmtpSink, person: Person) -> None:
    assert (await person.client.post("/reset", data={"email": "ann@ann.test"})).status_code == 403
    assert sink.connections == 0


async def test_a_server_that_refuses_changes_nothing_that_is_told(
    sink: SmtpSink, person: Person, caplog: pytest.LogCaptureFixture
) -> None:
    sink.rules = [Rule("rcpt", reply="550 5.1.1 no such user")]
    assert SENT in (await person.send("/reset", email="ann@ann.test")).text
    await until(lambda: "reset_mail_not_sent" in caplog.text)
    assert sink.accepted == [] and "550" not in (await person.get("/reset")).text


async def test_without_a_public_address_or_a_server_the_page_names_the_command(app: App) -> None:
    bare = {kind: port for kind, port in app.ports.items() if kind.__name__ != "SystemMail"}
    for other in (replace(app, settings=replace(app.settings, public_url=None)), replace(app, ports=bare)):
        async with person_at(other) as person:
            page = (await person.get("/reset")).text
            assert "postrider people reset-link" in page and "<form" not in page


GOOD = {
    "smtps://u:p@mail.example.com?from=a@example.com": ("tls", 465),
    "smtp+starttls://u:p@mail.example.com?from=a@example.com": ("starttls", 587),
    "smtp+starttls://u:p@mail.example.com:2525/?from=a@example.com": ("starttls", 2525),
    "smtp://127.0.0.1?from=a@example.com": ("none", 25),
}


@pytest.mark.parametrize("url", GOOD)
def test_the_address_of_the_server_says_how_it_is_spoken_to(url: str) -> None:
    settings: Settings = load_settings({"POSTRIDER_SMTP_URL": url})
    assert settings.smtp_url is not None
    access = _access(urlsplit(settings.smtp_url))
    assert (access.security, access.port) == GOOD[url]


@pytest.mark.parametrize(
    "url",
    [
        "mail.example.com",
        "https://mail.example.com?from=a@example.com",
        "smtps://u:hidden-secret@mail.example.com",
        "smtps://u:hidden-secret@:465?from=a@example.com",
        "smtps://u:hidden-secret@mail.example.com:x?from=a@example.com",
        "smtp://u:hidden-secret@mail.example.com?from=a@example.com",
        "smtps://u:hidden-secret@mail.example.com/path?from=a@example.com",
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_showing_its_password(url: str) -> None:
    with pytest.raises(SettingsError, match="SMTP_URL") as refused:
        load_settings({"POSTRIDER_SMTP_URL": url})
    assert "hidden-secret" not in str(refused.value)
