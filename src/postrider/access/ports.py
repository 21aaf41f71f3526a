"""What signing people in needs of the outside world."""

from dataclasses import dataclass
from typing import Protocol

from postrider.kernel.secret import Secret


class SystemMail(Protocol):
    """Sends mail of the installation itself to its own people."""

    async def send(self, recipient: str, subject: str, text: str) -> None:
        """Hands one message over. Raises: Upstream."""


@dataclass(frozen=True, slots=True)
class Journey:
    """A person on their way to the provider and back. ``verifier`` and ``nonce`` are the installation's secrets until
    they return; ``state`` comes back with them."""

    state: str
    nonce: str
    verifier: Secret
    return_to: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom the provider says that it has seen. ``verified_email``: lower case; None unless it says it is verified."""

    issuer: str
    subject: str
    verified_email: str | None


class IdentityProvider(Protocol):
    """An OpenID Connect provider that people sign in through."""

    @property
    def name(self) -> str:
        """What its people call it."""
        ...

    async def way_there(self, journey: Journey) -> str:
        """The address at the provider to send the browser to. Raises: Upstream."""

    async def identity(self, journey: Journey, code: str, issuer: str | None) -> Identity:
        """Who has come back with ``code``. ``issuer``: the iss parameter, if one came. Raises: Upstream, Forbidden."""
