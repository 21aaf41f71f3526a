"""The field's vocabulary: which words mean the same to somebody who looks for something to do."""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

# Each line is one meaning; its first word names it. A word may have several meanings.
_MEANINGS: Final = """
lead: leads prospect contact recipient person people who customer subscriber kontakt
mailbox: inbox account accounts sender senders postfach buzon boite smtp imap
conversation: conversations thread threads inbox chat dialog unterhaltung conversacion
reply: replies answer answers respond responded response responses replied antwort antworten respuesta reponse repondre
campaign: campaigns outreach drip cadence kampagne kampagnen campana campagne
sequence: steps step emails flow drip cadence texts template templates
dnc: blacklist blocklist denylist suppression suppressed suppress unsubscribed optout block blocked sperrliste exclusion
label: labels tag tags category categories categorise categorize mark classify etikett etiqueta
agent: agents persona personas voice assistant
workspace: organisation organization company team
member: members teammate teammates colleague colleagues user users
job: jobs task progress import
start: launch activate run golive starten lancer iniciar
pause: stop halt hold suspend freeze interrupt pausieren anhalten pausar arreter
resume: continue unpause restart reactivate fortsetzen reanudar reprendre
create: new make add setup build register connect insert erstellen anlegen crear creer ajouter
update: change edit modify adjust rename fix correct set alter andern bearbeiten cambiar modifier
delete: remove erase drop purge discard clear loschen eliminar supprimer
cancel: abort withdraw revoke stop takeback abbrechen annuler cancelar
undo: revert restore rollback takeback
show: get list see view display find look open read fetch which who zeigen mostrar afficher liste lista
search: find look query filter
preview: render sample mockup vorschau
test: sample trial
plan: forecast foresee predict predict estimate projection upcoming tomorrow
explain: why reason because skipped warum porque pourquoi
analytics: statistics statistic stats figures numbers metrics metric performance report rate rates results kpi totals
daily: day days chart trend timeline tag
overview: totals summary everything overall dashboard
health: healthy status bounce bounces reputation warmup
draft: write compose generate suggest entwurf entwerfen brouillon borrador
import: upload load csv spreadsheet excel file bulk importieren
export: download
status: state active running paused finished completed
pending: waiting queued outstanding scheduled unsent
schedule: scheduled later calendar timezone hours weekdays
enroll: enrol add put
send: deliver mail email senden enviar envoyer
approval: approvals approve approved permission allow
audit: history log trail who
webhook: webhooks callback
""".strip()

_PHRASES: Final = (
    (r"do[\s-]*n['’o]?[o]?t[\s-]+(?:ever\s+)?contact(?:ed)?|never (?:again )?(?:contact|e?mail|write)", " dnc "),
    (r"black[\s-]+list|block[\s-]+list|opt(?:ed)?[\s-]+out", " dnc "),
    (r"must not be written to", " dnc "),
    (r"set(?:ting)?[\s-]+up", " create "),
    (r"go(?:es|ing)?[\s-]+live|kick(?:ing)?[\s-]+off", " start "),
    (r"un[\s-]+pause", " resume "),
    (r"follow[\s-]+ups?", " followup "),
    (r"look(?:s)? like", " preview "),
    (r"tak(?:e|ing)[\s-]+back|roll(?:ing)?[\s-]+back", " takeback "),
    (r"e-mail", " email "),
)
_EMPTY_WORDS: Final = """
a about after all already also am an and any anybody anyone are as at be been before begin but by can could did do does
doing done else every everybody everyone far for from had has have he her here him his how i if in into is it its just
know known let like me more most much my need now of off on once one only or other our out over per please really right
s she should so some something still such t than that the their them then there these they thing things this those to
too until up us very want was we were what when where whether while will with works working work without would yet you
your
der die das ein eine einen und ist den dem mein meine ich la le les el los las un une de des du et y mi mes
"""
_STOP_WORDS: Final = frozenset(_EMPTY_WORDS.split())
_QUESTION: Final = re.compile(
    r"\s*(?:any|are|did|do|does|has|have|how|is|wh(?:at|en|ere|ich|o|y)|w[ia]ch|show|list|wie|was|wer|warum|welche)\b",
    re.IGNORECASE,
)
_SUFFIXES: Final = ("ations", "ation", "ings", "ing", "ies", "ied", "ers", "ed", "es", "er", "s", "e", "y")
_SHORTEST_STEM: Final = 3


def words(text: str) -> list[str]:
    """The words of a text, plain and in lower case, without those that say nothing; camelCase and names are parted."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text)
    plain = unicodedata.normalize("NFKD", parted).casefold()
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    for pattern, word in _PHRASES:
        plain = re.sub(pattern, word, plain)
    plain = re.sub(r"(\w+)n['’]t\b", r"\1", plain)
    return [word for word in re.findall(r"[a-z0-9]+", plain) if word not in _STOP_WORDS and not word.isdigit()]


def is_question(text: str) -> bool:
    """Whether somebody wants to know something, rather than to have something done."""
    return text.rstrip().endswith("?") or _QUESTION.match(text) is not None


@lru_cache(maxsize=5_000)
def stem(word: str) -> str:
    """What a word has in common with its other forms: sending, sends and send are one."""
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= _SHORTEST_STEM:
            root = word[: -len(suffix)]
            return root[:-1] if len(root) > _SHORTEST_STEM and root[-1] == root[-2] and root[-1] not in "ls" else root
    return word


def _read_meanings() -> Iterator[tuple[str, str]]:
    for line in _MEANINGS.splitlines():
        meaning, _, same = line.partition(": ")
        for word in (meaning, *same.split()):
            yield stem(word), meaning


MEANINGS: Final[dict[str, frozenset[str]]] = {}
"""What a stem may mean."""

for _stem, _meaning in _read_meanings():
    MEANINGS[_stem] = MEANINGS.get(_stem, frozenset()) | {f"~{_meaning}"}
