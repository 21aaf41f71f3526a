"""What a door needs of the installation behind it. The composition root's App has it all."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeVar

from postrider.dispatch import Dispatcher
from postrider.kernel.clock import Clock
from postrider.kernel.context import Actor
from postrider.kernel.vault import Vault
from postrider.settings import Settings
from postrider.storage.database import Database

T = TypeVar("T")
RunJob = Callable[[Actor, str], Awaitable[None]]
"""Runs one job (by its id) to its end in this process: for processes without an engine."""


class Installation(Protocol):
    """One running installation, as doors see it."""

    @property
    def settings(self) -> Settings:
        """What the operator chose."""
        ...

    @property
    def database(self) -> Database:
        """The way to the data."""
        ...

    @property
    def vault(self) -> Vault:
        """The installation's keys."""
        ...

    @property
    def clock(self) -> Clock:
        """Business time."""
        ...

    @property
    def dispatcher(self) -> Dispatcher:
        """The runner of operations, with their catalogue."""
        ...

    def port(self, kind: type[T]) -> T:
        """The adapter behind the port ``kind``."""
        ...

    @property
    def ports(self) -> Mapping[type, object]:
        """The adapters, by the port that each implements."""
        ...
