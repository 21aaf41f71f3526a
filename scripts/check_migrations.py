"""Checks that the revision the program asks for is the newest migration there is; exits with 1 when it is not.

python -m scripts.check_migrations
"""

import sys
from collections.abc import Iterator

from alembic.config import Config
from alembic.script import ScriptDirectory

from postrider.storage.schema import HEAD, MIGRATIONS, known_revisions


def problems() -> Iterator[str]:
    """What is wrong with the chain of migrations, if anything."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    heads = ScriptDirectory.from_config(config).get_heads()
    if heads != [HEAD]:
        yield f"storage/schema.py: HEAD is {HEAD}, the newest migration is {' and '.join(heads) or 'missing'}"
    newest = max(known_revisions(), default="nothing")
    if newest != HEAD:
        yield f"storage/migrations: the files are numbered up to {newest}, not {HEAD}"


def main() -> int:
    """Prints the problems; the exit status is 1 when there are any."""
    found = list(problems())
    for problem in found:
        sys.stdout.write(f"{problem}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
