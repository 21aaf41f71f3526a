"""What a workspace has decided for all of its mail is in every email of its campaigns, and in what is shown before."""

from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest

from postrider.access.house import House, change_house, house_of
from postrider.campaigns.documents import SettingsInput
from postrider.campaigns.launch import COPIES_SHARE_THE_LINK, NO_LEGAL_LINES, NO_UNSUBSCRIBE_HEADERS
from postrider.kernel.errors import InvalidInput
from tests.conftest import Installation
from tests.engine.world import USERS, World, make_world, pass_time, running_engine
from tests.integration.smtp_rig import transport_with
from tests.integration.smtp_sink import SmtpSink

ADDRESS = "Acme <Ltd> & Co, 12 High Street"
OPT_OUT = "Not interested? Reply with stop."


async def decide(installation: Installation, **changes: str | bool) -> House:
    workspace_id, now = installation.ann.workspace_id, installation.clock.now()
    return await installation.app.database.write(lambda s: change_house(s, workspace_id, changes, now))


async def sent_mail(installation: Installation, settings: SettingsInput | None = None) -> tuple[EmailMessage, World]:
    """The one email of a campaign to one lead."""
    async with SmtpSink(users=USERS) as sink:
        world = await make_world(installation, port=sink.port, leads=1, settings=settings)
        async with running_engine(installation, transport_with()) as engine:
            await pass_time(installation, engine, timedelta(hours=1))
    [accepted] = sink.accepted
    message = message_from_bytes(accepted.data, policy=policy.SMTP)
    assert isinstance(message, EmailMessage)
    return message, world


def part(message: EmailMessage, kind: str) -> str:
    found: Any = message.get_body((kind,))
    return str(found.get_content())


async def test_the_lines_stand_under_every_email_and_in_its_preview(installation: Installation) -> None:
    await decide(installation, postal_address=ADDRESS, opt_out_line=OPT_OUT)
    message, world = await sent_mail(installation)
    assert part(message, "plain").rstrip().endswith(f"{OPT_OUT}\r\n{ADDRESS}")
    assert f"{OPT_OUT}<br>Acme &lt;Ltd&gt; &amp; Co, 12 High Street</p>" in part(message, "html")
    seen = await installation.call(
        "preview_email",
        id=world.campaign_id,
        sequenceStep=0,
        leadId=world.lead_ids[0],
        mailboxId=world.mailbox_ids[0],
    )
    assert seen["text"].endswith(f"{OPT_OUT}\n{ADDRESS}") and "&lt;Ltd&gt;" in seen["body"]


@pytest.mark.parametrize("wanted", [True, False])
async def test_unsubscribe_headers_are_sent_unless_the_workspace_turns_them_off(
    installation: Installation, wanted: bool
) -> None:
    await decide(installation, unsubscribe_headers=wanted)
    message, _ = await sent_mail(installation)
    assert ("List-Unsubscribe" in message) is wanted
    running = await make_world(installation, port=1, mailboxes=0, emails=["other@other.test"])
    shown = await installation.call("get_campaign", id=running.campaign_id)
    assert (NO_UNSUBSCRIBE_HEADERS in shown["warnings"]) is not wanted


async def test_the_warning_about_legal_lines_says_what_to_do_and_goes_away(installation: Installation) -> None:
    world = await make_world(installation, port=1, leads=1)
    assert "postrider workspace set --postal-address" in NO_LEGAL_LINES
    assert NO_LEGAL_LINES in (await installation.call("get_campaign", id=world.campaign_id))["warnings"]
    await decide(installation, opt_out_line=OPT_OUT)
    assert NO_LEGAL_LINES not in (await installation.call("get_campaign", id=world.campaign_id))["warnings"]


async def test_copies_that_carry_the_lead_s_link_are_warned_of_everywhere(installation: Installation) -> None:
    copied = SettingsInput(email_interval_minutes=0, cc=["boss@acme.test"])
    world = await make_world(installation, port=1, leads=1, settings=copied)
    about = {"id": world.campaign_id}
    seen = await installation.call(
        "preview_email", **about, sequenceStep=0, leadId=world.lead_ids[0], mailboxId=world.mailbox_ids[0]
    )
    plan = await installation.call("plan_campaign", **about)
    await installation.call("pause_campaign", **about)
    started = await installation.call("start_campaign", **about)
    for answer in (seen, plan, started):
        assert COPIES_SHARE_THE_LINK in answer["warnings"]


async def test_a_subject_that_is_not_one_line_is_refused_before_it_is_shown(installation: Installation) -> None:
    world = await make_world(installation, port=1, leads=1)
    about = {"id": world.campaign_id, "leadId": world.lead_ids[0], "mailboxId": world.mailbox_ids[0]}
    for subject in ("Hello\r\nBcc: x@y.test", "Hello\nthere"):
        with pytest.raises(InvalidInput) as refused:
            await installation.call("preview_email", **about, sequenceStep=0, contentOverride={"subject": subject})
        assert refused.value.field == "contentOverride.subject"


async def test_a_workspace_decides_for_itself(installation: Installation) -> None:
    await decide(installation, postal_address=ADDRESS)
    bobs = installation.bob.workspace_id
    assert await installation.app.database.read(lambda s: house_of(s, bobs)) == House()
