"""A campaign as the planner, the sender and the preview read it: its documents parsed, its templates compiled, once."""

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from sqlalchemy import Connection, select
from sqlalchemy.orm import Session

from postrider.campaigns.compiling import CompiledVariant, compile_variant
from postrider.campaigns.documents import ScheduleInput, SettingsInput, StepInput
from postrider.campaigns.sequence import EmailStep, email_steps
from postrider.campaigns.tables import Campaign
from postrider.sending.plan_state import CampaignState, Step
from postrider.sending.windows import HolidayRule, Window

_KEPT: Final = 256


@dataclass(slots=True)
class Program:
    """One revision of a campaign. Templates are compiled when first used."""

    workspace_id: str
    campaign_id: str
    revision: int
    name: str
    schedule: ScheduleInput
    settings: SettingsInput
    mailbox_ids: tuple[str, ...]
    emails: list[EmailStep]
    window: Window
    _compiled: dict[str, list[CompiledVariant]] = field(default_factory=dict)

    def variants(self, email: EmailStep) -> list[CompiledVariant]:
        """The compiled variants of one email. Raises: TemplateError naming the step's field and the offset."""
        known = self._compiled.get(email.id)
        if known is None:
            known = [compile_variant(email.step, variant, f"sequence[{email.order}]") for variant in email.variants]
            self._compiled[email.id] = known
        return known

    def wait_after(self, position: int) -> int | None:
        """Seconds between email ``position`` and the next one; None when it is the last."""
        return self.emails[position + 1].wait_seconds if position + 1 < len(self.emails) else None

    def state(self, day: date, sent_today: int, new_today: int, credential_ids: tuple[str, ...] = ()) -> CampaignState:
        """The campaign as the planner sees it, with what it has used of ``day``.

        ``credential_ids``: those whose limits it is held to.
        """
        return CampaignState(
            campaign_id=self.campaign_id,
            window=self.window,
            use_lead_timezone=self.schedule.use_lead_timezone,
            daily_cap=self.settings.daily_send_limit,
            new_leads_cap=self.settings.new_leads_per_day,
            interval_seconds=self.settings.email_interval_minutes * 60,
            mailbox_ids=self.mailbox_ids,
            steps=tuple(Step(email.id, email.wait_seconds) for email in self.emails),
            day=day,
            sent_today=sent_today,
            new_today=new_today,
            credential_ids=credential_ids,
        )


def window_of(schedule: ScheduleInput) -> Window:
    """The sending window of a schedule. Raises: ValueError when start and end are equal."""
    return Window(
        zone=schedule.timezone,
        start_minute=_minutes(schedule.start_time),
        end_minute=_minutes(schedule.end_time),
        weekdays=frozenset(schedule.working_days),
        holidays=HolidayRule() if schedule.skip_national_holidays else None,
    )


def _minutes(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])


def read_program(row: Campaign) -> Program:
    """The program of a stored campaign."""
    schedule = ScheduleInput.model_validate(row.schedule)
    return Program(
        workspace_id=row.workspace_id,
        campaign_id=row.id,
        revision=row.revision,
        name=row.name,
        schedule=schedule,
        settings=SettingsInput.model_validate(row.settings),
        mailbox_ids=tuple(row.mailbox_ids),
        emails=email_steps([StepInput.model_validate(step) for step in row.sequence]),
        window=window_of(schedule),
    )


class Programs:
    """The programs used last, by campaign and revision. One per process; safe to share between threads."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str, int], Program] = OrderedDict()

    def of(self, row: Campaign) -> Program:
        """The program of ``row``, read again only when its revision has changed."""
        key = (row.workspace_id, row.id, row.revision)
        program = self._known.get(key)
        if program is None:
            program = self._known[key] = read_program(row)
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return program

    def load(self, connection: Connection, workspace_id: str, campaign_id: str) -> Program:
        """The program of a stored campaign as it is now. Raises: NoResultFound."""
        query = select(Campaign).where(Campaign.workspace_id == workspace_id, Campaign.id == campaign_id)
        return self.of(Session(bind=connection).scalars(query).one())
