"""Where leads stand after an edit of the sequence, by where they stood before. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from postrider.campaigns.sequence import EmailStep, moved_positions


@dataclass(frozen=True, slots=True)
class Moves:
    """By old position: last attempted step, step to retry, step to come next. What stays where it is is left out.

    ``waits``: seconds before the step that comes next, where they have changed. ``ended``: nothing is left to send.
    """

    last: dict[int, int]
    retry: dict[int, int]
    following: dict[int, int]
    waits: dict[int, int]
    ended: frozenset[int]

    @classmethod
    def between(cls, before: Sequence[EmailStep], after: Sequence[EmailStep]) -> "Moves | None":
        """The moves from one sequence to the other; None when everybody stays and waits as before."""
        last = moved_positions(before, after)
        places = {step.id: step.position for step in after}
        retry = {step.position: places.get(step.id, last[step.position] + 1) for step in before}
        following = {0: 0} | {position + 1: floor + 1 for position, floor in last.items()}
        waits = {
            position: after[place].wait_seconds
            for position, place in following.items()
            # The first email has no wait before it; who waits for what has become first goes on waiting as long.
            if 0 < place < len(after)
            and position < len(before)
            and before[position].wait_seconds != after[place].wait_seconds
        }
        ended = frozenset(position for position in range(1, len(before)) if following[position] >= len(after))
        moves = cls(_changed(last), _changed(retry), _changed(following), waits, ended)
        found = (moves.last, moves.retry, moves.following, moves.waits, moves.ended)
        return moves if any(found) else None


def _changed(moves: dict[int, int]) -> dict[int, int]:
    return {before: after for before, after in moves.items() if before != after}
