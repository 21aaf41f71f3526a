"""From which day to which: the range that figures are asked for."""

from datetime import date
from typing import Annotated, Final

from pydantic import Field

from postrider.kernel.errors import InvalidInput

MAX_DAYS: Final = 366
DEFAULT_DAYS: Final = 30
_FIRST_DAY: Final = date(2000, 1, 1)
_LAST_DAY: Final = date(2200, 12, 31)

FirstDay = Annotated[date | None, Field(alias="from", description="First day counted (UTC), such as 2026-03-01.")]
LastDay = Annotated[date | None, Field(description="Last day counted (UTC), such as 2026-03-31.")]


def check_days(start: date | None, end: date | None) -> None:
    """Raises: InvalidInput for days out of range, in the wrong order, or more than MAX_DAYS apart."""
    for field, day in (("from", start), ("to", end)):
        if day is not None and not _FIRST_DAY <= day <= _LAST_DAY:
            raise InvalidInput(
                f"{field} does not lie between {_FIRST_DAY} and {_LAST_DAY}.",
                field=field,
                hint="Give days as YYYY-MM-DD, or leave them out.",
            )
    if start is None or end is None:
        return
    if end < start:
        raise InvalidInput("to lies before from.", field="to", hint="Give days as YYYY-MM-DD, the earlier one as from.")
    if (end - start).days >= MAX_DAYS:
        raise InvalidInput(f"The range is longer than {MAX_DAYS} days.", field="from", hint="Ask for a year at a time.")
