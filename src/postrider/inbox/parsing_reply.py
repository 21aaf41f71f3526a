"""What a person newly wrote, without the mail that is quoted below or between (pure, linear).

Two readers work together: a line reader of our own for the separators of Outlook, Gmail and Apple in many languages,
and ``mail-parser-reply`` for the rest. The library's patterns cost quadratic time on long lines and on runs of blank
ones, so it sees a bounded copy and only answers which line is the last one to keep.
"""

import re

from mailparser_reply import EmailReplyParser
from selectolax.lexbor import LexborHTMLParser

from postrider.content.html_bounds import is_hostile

_LANGUAGES = ("en", "de", "fr", "es", "it", "nl")
_LIBRARY_LINES = 150
_LIBRARY_LINE_CHARS = 250
_MAX_LINES = 20_000
_MAX_LINE_CHARS = 500

_SEPARATOR = re.compile(
    r"-{2,}\s?(?:original message|original appointment|forwarded message|ursprüngliche nachricht|"
    r"weitergeleitete nachricht|message d'origine|message transféré|mensaje original|mensaje reenviado|"
    r"messaggio originale|oorspronkelijk bericht|mensagem original)\s?-{2,}|-{3,}\s?on\s.{1,300}\swrote\s?-{3,}$"
)
_RULE = re.compile(r"[_-]{20,}")
_WROTE_START = re.compile(r"(?:on|am|le|el|il|op|em|den|dne)\s|\d{4}-\d\d-\d\d|\d{1,2}[./]\d{1,2}[./]\d{2,4}")
_WROTE_END = re.compile(
    r"(?:wrote|schrieb|a écrit|escribió|ha scritto|schreef|escreveu|skrev|пишет|писала?|написала?|"
    r"napisał\(?a?\)?|pisze|napsala?|kirjoitti|írta|scris|yazdı)\b.{0,200}:$|(?:写道|寫道|のメール|작성)\s?[:：]$"
)
# In any language: a date near the beginning, somebody's address, and a colon at the end.
_DATED_START = re.compile(r".{0,24}?\d")
_DATED_AUTHOR = re.compile(
    r"(?:\b(?:19|20)\d\d(?!\d)|\b\d{1,2}[:.]\d\d\b).{0,200}<[^<>\s@]{1,64}@[^<>\s]{1,255}>.{0,60}[:：]$"
)
_NAMED_AUTHOR = re.compile(
    r".{0,80}?<[^<>\s@]{1,64}@[^<>\s]{1,255}>\)?,?\s{1,3}(?:wrote|schrieb|a écrit|escribió|ha scritto|schreef|"
    r"escreveu|skrev)\b.{0,80}:$"
)
_WRAPPED_QUOTE_CHARS = 60
_HEADER_LINE = re.compile(
    r"\*?(from|von|de|da|van|od|sent|date|gesendet|datum|envoyé|enviado|enviado el|fecha|inviato|data|verzonden|"
    r"to|an|à|para|a|aan|subject|betreff|objet|asunto|oggetto|onderwerp|assunto)\s?:\*?\s"
)
_SENDER_NAMES = frozenset({"from", "von", "de", "da", "van", "od"})
_SENT_NAMES = frozenset(
    {"sent", "date", "gesendet", "datum", "envoyé", "enviado", "enviado el", "fecha", "inviato", "data", "verzonden"}
)
_QUOTED_HTML = (
    "div.gmail_quote, div.gmail_quote_container, blockquote[type=cite], blockquote.gmail_quote, div.moz-cite-prefix, "
    "div.yahoo_quoted, div.protonmail_quote, div.zmail_extra, #isForwardContent"
)
_QUOTE_STARTS_HTML = "#divRplyFwdMsg, #appendonsend, #mail-editor-reference-message-container, hr#stopSpelling"


def unquoted_html(html: str) -> str:
    """The HTML without the quoted mail that Gmail, Apple, Outlook, Yahoo and Proton mark as such."""
    if "<" not in html or is_hostile(html):
        return html
    tree = LexborHTMLParser(html)
    changed = False
    for node in tree.css(_QUOTED_HTML):
        node.decompose()
        changed = True
    for node in tree.css(_QUOTE_STARTS_HTML):
        following = node.next
        while following is not None:
            after = following.next
            following.decompose()
            following = after
        node.decompose()
        changed = True
    return (tree.html or "") if changed else html


def new_text(text: str) -> str:
    """The part of a plain text that its sender wrote, to be shown; the whole text when all of it looks quoted."""
    kept = own_lines(text)
    kept = kept[: _library_cut(kept)]
    while kept and _RULE.fullmatch(kept[-1].strip()):
        kept.pop()
    return _tidy(kept) or text.strip()


