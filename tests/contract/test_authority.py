"""Every operation with every kind of credential, scope and autonomy, against the table that is checked in."""

from pathlib import Path

import pytest

from postrider.catalogue import load_catalogue
from postrider.kernel.context import Actor
from postrider.kernel.operation import Effect
from postrider.kernel.policy import covered_scopes
from postrider.settings import Settings, load_settings
from tests.conftest import Installation
from tests.contract.authority import GRAVE, NOT_A_FIELD, TABLE, table
from tests.features.safety_rig import caller, refused

OPERATIONS = list(load_catalogue())


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Authority is asked before any data: one database shows it."""
    return load_settings({"POSTRIDER_DATA_DIR": str(tmp_path)})


async def test_authority_is_what_the_table_says(installation: Installation) -> None:
    found = (await table(installation)).splitlines()
    wanted = TABLE.read_text().splitlines()
    changed = [line for line in found if line not in wanted] + [f"gone: {line}" for line in wanted if line not in found]
    assert not changed, "read the difference, then: python -m tests.contract.authority\n" + "\n".join(changed)


def test_every_operation_that_asks_has_a_call_that_does() -> None:
    asks = {operation.name for operation in OPERATIONS if operation.confirm is not None}
    assert asks <= set(GRAVE), "give it a row in GRAVE of tests/contract/authority.py"


def test_whatever_sends_destroys_or_connects_asks_or_stops_something() -> None:
    """What needs one of these scopes and asks nobody is named here, with the reason."""
    harmless = {
        "cancel_scheduled_reply": "keeps a reply from leaving",
        "revoke_api_key": "takes power away",
        "revoke_connected_app": "takes power away",
        "export_audit_events": "gives a file to whoever may list the same events",
    }
    silent = {
        operation.name
        for operation in OPERATIONS
        if operation.scope in ("send", "delete", "administer")
        and operation.effect is not Effect.READ
        and operation.confirm is None
    }
    assert silent <= set(harmless), "an operation of such a scope wants confirm=, or a reason"


def test_the_scope_that_sends_reaches_neither_servers_nor_keys_nor_deletes() -> None:
    sending = covered_scopes(["send"])
    scopes = {operation.name: operation.scope for operation in OPERATIONS}
    for name in ("create_mailbox", "create_api_key"):
        assert scopes[name] == "administer"
    assert sending == {"read", "prepare", "send"}
    assert not {"send", "delete"} & covered_scopes(["administer"]) and "administer" not in covered_scopes(["delete"])


@pytest.mark.parametrize("scopes", [["read"], ["send"], ["delete"], ["prepare", "send", "delete"]])
async def test_without_administer_no_mailbox_is_connected(installation: Installation, scopes: list[str]) -> None:
    who = caller(installation, "free", scopes=covered_scopes(scopes))
    error = await refused(installation, who, "create_mailbox", email="new@ann.test", provider="sandbox")
    assert error.error_code == "INSUFFICIENT_SCOPE" and error.details == {"scope": "administer"}


async def test_a_narrowed_credential_reaches_its_toolsets_alone(installation: Installation) -> None:
    who: Actor = caller(installation, "free", toolsets=frozenset({"leads"}))
    for operation in OPERATIONS:
        error = await refused(installation, who, operation.name, **NOT_A_FIELD)
        inside = operation.toolset == "leads"
        assert error.error_code == ("VALIDATION_ERROR" if inside else "FORBIDDEN"), operation.name
