"""What a campaign's documents may say, how an edit is merged into them, and which mailboxes selectors choose. Pure."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, TypeVar

from postrider.campaigns.documents import (
    MAX_MAILBOXES,
    MAX_SECRET_CHARACTERS,
    CnameTracking,
    MailboxSelectors,
    ScheduleInput,
    SettingsInput,
)
from postrider.content.addresses import parse_address, parse_domain
from postrider.content.headers import check_name
from postrider.kernel.errors import InvalidInput
from postrider.kernel.ids import check_id
from postrider.kernel.operation import Input

_MOST_NAMED: Final = 20

M = TypeVar("M", bound=Input)


def merged(stored: M, given: Input | None) -> M:
    """``stored`` with the fields that were given, nested objects field by field; a field given as null becomes null."""
    if given is None:
        return stored
    document = stored.model_dump(mode="json", by_alias=True)
    for name, value in given.model_dump(mode="json", by_alias=True, exclude_unset=True).items():
        known = document.get(name)
        document[name] = known | value if isinstance(known, dict) and isinstance(value, dict) else value
    return type(stored).model_validate(document)


def without_legacy(given: SettingsInput) -> SettingsInput:
    """Settings as written today: the values that only old campaigns know are mapped or left out."""
    kept = given.model_dump(exclude_unset=True)
    if given.esp_matching_mode == "custom":
        del kept["esp_matching_mode"]
    if given.seg_check_mode == "use_specific_mailboxes":
        kept["seg_check_mode"] = "disabled"
    return SettingsInput.model_validate(kept)


def checked_name(name: str) -> str:
    """A campaign's name on one line, without outer spaces. Raises: ValueError."""
    name = name.strip()
    wanted = "give a name of at least one visible character, on one line"
    if not name:
        raise ValueError(wanted)
    try:
        return check_name(name, "name")
    except InvalidInput as error:
        raise ValueError(f"{wanted}: {error.message.removesuffix('.')}") from None


def checked_schedule(schedule: ScheduleInput) -> ScheduleInput:
    """The schedule with each working day once. Raises: InvalidInput when the window would be empty."""
    if schedule.start_time == schedule.end_time:
        raise InvalidInput(
            f"schedule: startTime and endTime are both {schedule.start_time}, so nothing could ever be sent.",
            field="schedule.endTime",
            hint="For the whole day use 00:00 to 23:59; an end before the start is a window over midnight.",
        )
    return schedule.model_copy(update={"working_days": sorted(set(schedule.working_days))})


def checked_settings(settings: SettingsInput) -> SettingsInput:
    """The settings with their addresses in canonical form, each once. Raises: InvalidInput naming the field."""
    _check_optimisation(settings)
    return settings.model_copy(
        update={
            "cc": _addresses(settings.cc, "settings.cc"),
            "bcc": _addresses(settings.bcc, "settings.bcc"),
            "reply_notification_emails": _addresses(
                settings.reply_notification_emails, "settings.replyNotificationEmails"
            ),
            "seg_skip_providers": list(dict.fromkeys(settings.seg_skip_providers)),
            "cname_tracking": _tracking_domain(settings.cname_tracking),
        }
    )


def check_webhook(settings: SettingsInput) -> None:
    """Accepts a webhook as given (its secret not yet sealed). Raises: InvalidInput."""
    url, secret = settings.webhook.url, settings.webhook.secret
    if url and not url.lower().startswith(("https://", "http://")):
        raise InvalidInput("settings.webhook.url must start with https:// or http://.", field="settings.webhook.url")
    if url and "@" in _authority(url):
        raise InvalidInput(
            "settings.webhook.url holds a user name or a password, which would be stored and shown as it is.",
            field="settings.webhook.url",
            hint="Leave it out: deliveries are signed with settings.webhook.secret, which is never shown.",
        )
    if secret and len(secret) > MAX_SECRET_CHARACTERS:
        raise InvalidInput(
            f"settings.webhook.secret has at most {MAX_SECRET_CHARACTERS} characters.", field="settings.webhook.secret"
        )


def _authority(url: str) -> str:
    """What stands before path, query and fragment, as the most generous reader of addresses would have it."""
    return re.split(r"[/?#]", url.replace("\\", "/").partition("//")[2], maxsplit=1)[0]


