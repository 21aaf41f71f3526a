"""``init``: an owner, a workspace, and the keys that are shown once."""

import asyncio
import json
import re
from typing import Final

from postrider.access.queries import NewOwner, create_owner
from postrider.doors.cli.opening import opened
from postrider.doors.cli.words import say
from postrider.doors.installation import Installation
from postrider.kernel.errors import InvalidInput

# Only a name to sign in with, possibly of this machine; mail goes through the strict parser in content/addresses.py.
_ADDRESS: Final = re.compile(r"[^\s@<>,;\x00-\x1f]+@[^\s@<>,;\x00-\x1f]+")
_LONGEST: Final = 200


def create(email: str, name: str, workspace: str, as_json: bool) -> None:
    """Makes owner, workspace and keys, and prints them."""
    owner = asyncio.run(_create(_address(email), _text(name, "--name"), _text(workspace, "--workspace")))
    facts = {
        "userId": owner.user_id,
        "workspaceId": owner.workspace_id,
        "platformKey": owner.platform_key.reveal(),
        "workspaceKey": owner.workspace_key.reveal(),
    }
    if as_json:
        say(json.dumps(facts))
        return
    say(f"Workspace      {facts['workspaceId']}  ({workspace.strip()})")
    say(f"Workspace key  {facts['workspaceKey']}")
    say(f"Platform key   {facts['platformKey']}  (reaches every workspace of this owner, each named in X-Workspace-Id)")
    say("Keep the keys now: they are stored as hashes and cannot be shown again.")
    say("Next: postrider serve")


async def add_owner(installation: Installation, email: str, name: str, workspace: str) -> NewOwner:
    """The new owner, in a transaction of its own."""
    pepper, now = installation.vault.derive("api-keys"), installation.clock.now()
    return await installation.database.write(lambda session: create_owner(session, pepper, email, name, workspace, now))


async def _create(email: str, name: str, workspace: str) -> NewOwner:
    async with opened() as app:
        return await add_owner(app, email, name, workspace)


def _address(text: str) -> str:
    address = text.strip().lower()
    if not _ADDRESS.fullmatch(address) or len(address) > _LONGEST:
        raise InvalidInput("--email is not an address.", hint="Example: --email you@example.com")
    return address


def _text(text: str, option: str) -> str:
    words = " ".join(text.split())
    if not words or len(words) > _LONGEST or not words.isprintable():
        raise InvalidInput(f"{option} has to be 1 to {_LONGEST} printable characters.")
    return words
