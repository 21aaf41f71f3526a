"""The field's vocabulary: which words mean the same to somebody who looks for something to do."""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

# Each line and what is indented below it is one meaning; its first word names it. A word may have several meanings.
_MEANINGS: Final = """
lead: prospect contact recipient person people customer subscriber kontakt personen client employee visitor guest
    addressee somebody someone buyer guy man woman teilnehmer empfanger
mailbox: inbox account sender postfach buzon boite smtp imap outlook gmail postfacher briefkasten
conversation: thread inbox chat dialog unterhaltung conversacion correspondence
reply: answer respond response antwort antworten respuesta reponse repondre message
campaign: outreach sequence drip cadence mailing kampagne kampagnen campana campagne
sequence: steps emails flow drip cadence texts template wording
dnc: blacklist blocklist denylist suppression suppress unsubscribed optout block sperrliste exclusion unwanted
    forbidden banned opted
label: tag category categorise status statuses classify etikett etiqueta labelled
agent: bot persona voice assistant writer
workspace: organisation organization account team tenant firm business subscription global
member: teammate colleague user staff coworker
job: task progress import processing process background running
key: token credential secret schlussel cle clave api rest
app: application program integration software tool connection client plugin extension assistant
start: launch activate run golive starten lancer iniciar begin fire
pause: stop halt hold suspend freeze interrupt pausieren anhalten pausar arreter break brake block
resume: continue unpause restart reactivate fortsetzen reanudar reprendre unfreeze release proceed thaw
create: new make add setup build register connect insert save erstellen anlegen crear creer ajouter attach introduce
    define enter additional hinzufugen type entry generate configure establish record
update: change edit modify adjust rename fix correct set alter andern bearbeiten cambiar modifier overwrite rewrite
    replace adapt swap amend rectify switch refresh recolor recolour
delete: remove erase drop purge discard clear cleanup throw rid wipe trash loschen entfernen eliminar supprimer bin
    kick eliminate supprime dump ditch kill destroy scrap vanish disappear gone close
cancel: abort withdraw recall stop takeback abbrechen annuler cancelar halt kill unschedule terminate
revoke: disable disconnect unlink deactivate kill takeback widerrufen invalidate detach unplug expel unauthorise
    unauthorize remove block rotate
undo: revert reverse restore recover rollback takeback reversible unwind recuperate ruckgangig deshacer undone
    former previous earlier
show: get list see view display find look open read fetch which who zeigen mostrar afficher lista pull tell print
    give check inspect overview
search: find look query filter
preview: render sample mockup vorschau mock personalization personalisation
test: sample trial try
plan: forecast foresee predict estimate projection upcoming
explain: why reason because skipped warum porque pourquoi problem cause
analytics: statistics stats figures numbers metrics performance report rate results kpi totals statistik success
    deliverability ranking conversion performs poorly
daily: day chart graph trend timeline series weekly monthly
overview: totals summary everything overall dashboard
health: status bounce reputation warmup
draft: write compose generate suggest entwurf entwerfen brouillon borrador ghostwrite formulate propose word
import: upload load csv spreadsheet excel file importieren table sheet xlsx migrate hubspot salesforce pipedrive
    populate ingest
export: download save backup exportieren
status: state active running paused finished completed
pending: waiting queued outstanding scheduled unsent
schedule: later calendar timezone hours weekdays timing
enroll: enrol add put
send: deliver mail email senden enviar envoyer
approval: approve permission allow granted denied request confirm consent freigabe decision signoff ok
audit: history log trail activity record changes protocol protokoll events actions happened tracked feed touched
limit: quota cap allowance maximum max usage allowed capacity
unread: unseen
big: large huge long
detail: profile information info data full complete
read: seen
bulk: mass group many
mark: flag set tick
service: integration zapier n8n automation
""".strip()

_PHRASES: Final = (
    (r"(?:do not|don['’]?t)(?: ever)? contact|never (?:again )?(?:contact|e?mail|write)", " dnc "),
    (r"(?:do not|don['’]?t)(?: let| ever)? (?=send|leave|go out)", " cancel "),
    (r"(?:black|block|deny|suppression|stop)[\s-]+list|opt(?:ed)?[\s-]+out", " dnc "),
    (r"set(?:ting)?[\s-]+up|hook(?:ing)?[\s-]+up", " create "),
    (r"go(?:es|ing)?[\s-]+live|kick(?:ing)?[\s-]+off", " start "),
    (r"un[\s-]+pause", " resume "),
    (r"on[\s-]+hold", " pause "),
    (r"follow[\s-]+ups?", " followup "),
    (r"looks?[\s-]+like", " preview "),
    (r"tak(?:e|ing)[\s-]+back|(?:roll|bring|revert)(?:ing)?[\s-]+back", " takeback "),
    (r"(?:get(?:ting)?|got)[\s-]+rid[\s-]+of|clean(?:ing)?[\s-]+up", " delete "),
    (r"(?:cut|cutting|shut|shutting)[\s-]+(?:off|down)", " revoke "),
    (r"sign(?:ing|ed)?[\s-]+off", " approval "),
    (r"(?:sign|log)(?:ed|ing|ged|ging)?[\s-]+in", " login "),
    (r"(?:ctrl|cmd|strg)[\s+-]*z\b", " undo "),
    (r"\bre-(?=[a-z])", ""),
    (r"e-mail", " email "),
    (r"[^\s@]{1,64}@\S+", " "),
)
_EMPTY_WORDS: Final = """
a about after all already also am an and any anybody anyone are as at be been before but by can could did do does
doing done else every everybody everyone far for from had has have he her here him his how i if in into is it its just
know known let like me more most much my need now of off on once one only or other our out over per please really right
s she should so some something still such t than that the their them then there these they thing things this those to
too until up us very want was we were what when where whether while will with without works would yet you
your
der die das ein eine einen und ist den dem mein meine ich la le les el los las un une de des du et y mi mes
"""
_STOP_WORDS: Final = frozenset(_EMPTY_WORDS.split())
_QUESTION: Final = re.compile(
    r"\s*(?:any|are|did|do|does|has|have|how|is|wh(?:at|en|ere|ich|o|y)|show|list|wie|was|wer|warum|welche)\b",
    re.IGNORECASE,
)
_SUFFIXES: Final = ("ations", "ation", "ions", "ion", "ings", "ing", "ies", "ied", "ed", "es", "s", "e", "y")
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
    for each in re.split(r"\n(?! )", _MEANINGS):
        meaning, _, same = each.partition(": ")
        for word in (meaning, *same.split()):
            yield stem(word), meaning


MEANING_WORDS: Final = frozenset(_MEANINGS.replace(":", "").split())
"""The words of the vocabulary, as they are written."""

MEANINGS: Final[dict[str, frozenset[str]]] = {}
"""What a stem may mean."""

for _stem, _meaning in _read_meanings():
    MEANINGS[_stem] = MEANINGS.get(_stem, frozenset()) | {f"~{_meaning}"}
