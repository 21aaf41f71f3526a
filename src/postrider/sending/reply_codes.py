"""What a mail server's refusal means for the message, the lead and the mailbox. Pure.

The most specific fact wins: the enhanced code (RFC 3463) before the basic code (RFC 5321 section 4.2), both before
the wording, and the wording only where the codes leave it open.
"""

import re

from postrider.sending.outcomes import DeferKind, Deferred, Rejected, RejectKind, Stage

Refusal = Deferred | Rejected

_TEXT_CHARS = 500
_LONGEST_HINT_SECONDS = 24 * 3600

# Only an answer about the recipient, given where recipients are judged, may call an address bad.
_RECIPIENT_STAGES = frozenset({"rcpt", "dot"})
_BEFORE_RECIPIENT = frozenset({"connect", "greeting", "ehlo", "starttls", "auth", "mail"})
_HARD = frozenset({"5.1.1", "5.1.2", "5.1.6", "5.1.10", "5.2.1"})
_SENDER = frozenset({"5.1.7", "5.1.8", "5.7.60"})
_AUTH_CODES = frozenset({530, 534, 535, 538})
_AUTH_ENHANCED = frozenset({"5.7.8", "5.7.57"})
_THROTTLE_SUBJECTS = frozenset({"7.28", "7.500", "7.650", "7.651"})
# Codes so general that the wording says more.
_VAGUE_SUBJECTS = frozenset({"3.0", "5.0", "6.0"})
_MICROSOFT_HOST = re.compile(r"(?:\A|\.)(?:outlook|office365|hotmail)\.com(?![\w-]|\.\w)", re.IGNORECASE)

_ENHANCED_AT_START = re.compile(r"\s*#?([245]\.\d{1,3}\.\d{1,3})(?![\d.])[\s:-]*")
_ENHANCED_INSIDE = re.compile(r"(?<![\w.])#?([45]\.\d{1,3}\.\d{1,3})(?![\w.]*\d)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")

_GREYLISTING = re.compile(r"gr[ea]y.?list|postgrey", re.IGNORECASE)
_TOO_FAST = re.compile(
    r"\brate\b|too many|too (?:fast|quick|frequent)|thrott?l|slow down|server busy|concurrent|limit exceeded",
    re.IGNORECASE,
)
# A 5xx that speaks of what *we* sent today: the lead is innocent and the message may leave tomorrow.
_SENDING_QUOTA = re.compile(
    r"(?:sending|relay(?:ing)?|submission|outgoing|outbound)\b[^.;]{0,40}?(?:limit|quota)[^.;]{0,20}exceeded"
    r"|exceeded\b[^.;]{0,60}\b(?:sending|relay|outgoing|outbound|per (?:hour|day)|hourly|daily|24.hour)"
    r"|(?:daily|hourly)\b[^.;]{0,30}\blimit|SubmissionQuotaExceeded",
    re.IGNORECASE,
)
_FULL = re.compile(
    r"mailbox\b.{0,20}\bfull|over.?quota|quota exceeded|exceed\w*\b.{0,30}\bquota|insufficient.{0,30}storage",
    re.IGNORECASE,
)
_TOO_LARGE = re.compile(
    r"message.{0,20}\btoo (?:large|big|long)|(?:maximum|fixed|max) (?:message )?size|message size",
    re.IGNORECASE,
)
# One provider says 5.2.1 also of a person who merely gets much mail; that address is good.
_BUSY_RECIPIENT = re.compile(r"receiving mail (?:too quickly|at a rate)", re.IGNORECASE)
_NO_SUCH_USER = re.compile(
    r"\b(?:no such|unknown|invalid|non.?existent)\b.{0,20}\b(?:user|recipient|mailbox|address|account)"
    r"|\b(?:user|recipient|mailbox|address|account)\b.{0,40}\b(?:unknown|not (?:found|exist)|doesn.t|disabled)",
    re.IGNORECASE,
)
_POLICY = re.compile(
    r"\bspam|\bjunk|black.?list|block.?list|deny.?list|\brbl\b|dnsbl|spamhaus|barracuda|polic(?:y|ies)|\bdmarc\b|\bdkim\b"
    r"|\bspf\b|reputation|unsolicited|\bbulk\b|reverse dns|\bptr\b|\bcontent\b|\bblocked\b|abus(?:e|ive)|virus|phish",
    re.IGNORECASE,
)
_WAIT = re.compile(
    r"\b(?:try|retry|again|come back|delayed|deferred|wait|gr[ea]y.?list\w*)\b[^\d]{0,40}?"
    r"(?:(?P<clock>\d{1,2}:\d{2}:\d{2})"
    r"|(?P<amount>\d{1,6})\s*(?P<unit>s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:(?:ou)?rs?)?)\b)",
    re.IGNORECASE,
)
_QUEUE_IDS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"queued as\s+([\w.@+=$-]{4,200})",
        r"\bid=([\w.@+=$-]{4,200})",
        r"<([^<>\s@]{1,200}@[^<>\s]{1,200})>",
        r"([\w.-]{8,200}) - gsmtp\b",
        r"\A\s*ok:?\s+(?=\S*\d)([\w.@+=$-]{8,200})(?:\s|\Z)",
        r"\A\s*(?=\S*\d)([\w-]{8,40}) message accepted",
    )
)