def _check_optimisation(settings: SettingsInput) -> None:
    wanted = settings.variant_optimization
    tracked = {"openRate": ("trackOpens", settings.track_opens), "clickRate": ("trackClicks", settings.track_clicks)}
    name, is_on = tracked.get(wanted.optimization_metric, ("", True))
    if wanted.enabled and not is_on:
        raise InvalidInput(
            f"settings.variantOptimization.optimizationMetric {wanted.optimization_metric} needs settings.{name}.",
            field="settings.variantOptimization.optimizationMetric",
            hint=f"Set {name} to true, or optimise for replyRate.",
        )


def _addresses(texts: Iterable[str], field: str) -> list[str]:
    parsed = [parse_address(text, f"{field}[{index}]") for index, text in enumerate(texts)]
    return list({address.key: address.text for address in parsed}.values())


def _tracking_domain(tracking: CnameTracking) -> CnameTracking:
    if not tracking.domain:
        return tracking
    return tracking.model_copy(update={"domain": parse_domain(tracking.domain, "settings.cnameTracking.domain")})


def check_storable(given: Input) -> None:
    """Accepts input without NUL characters, which no database stores. Raises: InvalidInput naming the field."""
    for path, text in _texts(given.model_dump(mode="json", by_alias=True, exclude_unset=True), ""):
        if "\x00" in text:
            raise InvalidInput(f"{path} holds a NUL character.", field=path, hint="Remove it: it is not text.")


def _texts(value: object, path: str) -> Iterable[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, f"{path}[{index}]")


class MailboxFacts(NamedTuple):
    """A mailbox as campaigns see it. ``problem``: why nothing can be sent from it, None when it works."""

    id: str
    email: str
    provider: str
    tags: Sequence[str]
    display_name: str
    signature: str
    problem: str | None


def chosen_mailboxes(wanted: MailboxSelectors, available: Sequence[MailboxFacts]) -> list[str]:
    """The ids that the selectors name, each once: by id, then by address, by tag, by provider.

    A tag or provider may match nothing. Raises: InvalidInput listing ids and addresses that are not ``available``.
    """
    ids = _named_ids(wanted)
    by_email = {mailbox.email.casefold(): mailbox.id for mailbox in available}
    emails = [
        parse_address(text, f"mailboxEmails[{index}]").key for index, text in enumerate(wanted.mailbox_emails or ())
    ]
    known = {mailbox.id for mailbox in available}
    _refuse_unknown([name for name in ids if name not in known], [name for name in emails if name not in by_email])
    tags = {tag.strip().casefold() for tag in wanted.mailbox_tags or ()}
    provider = (wanted.mailbox_provider or "").strip().casefold()
    found = [*ids, *(by_email[email] for email in emails)]
    found += _matching(available, lambda mailbox: not tags.isdisjoint(tag.casefold() for tag in mailbox.tags))
    found += _matching(available, lambda mailbox: mailbox.provider.casefold() == provider)
    chosen = list(dict.fromkeys(found))
    if len(chosen) > MAX_MAILBOXES:
        raise InvalidInput(
            f"A campaign uses at most {MAX_MAILBOXES} mailboxes; these selectors choose {len(chosen)}.",
            field="mailboxIds",
            hint="Choose fewer, or split the leads over two campaigns.",
        )
    return chosen


def _named_ids(wanted: MailboxSelectors) -> list[str]:
    return [
        check_id(value, "mbx", f"{field}[{index}]")
        for field, values in (("mailboxes", wanted.mailboxes), ("mailboxIds", wanted.mailbox_ids))
        for index, value in enumerate(values or ())
    ]


def _refuse_unknown(ids: Sequence[str], emails: Sequence[str]) -> None:
    unknown = list(dict.fromkeys((*ids, *emails)))
    if unknown:
        named = ", ".join(unknown[:_MOST_NAMED]) + (" and more" if len(unknown) > _MOST_NAMED else "")
        raise InvalidInput(
            f"This workspace has no such mailbox: {named}.",
            field="mailboxIds" if ids else "mailboxEmails",
            hint="See list_mailboxes; nothing was changed.",
            details={"unknown": unknown},
        )


def _matching(available: Iterable[MailboxFacts], fits: Callable[[MailboxFacts], bool]) -> list[str]:
    return [mailbox.id for mailbox in available if fits(mailbox)]
