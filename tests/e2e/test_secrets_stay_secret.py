"""Twenty secrets go through a server that logs all it can: none comes out where it was not handed out on purpose."""

import re
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from tests.e2e.test_serve import init, server
from tests.oauth.rig import Page, verifier_and_challenge

PASSWORD = "canary password of ann 1"
WRONG = "canary password that is wrong 2"
IN_SETTINGS = {
    "POSTRIDER_SECRET_KEY": "canary-installation-key-3-3-3-3-3-3-3",
    "POSTRIDER_ANTHROPIC_API_KEY": "sk-ant-canary-model-key-4",
    "POSTRIDER_SMTP_URL": "smtps://canary-user:canary-system-mail-5@127.0.0.1:1?from=house@example.test",
    "POSTRIDER_OIDC_ISSUER": "https://127.0.0.1:1",
    "POSTRIDER_OIDC_CLIENT_ID": "postrider",
    "POSTRIDER_OIDC_CLIENT_SECRET": "canary-provider-secret-6",
}
SETTINGS_SECRETS = {
    "installation key": IN_SETTINGS["POSTRIDER_SECRET_KEY"],
    "model key": IN_SETTINGS["POSTRIDER_ANTHROPIC_API_KEY"],
    "system mail password": "canary-system-mail-5",
    "provider secret": IN_SETTINGS["POSTRIDER_OIDC_CLIENT_SECRET"],
}
REDIRECT = "http://127.0.0.1:9/callback"


@dataclass
class Witness:
    """A client that remembers every answer, and every secret with the one answer that may hold it."""

    http: httpx.Client
    answers: list[str] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    handed_out: dict[str, set[int]] = field(default_factory=dict)

    def send(self, method: str, path: str, **more: Any) -> httpx.Response:
        answer = self.http.request(method, path, **more)
        self.answers.append(f"{answer.headers}\n{answer.text}")
        return answer

    def knows(self, name: str, secret: str, *, from_last_answer: bool = False) -> str:
        assert len(secret) >= 16, name
        self.secrets[name] = secret
        if from_last_answer:
            self.handed_out.setdefault(name, set()).add(len(self.answers) - 1)
        return secret

    def form(self, path: str, **fields: Any) -> httpx.Response:
        shown = self.send("GET", path)
        # A form without an action goes to the page's own address.
        page = Page.of(
            httpx.Response(200, text=shown.text.replace('method="post">', f'method="post" action="{path}">'))
        )
        return self.send("POST", page.action, data={**page.fields, **fields})


@contextmanager
def witness(url: str) -> Iterator[Witness]:
    with httpx.Client(base_url=url, timeout=30) as http:
        yield Witness(http)


def sign_in_and_connect(seen: Witness, link: str) -> None:
    """The pages and the whole of OAuth, each step once right and once wrong."""
    seen.knows("set-up token", link.rpartition("/")[2])
    seen.form(urlsplit(link).path, email="a@a.test", name="Ann", password=PASSWORD, again=PASSWORD, workspace="Main")
    seen.knows("password", PASSWORD)
    seen.knows("wrong password", WRONG)
    cookie = next(value for name, value in seen.http.cookies.items() if "session" in name)
    seen.knows("session cookie", cookie, from_last_answer=True)
    registered = seen.send("POST", "/oauth/register", json={"client_name": "App", "redirect_uris": [REDIRECT]}).json()
    verifier, challenge = verifier_and_challenge()
    seen.knows("code verifier", verifier)
    origin = str(seen.http.base_url).rstrip("/")
    asked = {
        "response_type": "code",
        "client_id": registered["client_id"],
        "redirect_uri": REDIRECT,
        "scope": "read send",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "resource": f"{origin}/mcp",
    }
    back = seen.form("/oauth/authorize?" + urlencode(asked), decision="allow")
    code = parse_qs(urlsplit(back.headers["location"]).query)["code"][0]
    seen.knows("authorization code", code, from_last_answer=True)
    form = {"grant_type": "authorization_code", "client_id": registered["client_id"], "redirect_uri": REDIRECT}
    form |= {"code": code, "code_verifier": verifier, "resource": f"{origin}/mcp"}
    given = seen.send("POST", "/oauth/token", data=form).json()
    access = seen.knows("access token", given["access_token"], from_last_answer=True)
    refresh = seen.knows("refresh token", given["refresh_token"], from_last_answer=True)
    again = {"grant_type": "refresh_token", "client_id": registered["client_id"], "refresh_token": refresh}
    newer = seen.send("POST", "/oauth/token", data=again).json()
    seen.knows("second access token", newer["access_token"], from_last_answer=True)
    seen.knows("second refresh token", newer["refresh_token"], from_last_answer=True)
    call_mcp(seen, access, "create_tag", {"name": "Seen"})
    call_mcp(seen, newer["access_token"], "no_such_tool", {})
    seen.send("POST", "/oauth/token", data=again)
    seen.send("POST", "/oauth/token", data=form)
    seen.http.cookies.clear()
    seen.form("/sign-in", email="a@a.test", password=WRONG)


