"""The engine on whose behalf sends are claimed."""

from dataclasses import dataclass

from postrider.kernel.vault import Vault
from postrider.sending.program import Programs


@dataclass(frozen=True, slots=True)
class Claimant:
    """The engine that claims, and what it plans with."""

    owner: str
    programs: Programs
    vault: Vault

    @property
    def seed(self) -> bytes:
        """What every deterministic choice of this installation starts from."""
        return self.vault.derive("choices")