def own_lines(text: str) -> list[str]:
    """The lines by which a sender may be judged: none of a quoted mail, and so none at all where nothing else stands.

    A quoted line that got wrapped loses its mark on the second line, which is left out, too.
    """
    lines = text.split("\n")[:_MAX_LINES]
    lines = [line for number, line in enumerate(lines) if not _is_rest_of_quote(lines, number)]
    return _without_quotes(lines[: _quote_start(lines)])


def _is_rest_of_quote(lines: list[str], number: int) -> bool:
    """Whether a line goes on with a quoted one: that is long and ends amid a sentence, and this begins there."""
    line, above = lines[number].lstrip(), lines[number - 1].strip() if number else ""
    if not above.startswith(">") or len(above) < _WRAPPED_QUOTE_CHARS or above.endswith((".", "?", "!", ":")):
        return False
    return line[:1].islower() or line.startswith(("<http", "(http"))


def _quote_start(lines: list[str]) -> int:
    """The index of the first line that belongs to the mail answered to, everything after it being that mail too."""
    for index, line in enumerate(lines):
        folded = _folded(line)
        if _SEPARATOR.match(folded):
            return index
        if _is_header_block(lines, index):
            return index
        if (span := _attribution_lines(lines, index)) and not _answers_below(lines, index + span):
            return index
    return len(lines)


def _without_quotes(lines: list[str]) -> list[str]:
    kept: list[str] = []
    skip_until = 0
    for index, line in enumerate(lines):
        if index < skip_until:
            continue
        if span := _attribution_lines(lines, index):
            skip_until = index + span
        elif not line.lstrip().startswith(">"):
            kept.append(line)
    return kept


def _folded(line: str) -> str:
    return line[:_MAX_LINE_CHARS].strip().lower().replace("\u2019", "'").replace("\xa0", " ")


def _header_name(folded: str) -> str:
    found = _HEADER_LINE.match(folded + " ")
    return found.group(1) if found else ""


def _is_header_block(lines: list[str], index: int) -> bool:
    """A sender line, then a date line and one more, as Outlook writes above what it quotes; GMX has the date first."""
    first = _header_name(_folded(lines[index]))
    names = [name for line in lines[index + 1 : index + 9] if (name := _header_name(_folded(line)))]
    if first in _SENDER_NAMES:
        return len(names) >= 2 and any(name in _SENT_NAMES for name in names[:2])
    # "Date: Tuesday, From: 9:00, To: 10:00" is somebody's proposal.
    by_address = index + 1 < len(lines) and "@" in lines[index + 1]
    return first in _SENT_NAMES and len(names) >= 2 and names[0] in _SENDER_NAMES and by_address


def _attribution_lines(lines: list[str], index: int) -> int:
    """How many lines an "On … wrote:" that starts here takes (they get folded over up to three); 0 when none does."""
    first = _folded(lines[index])
    if _NAMED_AUTHOR.match(first):
        return 1
    if not (_WROTE_START.match(first) or _DATED_START.match(first)):
        return 0
    joined = ""
    for span, line in enumerate(lines[index : index + 3], start=1):
        folded = _folded(line)
        if not folded:
            return 0
        joined = f"{joined} {folded}".strip()
        if folded.endswith((":", "：")) and any(char.isdigit() for char in joined) and _is_attribution(joined[-330:]):
            return span
    return 0


def _is_attribution(joined: str) -> bool:
    return _WROTE_END.search(joined[-260:]) is not None or _DATED_AUTHOR.search(joined) is not None


def _answers_below(lines: list[str], index: int) -> bool:
    """Whether quoted lines follow and, after them, lines that are not quoted: an answer below or between."""
    quoted = False
    for line in lines[index:]:
        stripped = line.strip()
        if stripped.startswith(">"):
            quoted = True
        elif stripped:
            return quoted
    return False


def _library_cut(lines: list[str]) -> int:
    """How many of the lines ``mail-parser-reply`` counts to the newest reply."""
    shown = [(index, stripped[:_LIBRARY_LINE_CHARS]) for index, line in enumerate(lines) if (stripped := line.strip())]
    shown = shown[:_LIBRARY_LINES]
    bounded = "\n".join(_with_paragraphs(shown))
    reply = EmailReplyParser(languages=list(_LANGUAGES)).parse_reply(bounded) or ""
    count = sum(1 for line in reply.split("\n") if line.strip())
    return len(lines) if count == 0 or count >= len(shown) else shown[count][0]


def _with_paragraphs(shown: list[tuple[int, str]]) -> list[str]:
    out: list[str] = []
    previous = -1
    for index, line in shown:
        if index > previous + 1 and out:
            out.append("")
        out.append(line)
        previous = index
    return out


def _tidy(lines: list[str]) -> str:
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in lines)).strip()
