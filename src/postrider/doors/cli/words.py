"""What the command line says: answers on stdout, everything else on stderr, errors in one line with the next step."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer


def say(text: str = "") -> None:
    """One line of an answer."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def remark(text: str) -> None:
    """One line beside the answer."""
    sys.stderr.write(f"{text}\n")


def complain(message: str, hint: str | None = None) -> None:
    """An error in words, with what to do."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(Text.assemble(("Error: ", "bold red"), message))
    if hint:
        console.print(Text.assemble(("What to do: ", "bold"), hint))


@contextmanager
def explained() -> Iterator[None]:
    """Turns errors that a person can mend into words and exit status 1; a bug keeps its traceback."""
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:
        words = _words(error)
        if words is None:
            raise
        complain(*words)
        raise typer.Exit(1) from None


def _words(error: Exception) -> tuple[str, str | None] | None:
    # Imported here: all of this is loaded already when one of these errors is raised.
    from postrider.kernel.errors import PostriderError
    from postrider.kernel.vault import VaultError
    from postrider.settings import SettingsError
    from postrider.storage.schema import SchemaError

    if isinstance(error, PostriderError):
        return error.message, error.hint
    if isinstance(error, SettingsError | VaultError | SchemaError):
        return str(error), None
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename} cannot be used: {error.strerror}.", "Check the path and who owns it."
    return _database_words(error)


def _database_words(error: Exception) -> tuple[str, str | None] | None:
    import sqlite3

    from sqlalchemy.exc import DBAPIError

    from postrider.storage.away import is_away

    if isinstance(error, sqlite3.Error):
        return f"The database file cannot be used: {error}.", "Run: postrider doctor"
    if not isinstance(error, DBAPIError) or not is_away(error):
        return None
    # The driver's first line names host and reason, never the password.
    reason = str(error.orig).strip().splitlines()[0] if error.orig else "no answer"
    return f"The database cannot be reached: {reason}", "Check POSTRIDER_DATABASE_URL, or run: postrider doctor"
