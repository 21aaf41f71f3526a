"""``python -m postrider``."""

from postrider.doors.cli import main

main()
