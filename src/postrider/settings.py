"""Settings, read once from ``POSTRIDER_*`` environment variables. Units stand in the names; no secret has a default."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from ipaddress import ip_network
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import parse_qsl, urlsplit

T = TypeVar("T")
PREFIX: Final = "POSTRIDER_"
_TESTS: Final = f"{PREFIX}TEST_"
"""How the variables of the test suite begin."""
_ORIGIN: Final = re.compile(
    r"https://[a-z0-9.-]+(?::[0-9]{1,5})?|http://(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?"
)
LOG_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")
SMTP_SCHEMES: Final = ("smtps", "smtp+starttls", "smtp")
"""TLS from the first byte, TLS by STARTTLS, and none: the last one without a password, for a server on this machine."""


class SettingsError(ValueError):
    """Settings cannot be used; the text names each variable, what is allowed and what to do.

    ``each``: the same, one by one.
    """

    def __init__(self, *each: str) -> None:
        super().__init__(" ".join(each))
        self.each = each


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything an installation can choose.

    ``database_url`` None means one SQLite file in ``data_dir``. ``public_url`` None means no public address: messages
    then carry no tracking, no rewritten links and no one-click header. ``smtp_url``: the server for the installation's
    own mail, with its password. ``trusted_proxies``: networks, with commas between, whose word on whom they speak for
    is believed. ``cors_origins``: of pages that may use the MCP door and the token endpoints from a browser.
    ``lockdown``: in every workspace, the words of senders that it did not write to are withheld.
    """

    data_dir: Path
    database_url: str | None
    public_url: str | None
    secret_key: str | None
    anthropic_api_key: str | None
    ai_model: str
    ai_base_url: str | None
    allow_private_hosts: bool
    lockdown: bool
    log_level: str
    import_dir: Path
    engine_lease_seconds: int
    mailbox_poll_seconds: int
    tls_ca_file: Path | None
    smtp_url: str | None
    oidc_issuer: str | None
    oidc_client_id: str | None
    oidc_client_secret: str | None
    oidc_name: str
    trusted_proxies: str | None
    cors_origins: tuple[str, ...] | None

    @property
    def sqlite_path(self) -> Path:
        """Where the embedded database lives when no ``database_url`` is set."""
        return self.data_dir / "postrider.sqlite3"

    @property
    def tracks(self) -> bool:
        """Whether links, pixels and one-click unsubscribe may be used: only with a public https address."""
        return self.public_url is not None and self.public_url.startswith("https://")

    def __repr__(self) -> str:
        return f"Settings(data_dir={str(self.data_dir)!r}, public_url={self.public_url!r})"


def _flag(name: str, text: str) -> bool:
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("0", "false", "no", "off", ""):
        return False
    raise SettingsError(f"{PREFIX}{name} is {text!r}; use true or false.")


def _seconds(name: str, text: str, least: int, most: int) -> int:
    if not text.isdecimal() or not least <= int(text) <= most:
        raise SettingsError(f"{PREFIX}{name} is {text!r}; use a whole number of seconds from {least} to {most}.")
    return int(text)


