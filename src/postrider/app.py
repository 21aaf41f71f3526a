"""The composition root: settings → database, adapters, engine, doors. The only file that knows all of them."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

from postrider.access.ports import IdentityProvider, SystemMail
from postrider.catalogue import load_catalogue
from postrider.dispatch import Dispatcher
from postrider.grants.ports import ClientDocuments
from postrider.inbox.ports import MailReader
from postrider.kernel.clock import Clock, SystemClock
from postrider.kernel.events import Signals
from postrider.kernel.vault import Vault, load_or_create_key
from postrider.mailboxes.ports import AccountChecker
from postrider.sending.ports import MailTransport
from postrider.settings import Settings
from postrider.storage.canary import check_key
from postrider.storage.database import Database, open_database
from postrider.storage.schema import prepare_schema

if TYPE_CHECKING:
    from postrider.adapters.egress import Egress
    from postrider.adapters.routing import MailRouter
    from postrider.adapters.sandbox import Sandbox
    from postrider.engine.worker import Engine

T = TypeVar("T")


class Closing(Protocol):
    """Holds connections or processes."""

    async def close(self) -> None:
        """Ends them."""


@dataclass(frozen=True, slots=True)
class App:
    """One running installation, without its doors and loops. ``opened``: what ``close`` has to end."""

    settings: Settings
    database: Database
    vault: Vault
    clock: Clock
    signals: Signals
    ports: Mapping[type, object]
    dispatcher: Dispatcher
    opened: list[Closing] = field(default_factory=list)

    def port(self, kind: type[T]) -> T:
        """The adapter behind the port ``kind``."""
        adapter: T = self.ports[kind]  # type: ignore[assignment]  # keyed by its own type below
        return adapter

    async def close(self) -> None:
        """Ends the parsing processes, the connections to mail servers, and those to the database."""
        for each in reversed(self.opened):
            await each.close()
        await self.database.close()


def build(
    settings: Settings,
    *,
    clock: Clock | None = None,
    ports: Mapping[type, object] | None = None,
    sandbox: "Sandbox | None" = None,
) -> App:
    """The installation that ``settings`` describes, its database ready to use.

    ``clock``: a virtual one for the demo and tests. ``ports``: adapters to use instead of the usual ones. ``sandbox``:
    the provider behind sandbox mailboxes, when its owner wants to watch it. Raises: SchemaError, VaultError.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    vault = Vault(load_or_create_key(settings.secret_key, settings.data_dir / "secret.key"))
    prepare_schema(settings)
    check_key(settings, vault)
    database = open_database(settings)
    time = clock or SystemClock()
    signals = Signals()
    router, models = _adapters(settings, time, sandbox)
    adapters: dict[type, object] = {MailTransport: router, MailReader: router, AccountChecker: router, **models}
    opened: list[Closing] = [router]
    adapters |= _for_people(settings, time, opened)
    adapters |= ports or {}
    dispatcher = Dispatcher(load_catalogue(), database, settings, vault, time, signals, adapters)
    return App(settings, database, vault, time, signals, adapters, dispatcher, opened)


def _adapters(settings: Settings, clock: Clock, sandbox: "Sandbox | None") -> "tuple[MailRouter, dict[type, object]]":
    from postrider.adapters.client_documents import FetchedDocuments
    from postrider.adapters.egress import Egress
    from postrider.adapters.imap import ImapReader
    from postrider.adapters.routing import MailRouter
    from postrider.adapters.sandbox import Sandbox
    from postrider.adapters.smtp import SmtpTransport

    egress = Egress(settings.allow_private_hosts)
    router = MailRouter(
        SmtpTransport(egress, tls_context=lambda: _tls(settings)),
        ImapReader(egress, tls_context=lambda: _tls(settings)),
        sandbox or Sandbox(clock),
    )
    documents = FetchedDocuments(tls_context=lambda: _tls(settings))
    return router, {ClientDocuments: documents, **_models(settings, egress)}


def _models(settings: Settings, egress: "Egress") -> dict[type, object]:
    """The language model, where a key for one is set; its adapters take long to import."""
    if settings.anthropic_api_key is None:
        return {}
    from postrider.adapters.anthropic_model import reply_model
    from postrider.adapters.http import HttpClient
    from postrider.agents.ports import ReplyModel

    http = HttpClient(egress, plain=settings.allow_private_hosts, tls_context=lambda: _tls(settings))
    return {ReplyModel: reply_model(settings, http)}


def _for_people(settings: Settings, clock: Clock, opened: list[Closing]) -> dict[type, object]:
    """What signing people in needs of the outside world, where it is set up. ``opened``: grows by what is to close."""
    from postrider.adapters.egress import Egress

    found: dict[type, object] = {}
    egress = Egress(settings.allow_private_hosts)
    if settings.smtp_url is not None:
        from postrider.adapters.smtp import SmtpTransport
        from postrider.adapters.system_mail import SmtpSystemMail

        transport = SmtpTransport(egress, tls_context=lambda: _tls(settings))
        found[SystemMail] = mail = SmtpSystemMail(transport, settings.smtp_url, clock)
        opened.append(mail)
    if settings.oidc_issuer is not None and settings.oidc_client_id is not None:
        from postrider.adapters.http import HttpClient
        from postrider.adapters.oidc import OpenIdProvider
        from postrider.kernel.secret import Secret

        http = HttpClient(egress, plain=settings.allow_private_hosts, tls_context=lambda: _tls(settings))
        secret = Secret(settings.oidc_client_secret) if settings.oidc_client_secret is not None else None
        found[IdentityProvider] = OpenIdProvider(
            http, settings.oidc_issuer, settings.oidc_client_id, secret, settings.oidc_name
        )
    return found


def _tls(settings: Settings) -> ssl.SSLContext:
    """TLS that verifies certificates and host names, by the system's authorities and the one in the settings."""
    from postrider.adapters.tls import verified_tls

    return verified_tls(settings.tls_ca_file)


def engine_of(app: App) -> "Engine":
    """The engine of an installation, not yet running."""
    from postrider.adapters.mail_parser import MailParser
    from postrider.engine.worker import Engine, Outside

    parser = MailParser()
    app.opened.append(parser)
    outside = Outside(app.port(MailTransport), app.port(MailReader), parser)
    return Engine(app.settings, app.database, app.vault, app.clock, app.signals, outside)


async def run_engine(app: App, stop: asyncio.Event) -> None:
    """Runs the engine until ``stop``, as soon as no other process of this data directory does."""
    from postrider.engine.worker import run_when_free

    await run_when_free(engine_of(app), stop)


async def run_job(app: App, workspace_id: str, job_id: str) -> None:
    """Runs one job to its end in this process, unless an engine has it."""
    from postrider.engine.jobs import run_pending

    await run_pending(app.database, app.clock, app.signals, workspace_id, job_id)
