"""The wordings by which machines and absences are known, in four languages and more (pure, linear).

Patterns run on ``folded`` text: lower case, no accents, single blanks, a bounded length; their gaps are bounded too.
"""

import re
import unicodedata

MAX_FOLDED_CHARS = 4_000
_QUOTES = str.maketrans(
    {"\u2018": "'", "\u2019": "'", "\u02bc": "'", "`": "'", "\u00b4": "'", "\u2013": "-", "\u2014": "-"}
)


def folded(text: str, max_chars: int = MAX_FOLDED_CHARS) -> str:
    """The text as the patterns want it: one line, casefolded, without accents, quotes and dashes made plain."""
    decomposed = unicodedata.normalize("NFKD", text[:max_chars].translate(_QUOTES))
    bare = "".join(char for char in decomposed if not unicodedata.combining(char))
    return " ".join(bare.casefold().split())


def _any_of(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns))


AUTO_SUBJECT = _any_of(
    r"^auto(?:matic|matisch|matische)?[ -]?(?:reply|response)",
    r"^(?:out of (?:the )?office|oof:|ooo\b|abwesen|automatische antwort|reponse automatique|respuesta autom|"
    r"absence(?! (?:management|tracking|software|polic|rates?|planning|report|data)))",
    r"^(?:fuera de (?:la )?oficina|risposta automatica|automatisch antwoord|resposta automatica|autosvar)",
    r"^(?:autoodpowiedz|(?:automatyczna |auto)?odpowiedz automatyczna|automatyczna odpowiedz|nieobecnosc|poza biurem)",
    r"^(?:автоответ|автоматическии ответ|автоматичне|вне офиса|нет на месте|отсутств|отпуск\b)",
    r"^(?:automatisk[ta]? (?:svar|svarmeddelande)|franvaro|automaticka odpoved|otomatik yanit|자동 ?응답|부재중)",
    r"^(?:不在|自动回复|自動返信|自動回覆)",
)
LEFT_COMPANY = _any_of(
    r"\b(?:is|am|has been|'s|'m) no longer (?:with|at|employed|working|part of|a member|an employee|in this role)\b",
    r"\bno longer (?:works?|working|employed) (?:at|for|here|with (?:us|the company))\b",
    r"\b(?:has|have|i've) (?:now |recently |since )?left (?:the (?:company|organi[sz]ation|firm|business)|our)\b",
    r"\bnicht (?:mehr|langer) (?:im unternehmen|in unserem unternehmen|bei uns|fur [^.!?]{1,40} tatig|beschaftigt)",
    r"\b(?:das )?unternehmen verlassen\b|\baus dem unternehmen ausgeschieden\b",
    r"\bne (?:fait|fais) plus partie\b|\bne travaille plus\b",
    r"\b(?:a|ai) quitte (?:l'entreprise|la societe|ses fonctions|notre)",
    r"\bya no (?:trabaj[ao]|forma parte|esta en la empresa)\b|\bha dejado (?:la empresa|de trabajar)\b",
)
OUT_OF_OFFICE = _any_of(
    r"\bout of (?:the )?office\b|\booo\b",
    r"\bon (?:(?:annual|parental|maternity|paternity|sick|medical|family|extended|my|a) ){0,2}"
    r"(?:leave|vacation|holidays?|pto)\b",
    r"\baway from (?:the|my) (?:office|desk|e-?mail|inbox)\b",
    r"\b(?:limited|no|intermittent) access to (?:my )?e-?mails?\b",
    r"\bi(?:'m| am) currently (?:away|out|travell?ing)\b",
    r"\bi(?:'ll| will) (?:be back|return|be returning)\b",
    r"\b(?:nicht|ausser) (?:im (?:buro|haus|hause)|haus)\b|\bim urlaub\b|\babwesen",
    r"\b(?:elternzeit|mutterschutz)\b|\bin (?:der )?(?:nachsten|kommenden) tagen nicht erreichbar\b",
    r"\b(?:derzeit|aktuell|momentan|zurzeit) nicht (?:erreichbar|im|am)\b|\bwieder (?:erreichbar|im buro|fur sie da)\b",
    r"\bje (?:suis|serai) (?:\w{1,12} )?(?:absente?|en conges?|en vacances|hors du bureau)\b|\babsente? du bureau\b",
    r"\bde retour (?:le|au bureau)\b|\bconge (?:maternite|parental|annuel)\b",
    r"\bfuera de (?:la )?oficina\b|\b(?:estoy|estare|me encuentro) (?:ausente|de vacaciones|fuera)\b",
    r"\bde baja (?:por|maternal|medica|paternal)\b",
)
_DAY = (
    r"(?:\d|(?:mon|tues|wednes|thurs|fri|satur|sun)day\b|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|"
    r"dec)(?:\w{0,7}) "
    r"\d|tomorrow\b)"
)
# Only where a machine wrote it: people come back to a question on Monday, too.
RETURNING = _any_of(
    r"\b(?:away|off|absent|unavailable|closed|traveling|travelling|leave|vacation|holidays?) (?:until|till|through|"
    r"from)\b",
    rf"\b(?:i|we) (?:will )?(?:return|resume)(?: to (?:work|the office|my desk))?(?: on| by)?(?: the)? {_DAY}",
    rf"\b(?:back|returning|return)(?: to (?:work|the office))?:?(?: in (?:the )?office)?(?: again)?(?: on| by| next)?"
    rf"(?: the)?,? {_DAY}",
    r"\bnieobecn\w+|\bpoza biurem\b|\bна больничном\b|\bв отпуске\b|\bотсутству\w+",
)
TICKET_ACK = _any_of(
    r"\b(?:ticket|case|request|reference) (?:number|id|no\.?|#)",
    r"\[(?:ticket|case|request)?[ :#-]{0,3}\d{3,12}\]",
    r"\bwe(?:'ve| have) received your (?:\w{1,12} )?(?:request|message|e-?mail|enquiry|inquiry|question)\b",
    r"\byour (?:request|message|e-?mail|enquiry|inquiry) has been received\b",
    r"\bihre (?:anfrage|nachricht|e-?mail) (?:ist|wurde|haben wir)\b|\b(?:vorgangs|ticket)nummer\b",
    r"\bnous avons bien recu votre\b|\bhemos recibido (?:su|tu)\b",
)