def split_reply(lines: list[str]) -> tuple[str | None, str]:
    """The enhanced code (or None) and the readable text of a reply's lines, whose basic codes are already cut off.

    The text is one line without control characters, 500 characters at most; it is a stranger's text all the same.
    """
    enhanced: str | None = None
    texts: list[str] = []
    for line in lines:
        found = _ENHANCED_AT_START.match(line)
        if found:
            enhanced = enhanced or found[1]
            line = line[found.end() :]
        texts.append(line)
    text = _CONTROL.sub(" ", " ".join(texts))
    if enhanced is None and (inside := _ENHANCED_INSIDE.search(text)):
        enhanced = inside[1]
    return enhanced, " ".join(text.split())[:_TEXT_CHARS]


def server_id_in(text: str) -> str | None:
    """The queue or message id that a 250 to the final dot names, in the wordings of the common servers."""
    return next((found[1] for pattern in _QUEUE_IDS if (found := pattern.search(text))), None)


def classify_reply(stage: Stage, code: int, enhanced: str | None, text: str, host: str = "") -> Refusal:
    """What a reply that is not a yes means. ``host``: the server that said it, where known.

    A basic code outside 400-599 is a peer that broke the protocol: a connection failure.
    """
    if not 400 <= code <= 599:
        return Deferred("connection", stage, code, enhanced, text)
    kind = _defer_kind(stage, code, enhanced, text)
    if kind is not None:
        return Deferred(kind, stage, code, enhanced, text, retry_after_seconds(text))
    return Rejected(_reject_kind(stage, code, enhanced, text, host), stage, code, enhanced, text)


def retry_after_seconds(text: str) -> int | None:
    """The wait that a reply asks for ("try again in 5 minutes"), a day at most; None when it names none."""
    found = _WAIT.search(text)
    if found is None:
        return None
    if found["clock"]:
        hours, minutes, seconds = (int(part) for part in found["clock"].split(":"))
        wait = hours * 3600 + minutes * 60 + seconds
    else:
        wait = int(found["amount"]) * {"s": 1, "m": 60, "h": 3600}[found["unit"][0].lower()]
    return min(wait, _LONGEST_HINT_SECONDS) or None


def _defer_kind(stage: Stage, code: int, enhanced: str | None, text: str) -> DeferKind | None:
    if _is_auth(stage, code, enhanced):
        return "auth"
    if code >= 500:
        return "throttle" if _is_sending_quota(stage, enhanced, text) else None
    return "throttle" if _is_throttle(code, enhanced, text) else "transient"


def _is_auth(stage: Stage, code: int, enhanced: str | None) -> bool:
    if code in _AUTH_CODES or (code >= 500 and enhanced in _AUTH_ENHANCED):
        return True
    # A server that is merely busy says so with these codes; anything else to AUTH needs a person.
    return stage == "auth" and code not in {421, 450, 451, 452}


def _is_throttle(code: int, enhanced: str | None, text: str) -> bool:
    subject = _subject(enhanced)
    if _GREYLISTING.search(text):
        return False
    if subject in _THROTTLE_SUBJECTS or code == 454:
        return True
    if subject == "7.0" and code == 421:
        return True
    # x.1.x and x.2.x speak of the recipient: a busy mailbox there is no reason to slow ours down.
    return not subject.startswith(("1.", "2.")) and _TOO_FAST.search(text) is not None


def _is_sending_quota(stage: Stage, enhanced: str | None, text: str) -> bool:
    about_recipient = enhanced in _HARD or enhanced == "5.2.2" or (stage == "rcpt" and _FULL.search(text) is not None)
    return not about_recipient and _SENDING_QUOTA.search(text) is not None


def _reject_kind(stage: Stage, code: int, enhanced: str | None, text: str, host: str) -> RejectKind:
    if stage in _BEFORE_RECIPIENT or enhanced in _SENDER:
        return "sender"
    if enhanced is None or _subject(enhanced) == "0.0":
        return _kind_by_words(code, text)
    if stage in _RECIPIENT_STAGES and _is_hard(enhanced, text, host):
        return "hard"
    subject = _subject(enhanced)
    if subject == "2.2" or (subject in {"2.0", "2.1"} and (_FULL.search(text) or _BUSY_RECIPIENT.search(text))):
        return "soft"
    if subject.startswith("7.") or (subject in _VAGUE_SUBJECTS and _POLICY.search(text)):
        return "policy"
    return "other"


def _is_hard(enhanced: str, text: str, host: str) -> bool:
    if enhanced == "5.4.1":
        return bool(_MICROSOFT_HOST.search(host) or _MICROSOFT_HOST.search(text))
    return enhanced in _HARD and not (enhanced == "5.2.1" and _BUSY_RECIPIENT.search(text))


def _kind_by_words(code: int, text: str) -> RejectKind:
    if _TOO_LARGE.search(text):
        return "other"
    if code == 552 or _FULL.search(text):
        return "soft"
    if _NO_SUCH_USER.search(text):
        # Words alone never suppress anybody, but they do clear our own mail of blame.
        return "other"
    return "policy" if code == 554 or _POLICY.search(text) else "other"


def _subject(enhanced: str | None) -> str:
    """Subject and detail of an enhanced code without its class: the basic code already says whether it is for good."""
    return enhanced.partition(".")[2] if enhanced else ""
