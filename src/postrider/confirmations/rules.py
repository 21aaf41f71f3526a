"""How far a yes reaches. Pure."""

from typing import Final

MOST_GIVEN_BACK: Final = 3
"""How often a yes is given back after a call that came to nothing. Without an end to it, one yes would let an agent try
a server, or the addresses on it, as often as it likes."""
