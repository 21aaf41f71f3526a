"""``people``: who may sign in, letting somebody in, and passwords."""

import asyncio
import json
from typing import Final

import typer
from sqlalchemy.orm import Session

from postrider.access import people as known
from postrider.access.links import KEY, RESET_MS, make_link
from postrider.access.passwords import hash_password
from postrider.access.people_rules import ROLES, check_email, check_new_password, check_person_name
from postrider.app import App
from postrider.audit.personal import record_personal
from postrider.audit.queries import Deed, record
from postrider.doors.cli.opening import cli_actor, opened
from postrider.doors.cli.words import remark, say
from postrider.kernel.errors import InvalidInput
from postrider.kernel.secret import Secret
from postrider.settings import plain_address

_USUAL_ADDRESS: Final = "http://127.0.0.1:8025"


def show(as_json: bool) -> None:
    """Prints everybody."""
    everybody = asyncio.run(_everybody())
    if as_json:
        rows = [
            {
                "userId": each.id,
                "email": each.email,
                "name": each.name,
                "signsInWith": each.signs_in,
                "workspaces": [place._asdict() for place in each.workspaces],
            }
            for each in everybody
        ]
        say(json.dumps(rows, indent=2))
        return
    for each in everybody:
        places = ", ".join(f"{place.name} ({place.role})" for place in each.workspaces) or "no workspace"
        say(f"{each.email}  {each.name}; signs in with {each.signs_in}; {places}")
    if not everybody:
        say("Nobody yet. Run: postrider serve, and open the link that it prints.")


def add(email: str, name: str, role: str, workspace: str | None, url: str | None) -> None:
    """Lets somebody into a workspace, or gives them another role there, and prints a link for them.

    ``url``: what the link begins with, if not the public address, else the usual one.
    """
    address, words, base = check_email(email), check_person_name(name, "--name"), _checked_url(url)
    before, link = asyncio.run(_add(address, words, role, workspace, base))
    say(f"{address} {_change(before, role)}. This link sets their password; it works once, within an hour:")
    say(link)
    _remark_address(link)


def reset_link(email: str, url: str | None) -> None:
    """Prints a link with which somebody sets a new password. ``url``: see ``add``."""
    link = asyncio.run(_reset_link(check_email(email), _checked_url(url)))
    say(link)
    remark("It works once, within an hour, and older ones do not any more. Who opens it signs in as that person.")
    _remark_address(link)


def set_by_hand(email: str) -> None:
    """Asks for a password and sets it."""
    address = check_email(email)
    asyncio.run(_exists(address))
    password = check_new_password(
        typer.prompt("New password", hide_input=True, confirmation_prompt=True, err=True), address
    )
    asyncio.run(_set(address, Secret(password)))
    say(f"The password of {address} is set; they are signed out everywhere.")


async def _everybody() -> list[known.Known]:
    async with opened() as app:
        return await app.database.read(known.people)


async def _add(email: str, name: str, role: str, workspace: str | None, url: str | None) -> tuple[str | None, str]:
    async with opened() as app:
        actor, now = await cli_actor(app, workspace), app.clock.now()

        def write(session: Session) -> tuple[str | None, str]:
            person = known.find_person(session, email) or known.add_person(session, email, name, now)
            wanted = next(each for each in ROLES if each == role)
            before = known.add_member(session, actor.workspace_id, person.id, wanted, now)
            arguments = app.vault.fingerprint("arguments", json.dumps({"email": email, "role": role}, sort_keys=True))
            record(session, Deed(actor, "let_in", "write", "done", arguments, target_id=person.id), now)
            # Of somebody who belongs to other workspaces too, the link opens those as well.
            return before, _link(app, session, person.id, url, beside=actor.workspace_id)

        return await app.database.write(write)


async def _reset_link(email: str, url: str | None) -> str:
    async with opened() as app:
        return await app.database.write(lambda session: _link(app, session, known.named_person(session, email).id, url))


async def _exists(email: str) -> None:
    async with opened() as app:
        await app.database.read(lambda session: known.named_person(session, email).id)


async def _set(email: str, password: Secret) -> None:
    hashed = hash_password(password)
    async with opened() as app:
        now = app.clock.now()

        def write(session: Session) -> None:
            person = known.named_person(session, email)
            known.set_password(session, person.id, hashed)
            record_personal(session, person.id, "set_password", "cli", now)

        await app.database.write(write)


def _change(before: str | None, role: str) -> str:
    if before is None:
        return f"is in as {role}"
    return f"is {role}, as before" if before == role else f"was {before}, is {role} now"


def _checked_url(url: str | None) -> str | None:
    """What links begin with. Raises: InvalidInput."""
    address = None if url is None else plain_address(url)
    if url is not None and address is None:
        raise InvalidInput(
            "--url is not a plain http(s) address.", field="url", hint=f"Example: --url {_USUAL_ADDRESS}"
        )
    return address


def _remark_address(link: str) -> None:
    if link.startswith(f"{_USUAL_ADDRESS}/"):
        remark(
            f"The link begins with the usual address, {_USUAL_ADDRESS}. Where the server listens elsewhere, make "
            "another one with --url and the address that postrider serve has printed, or set POSTRIDER_PUBLIC_URL."
        )


def _link(app: App, session: Session, user_id: str, url: str | None, beside: str | None = None) -> str:
    token = make_link(session, app.vault.derive(KEY), "reset", user_id, RESET_MS)
    record_personal(session, user_id, "make_reset_link", "cli", app.clock.now(), beside=beside)
    return f"{url or app.settings.public_url or _USUAL_ADDRESS}/reset/{token.reveal()}"
