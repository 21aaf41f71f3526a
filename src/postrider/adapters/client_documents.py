"""Fetches the documents by which OAuth clients describe themselves: any stranger can name the address."""

import ssl
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Final

from postrider.adapters.egress import Egress
from postrider.adapters.tls import verified_tls
from postrider.kernel.errors import Upstream

if TYPE_CHECKING:
    from postrider.adapters.http import HttpClient

MOST_BYTES: Final = 64 * 1024
TIMEOUT_SECONDS: Final = 5.0
_JSON: Final = "application/json"


class FetchedDocuments:
    """See ClientDocuments. Only public hosts over https: no setting opens private ones to strangers' addresses."""

    def __init__(
        self, egress: Egress | None = None, *, tls_context: Callable[[], ssl.SSLContext] = verified_tls
    ) -> None:
        """``egress``: another guard, for tests on loopback."""
        self._egress = egress or Egress(allow_private=False)
        self._tls_context = tls_context

    async def fetch(self, url: str) -> bytes:
        """See ClientDocuments. A redirect is an answer like any other that is not the document."""
        from postrider.adapters.http import HttpRequest

        request = HttpRequest(
            "GET", url, {"accept": _JSON}, timeout_seconds=TIMEOUT_SECONDS, max_answer_bytes=MOST_BYTES
        )
        answer = await self._http.send(request)
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        if answer.status != 200 or not (kind == _JSON or kind.endswith("+json")):
            raise Upstream("There is no client metadata document.", retryable=False, code="NO_CLIENT_DOCUMENT")
        return answer.body

    @cached_property
    def _http(self) -> "HttpClient":
        # Made on first use: most processes never fetch one, and the client takes long to import.
        from postrider.adapters.http import HttpClient

        return HttpClient(self._egress, tls_context=self._tls_context)