def plain_address(text: str) -> str | None:
    """An http(s) address without query, fragment and user name, and without slashes at its end; None for others."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        return None
    return text.rstrip("/")


def _url(name: str, text: str | None) -> str | None:
    if not text:
        return None
    address = plain_address(text)
    if address is None:
        raise SettingsError(f"{PREFIX}{name} is not a plain http(s) address. Example: https://outreach.example.com")
    return address


def _issuer(text: str) -> str | None:
    # As it is written: its tokens name it to the letter, some with a slash at the end.
    return text if _url("OIDC_ISSUER", text) else None


def _database_url(text: str | None) -> str | None:
    if not text:
        return None
    if text.startswith(("postgres://", "postgresql://")):
        return "postgresql+psycopg://" + text.split("://", 1)[1]
    if text.startswith(("postgresql+psycopg://", "sqlite:///")):
        return text
    raise SettingsError(
        f"{PREFIX}DATABASE_URL must start with postgresql:// or sqlite:/// (leave it unset for the built-in file)."
    )


def _level(text: str) -> str:
    level = text.upper() or "INFO"
    if level not in LOG_LEVELS:
        raise SettingsError(f"{PREFIX}LOG_LEVEL is {level!r}; use one of {', '.join(LOG_LEVELS)}.")
    return level


def _ca_file(text: str) -> Path | None:
    if text and not Path(text).is_file():
        raise SettingsError(f"{PREFIX}TLS_CA_FILE names no file; give the path of a PEM file or leave it unset.")
    return Path(text) if text else None


def _networks(text: str) -> str | None:
    names = [each.strip() for each in text.split(",") if each.strip()]
    try:
        return ",".join(str(ip_network(each, strict=False)) for each in names) or None
    except ValueError:
        raise SettingsError(
            f"{PREFIX}TRUSTED_PROXIES has to be IP addresses or networks with commas between. "
            "Example: 127.0.0.1, 10.0.0.0/8"
        ) from None


def _origins(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(each.strip().lower() for each in text.split(",") if each.strip()))
    if not all(_ORIGIN.fullmatch(each) for each in names):
        raise SettingsError(
            f"{PREFIX}CORS_ORIGINS has to be origins with commas between, each https (or http on loopback), a host "
            "and no path; a wildcard is not one. Example: https://inspector.example.com, http://localhost:6274"
        )
    return names


def _smtp_url(text: str) -> str | None:
    if not text:
        return None
    try:
        parts = urlsplit(text)
        good = parts.scheme in SMTP_SCHEMES and bool(parts.hostname) and (parts.port or 1) > 0
        good = good and parts.path in ("", "/") and "@" in dict(parse_qsl(parts.query)).get("from", "")
        good = good and not (parts.scheme == "smtp" and parts.password)
    except ValueError:
        good = False
    if not good:
        # Never shown: it holds a password.
        raise SettingsError(
            f"{PREFIX}SMTP_URL cannot be used. Example: smtps://user:password@mail.example.com:465?from=me@example.com "
            "(or smtp+starttls://…:587; characters such as @ in the password as %40)."
        )
    return text


def _provider(issuer: str | None, client_id: str, secret: str) -> None:
    if (issuer is None) != (not client_id) or (secret and issuer is None):
        raise SettingsError(
            f"{PREFIX}OIDC_ISSUER and {PREFIX}OIDC_CLIENT_ID belong together: set both, or neither and no secret."
        )


def unknown_variables(environment: Mapping[str, str] | None = None) -> dict[str, str | None]:
    """The POSTRIDER_* variables that mean nothing (a typing error, as a rule), each with the nearest one that does."""
    env = os.environ if environment is None else environment
    known = [f"{PREFIX}{name.upper()}" for name in Settings.__dataclass_fields__]
    strange = sorted(
        name for name in env if name.upper().startswith(PREFIX) and name not in known and not name.startswith(_TESTS)
    )
    return {name: next(iter(get_close_matches(name.upper(), known, n=1)), None) for name in strange}


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of ``environment`` (default: the process's own). Raises: SettingsError."""
    env = os.environ if environment is None else environment

    def get(name: str, default: str = "") -> str:
        return env.get(PREFIX + name, default).strip()

    problems: list[str] = []

    def read(check: Callable[..., T], *arguments: object) -> T | None:
        try:
            return check(*arguments)
        except SettingsError as error:
            problems.extend(error.each)
            return None

    data_dir = Path(get("DATA_DIR") or Path.home() / ".postrider").expanduser()
    level = read(_level, get("LOG_LEVEL"))
    ca_file = read(_ca_file, get("TLS_CA_FILE"))
    database_url = read(_database_url, get("DATABASE_URL"))
    public_url = read(_url, "PUBLIC_URL", get("PUBLIC_URL"))
    ai_base_url = read(_url, "AI_BASE_URL", get("AI_BASE_URL"))
    private = read(_flag, "ALLOW_PRIVATE_HOSTS", get("ALLOW_PRIVATE_HOSTS"))
    lockdown = read(_flag, "LOCKDOWN", get("LOCKDOWN"))
    lease = read(_seconds, "ENGINE_LEASE_SECONDS", get("ENGINE_LEASE_SECONDS") or "30", 1, 600)
    poll = read(_seconds, "MAILBOX_POLL_SECONDS", get("MAILBOX_POLL_SECONDS") or "60", 1, 3600)
    smtp_url = read(_smtp_url, get("SMTP_URL"))
    proxies = read(_networks, get("TRUSTED_PROXIES"))
    origins = read(_origins, get("CORS_ORIGINS"))
    issuer = read(_issuer, get("OIDC_ISSUER"))
    read(_provider, issuer, get("OIDC_CLIENT_ID"), get("OIDC_CLIENT_SECRET"))
    if problems or level is None or private is None or lease is None or poll is None:
        raise SettingsError(*problems)
    return Settings(
        data_dir=data_dir,
        database_url=database_url,
        public_url=public_url,
        secret_key=get("SECRET_KEY") or None,
        anthropic_api_key=get("ANTHROPIC_API_KEY") or None,
        ai_model=get("AI_MODEL") or "claude-sonnet-4-5",
        ai_base_url=ai_base_url,
        allow_private_hosts=private,
        lockdown=lockdown is not False,
        log_level=level,
        import_dir=Path(get("IMPORT_DIR") or data_dir / "imports").expanduser(),
        engine_lease_seconds=lease,
        mailbox_poll_seconds=poll,
        tls_ca_file=ca_file,
        smtp_url=smtp_url,
        oidc_issuer=issuer,
        oidc_client_id=get("OIDC_CLIENT_ID") or None,
        oidc_client_secret=get("OIDC_CLIENT_SECRET") or None,
        oidc_name=get("OIDC_NAME") or "your provider",
        trusted_proxies=proxies,
        cors_origins=origins or None,
    )
