"""The words for the state of a job."""

from typing import Final, Literal

JobState = Literal["waiting", "running", "finished", "failed", "cancelled"]

OPEN: Final = ("waiting", "running")
ENDED: Final = ("finished", "failed", "cancelled")
