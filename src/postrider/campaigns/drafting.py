"""From what a caller gives to the documents that are stored: merged, checked, compiled."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from postrider.campaigns.bodies import with_kept_bodies, with_kept_sequences
from postrider.campaigns.checking import (
    check_webhook,
    checked_schedule,
    checked_settings,
    chosen_mailboxes,
    merged,
    without_legacy,
)
from postrider.campaigns.compiling import check_texts
from postrider.campaigns.documents import (
    MailboxSelectors,
    ScheduleInput,
    SettingsInput,
    StepInput,
    Subsequence,
    SubsequenceInput,
)
from postrider.campaigns.queries import check_agent, mailbox_facts
from postrider.campaigns.sequence import normalise_sequence, read_steps
from postrider.campaigns.subsequences import normalise_subsequences
from postrider.kernel.context import Context
from postrider.kernel.errors import InvalidInput
from postrider.kernel.operation import Input
from postrider.kernel.secret import Secret
from postrider.storage.base import JsonObject

MAX_TEXT_CHARACTERS: Final = 500_000
"""Of a sequence, and of all subsequences: they are compiled in the transaction that stores them."""

SEALED: Final = "sealed:"
"""How a stored webhook secret starts; the rest is base64 of what the vault sealed."""


def webhook_secret_owner(workspace_id: str, campaign_id: str) -> str:
    """What a campaign's sealed webhook secret belongs to: it opens for this campaign only."""
    return f"{workspace_id}/{campaign_id}/webhook.secret"


def draft_sequence(given: Sequence[StepInput], stored: Sequence[Mapping[str, object]] = ()) -> list[JsonObject]:
    """The sequence to store. Raises: InvalidInput, TemplateError."""
    _check_amount_of_text([given], "sequence")
    check_texts(given, "sequence")
    return [_document(step) for step in normalise_sequence(with_kept_bodies(given), read_steps(stored))]


def draft_subsequences(
    given: Sequence[SubsequenceInput], stored: Sequence[Mapping[str, object]] = ()
) -> list[JsonObject]:
    """The subsequences to store. Raises: InvalidInput, TemplateError."""
    _check_amount_of_text([subsequence.sequence for subsequence in given], "subsequences")
    for index, subsequence in enumerate(given):
        check_texts(subsequence.sequence, f"subsequences[{index}].sequence")
    previous = [Subsequence.model_validate(document) for document in stored]
    return [_document(subsequence) for subsequence in normalise_subsequences(with_kept_sequences(given), previous)]


def draft_schedule(given: ScheduleInput, stored: Mapping[str, object] | None = None) -> JsonObject:
    """The schedule to store, with the given fields changed. Raises: InvalidInput."""
    return _document(checked_schedule(merged(ScheduleInput.model_validate(stored or {}), given)))


def draft_settings(
    ctx: Context, campaign_id: str, given: SettingsInput, stored: Mapping[str, object] | None = None
) -> JsonObject:
    """The settings to store, with the given fields changed and a secret sealed. Raises: InvalidInput."""
    check_webhook(given)
    if "ai_agent_id" in given.model_fields_set:
        check_agent(ctx, given.ai_agent_id)
    known = SettingsInput.model_validate(stored or {})
    return _document(checked_settings(merged(known, _sealed(ctx, campaign_id, without_legacy(given)))))


def draft_mailboxes(ctx: Context, wanted: MailboxSelectors) -> list[str]:
    """The ids of the mailboxes that the selectors choose now. Raises: InvalidInput."""
    return chosen_mailboxes(wanted, mailbox_facts(ctx.session, ctx.workspace_id)) if wanted.is_given else []


def _check_amount_of_text(sequences: Iterable[Sequence[StepInput]], field: str) -> None:
    total = sum(
        len(text or "")
        for steps in sequences
        for step in steps
        for source in (step, *(step.variants or ()))
        for text in (source.subject, source.body)
    )
    if total > MAX_TEXT_CHARACTERS:
        raise InvalidInput(
            f"The texts of {field} have at most {MAX_TEXT_CHARACTERS:,} characters together; these have {total:,}.",
            field=field,
            hint="Take out variants, or name pictures by address instead of putting them into the text.",
        )


def _sealed(ctx: Context, campaign_id: str, given: SettingsInput) -> SettingsInput:
    if not given.webhook.secret:
        return given
    owner = webhook_secret_owner(ctx.workspace_id, campaign_id)
    sealed = ctx.vault.seal(Secret(given.webhook.secret), owner)
    secret = SEALED + base64.b64encode(sealed).decode()
    return given.model_copy(update={"webhook": given.webhook.model_copy(update={"secret": secret})})


def _document(model: Input) -> JsonObject:
    document: JsonObject = model.model_dump(mode="json", by_alias=True)
    return document
