"""Which spintax option a message gets: always the same one for the same lead, step and variant."""

from dataclasses import dataclass

from postrider.kernel.keyed import keyed_digest


@dataclass(frozen=True, slots=True)
class Chooser:
    """Repeatable choices, so that the preview, the send and a retry all read alike."""

    seed: bytes
    campaign_id: str
    lead_id: str
    step_id: str
    variant: str

    def pick(self, position: int, count: int) -> int:
        """The option, from 0 to ``count - 1``, for the choice at this position of the template."""
        message = f"{self.campaign_id}|{self.lead_id}|{self.step_id}|{self.variant}|{position}"
        return int.from_bytes(keyed_digest(self.seed, message.encode()), "big") % count