def call_mcp(seen: Witness, token: str, tool: str, arguments: dict[str, Any]) -> None:
    meta = {"protocolVersion": "2026-07-28", "clientInfo": {"name": "t", "version": "1"}, "clientCapabilities": {}}
    params = {"name": tool, "arguments": arguments}
    params["_meta"] = {f"io.modelcontextprotocol/{name}": value for name, value in meta.items()}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = {"Accept": "application/json, text/event-stream", "Authorization": f"Bearer {token}"}
    headers |= {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": tool}
    seen.send("POST", "/mcp", json=message, headers=headers)


def use_keys_and_mailboxes(seen: Witness, keys: dict[str, str]) -> None:
    """Keys, good and bad; mailboxes whose servers cannot be reached or are written wrongly."""
    key = seen.knows("workspace key", keys["workspaceKey"])
    seen.knows("platform key", keys["platformKey"])
    bad = seen.knows("key that nobody has", key[:-6] + "canary"[:6].replace("a", "0"))
    smtp, imap = (
        seen.knows("smtp password", "canary-smtp-password-7"),
        seen.knows("imap password", "canary-imap-pass-8"),
    )
    typed = seen.knows("password in a wrong field", "canary-wrong-field-9")
    good, platform = {"X-Api-Key": key}, {"X-Api-Key": keys["platformKey"], "X-Workspace-Id": keys["workspaceId"]}
    seen.send("GET", "/v1/tags", headers={"X-Api-Key": bad})
    seen.send("GET", "/v1/tags", headers=platform)
    servers = {
        "smtp": {"host": "127.0.0.1", "port": 1, "security": "tls", "username": "u", "password": smtp},
        "imap": {"host": "127.0.0.1", "port": 2, "security": "tls", "username": "u", "password": imap},
    }
    box = {"email": "s@box.test", "displayName": "S", "provider": "custom", **servers}
    kept = seen.send("POST", "/v1/mailboxes", headers=good, json=box)
    assert kept.json()["data"]["status"] == "error", kept.text
    wrong = {**box, "smtp": {**servers["smtp"], "port": typed}, "password": typed}
    seen.send("POST", "/v1/mailboxes", headers=good, json=wrong)
    seen.send("POST", "/v1/mailboxes", headers=good, json=typed)
    seen.send("GET", f"/v1/tags?password={typed}", headers=good)
    made = seen.send(
        "POST", "/v1/api-keys", headers=good, json={"name": "Narrow", "scopes": ["read"], "autonomy": "readonly"}
    )
    secret = re.search(r"sk_[0-9a-z]{10}_[0-9a-z]{32}", made.text)
    assert secret, made.text
    seen.knows("new key", secret.group(), from_last_answer=True)
    seen.send("GET", "/v1/api-keys", headers=good)
    seen.send("GET", "/v1/audit-events", headers=good)
    seen.send("GET", "/v1/mailboxes", headers=good)
    seen.send("GET", "/metrics")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    import os

    own = {name: value for name, value in os.environ.items() if not name.startswith("POSTRIDER_")}
    chosen = {"POSTRIDER_DATA_DIR": str(tmp_path / "data"), "HOME": str(tmp_path), "POSTRIDER_LOG_LEVEL": "DEBUG"}
    return own | chosen | IN_SETTINGS | {"POSTRIDER_ALLOW_PRIVATE_HOSTS": "true"}


def test_no_secret_comes_out_where_it_was_not_handed_out(environment: dict[str, str], tmp_path: Path) -> None:
    keys = init(environment)
    with server(environment, "--engine") as (running, url), witness(url) as seen:
        link = set_up_link(running)
        arguments = Path(f"/proc/{running.pid}/cmdline").read_text()
        seen.secrets |= SETTINGS_SECRETS
        sign_in_and_connect(seen, link)
        use_keys_and_mailboxes(seen, keys)
        running.send_signal(signal.SIGTERM)
        stdout, stderr = running.communicate(timeout=60)
    assert len(seen.secrets) >= 20
    stored = everything_stored(tmp_path / "data")
    assert "s@box.test" in stored
    for name, secret in seen.secrets.items():
        for place, text in {"stdout": stdout, "log": stderr, "database": stored, "ps": arguments}.items():
            assert secret not in text, f"{name} in {place}"
        found = {number for number, answer in enumerate(seen.answers) if secret in unescape(answer)}
        assert found <= seen.handed_out.get(name, set()), f"{name} in an answer"


def set_up_link(running: "subprocess.Popen[str]") -> str:
    """The link that the server prints, which is how it is handed out."""
    assert running.stdout is not None
    for line in running.stdout:
        found = re.search(r"http://\S+/set-up/\w+", line)
        if found:
            return found.group()
    raise AssertionError("no link was printed")


def everything_stored(folder: Path) -> str:
    """Every file of the data directory but the installation's own key, and every row as text."""
    texts = [
        path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file() and path.suffix != ".key"
    ]
    with sqlite3.connect(folder / "postrider.sqlite3") as connection:
        texts += list(connection.iterdump())
    return "\n".join(texts)


def test_no_command_takes_a_secret_as_an_argument() -> None:
    """What stands in argv is shown by ps."""
    from typer.main import get_command

    from postrider.doors.cli import app

    pending: list[Any] = [get_command(app)]
    names: set[str] = set()
    while pending:
        command = pending.pop()
        pending += list(getattr(command, "commands", {}).values())
        names |= {option.lstrip("-") for parameter in command.params for option in parameter.opts}
    assert "json" in names
    assert not {name for name in names if re.search(r"password|secret|token|api-?key", name)}
