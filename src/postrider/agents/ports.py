"""What agents need of the outside world: a language model that writes, and can do nothing else."""

from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class Turn:
    """One part of what the model is shown."""

    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """All that the model is shown. ``system`` is ours alone; ``turns`` carry everybody else's words as data."""

    system: str
    turns: tuple[Turn, ...]
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Completion:
    """What the model wrote, and what it cost in tokens."""

    text: str
    model: str
    input_tokens: int
    output_tokens: int


class ReplyModel(Protocol):
    """A model without tools: text in, text out."""

    async def complete(self, prompt: Prompt) -> Completion:
        """The model's answer. Raises: Upstream; ``retryable`` says whether the same call may succeed later."""
