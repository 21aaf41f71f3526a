"""Finds the app behind a client id: a registered one, or one whose metadata document stands at an https address."""

import time
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

import structlog

from postrider.doors.installation import Installation
from postrider.doors.rest.body import parse_object
from postrider.doors.web.throttle import Throttle
from postrider.grants.clients import Client, find_client, keep_document
from postrider.grants.descriptions import read_document
from postrider.grants.ports import ClientDocuments
from postrider.grants.rules import document_problem, is_document
from postrider.grants.tables import CLIENT_ID_CHARACTERS
from postrider.kernel.errors import InvalidInput, NotFound
from postrider.storage.leases import wall_ms_now

FETCHES_PER_HOST: Final = 10
FETCHES: Final = 60
_WINDOW_SECONDS: Final = 60
_EVERYBODY: Final = ""
_log: Final = structlog.get_logger("postrider.oauth")


class Clients:
    """The apps that this server knows or can get to know."""

    def __init__(self, installation: Installation, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._database = installation.database
        self._documents = installation.port(ClientDocuments)
        self._per_host = Throttle(FETCHES_PER_HOST, _WINDOW_SECONDS, monotonic)
        self._in_all = Throttle(FETCHES, _WINDOW_SECONDS, monotonic)

    async def known(self, client_id: str) -> Client | None:
        """The app of that id as it is stored, without fetching anything."""
        if len(client_id) > CLIENT_ID_CHARACTERS or not client_id.isascii() or not client_id.isprintable():
            return None
        return await self._database.read(lambda session: find_client(session, client_id, wall_ms_now()))

    async def find(self, client_id: str) -> Client:
        """The app of that id, its document fetched if it is not known or was fetched long ago.

        Raises: NotFound, InvalidInput for a document that does not fit, LimitReached, Upstream.
        """
        client = await self.known(client_id)
        if client is not None and client.fresh:
            return client
        if not is_document(client_id):
            raise NotFound("No app of that id is registered here (any more).", hint="Let the app register again.")
        problem = document_problem(client_id)
        if problem is not None:
            raise InvalidInput(f"The app's id {problem}.", field="client_id")
        await self._fetch(client_id)
        found = await self.known(client_id)
        assert found is not None
        return found

    async def _fetch(self, url: str) -> None:
        self._per_host.take(urlsplit(url).netloc.lower())
        self._in_all.take(_EVERYBODY)
        _log.info("client_document_fetched", host=urlsplit(url).hostname)
        body = await self._documents.fetch(url)
        description = read_document(url, _object_in(body))
        await self._database.write(lambda session: keep_document(session, url, description, wall_ms_now()))


def _object_in(body: bytes) -> Mapping[str, object]:
    try:
        return parse_object(body, "application/json")
    except InvalidInput:
        raise InvalidInput("The app's description is not a JSON object.", field="client_id") from None
