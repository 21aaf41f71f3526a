"""Fresh Message-IDs."""

from postrider.kernel.ids import random_text


def new_message_token() -> str:
    """The random left part of a Message-ID (100 bits)."""
    return random_text(20)
