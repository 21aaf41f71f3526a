"""The wordings by which machines, absences and wishes to be left alone are known, in four languages (pure, linear).

Patterns run on ``folded`` text: lower case, no accents, single blanks, a bounded length; their gaps are bounded too.
"""

import re
import unicodedata

MAX_FOLDED_CHARS = 4_000
_MAX_WISH_LINES = 4
_MAX_TEXT_BELOW_WISH = 300
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
    r"^(?:out of (?:the )?office|oof:|ooo\b|abwesen|automatische antwort|reponse automatique|absence|respuesta autom)",
    r"^(?:fuera de (?:la )?oficina|risposta automatica|automatisch antwoord|resposta automatica|autosvar)",
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
TICKET_ACK = _any_of(
    r"\b(?:ticket|case|request|reference) (?:number|id|no\.?|#)",
    r"\[(?:ticket|case|request)?[ :#-]{0,3}\d{3,12}\]",
    r"\bwe(?:'ve| have) received your (?:\w{1,12} )?(?:request|message|e-?mail|enquiry|inquiry|question)\b",
    r"\byour (?:request|message|e-?mail|enquiry|inquiry) has been received\b",
    r"\bihre (?:anfrage|nachricht|e-?mail) (?:ist|wurde|haben wir)\b|\b(?:vorgangs|ticket)nummer\b",
    r"\bnous avons bien recu votre\b|\bhemos recibido (?:su|tu)\b",
)

_SENTENCE_ENDS = r"(?=[.!,;:)]|$| (?:please|immediately|now|asap|at once|thanks|thank you|and|from|off|again)\b)"
_WISH_LINE = re.compile(
    r"(?:please |kindly |pls |bitte )?"
    r"(?:unsubscribe(?: me)?|stop(?: it| e-?mailing| e-?mails?)?|remove(?: me)?|opt[ -]?out|take me off|"
    r"cancel subscription|"
    r"abmelden|austragen|abbestellen|stopp|desabonner|desabonnement|desinscription|desinscrire|baja|darme de baja)"
    r"(?: please| now| immediately| asap| bitte| svp| por favor| thanks| thank you)?"
)
_UNSUBSCRIBE = _any_of(
    r"\b(?:unsubscribe|remove) (?:me|us|my (?:e-?mail|address|name|details|data|contact|info)\w{0,8}|"
    rf"this (?:e-?mail|address)|our (?:company|address|e-?mail)\w{{0,8}})(?: address| completely)?{_SENTENCE_ENDS}",
    r"\b(?:delete|erase) (?:me|my (?:data|details|e-?mail|address|contact|information))\b",
    r"\btake (?:me|us|my (?:name|e-?mail|address)) off\b",
    r"\bstop (?:e-?mailing|mailing|contacting|messaging|spamming|writing|writing to|bothering|harassing)"
    rf"(?: (?:me|us|this address))?{_SENTENCE_ENDS}",
    r"\bstop sending (?:me|us|these|this|e-?mails|mails|messages)\b",
    r"\b(?:do not|don't|dont|never) (?:ever )?(?:e-?mail|contact|write|write to|message|mail|bother|approach) (?:me|us)"
    r"(?: (?:again|any ?more|any further|any longer|in (?:the )?future)|(?=[.!;]|$))",
    r"\b(?:want|wish|like|ask|asking|request|requesting)(?: you)? to (?:be (?:removed|unsubscribed|taken off)|"
    r"unsubscribe|opt out)\b",
    r"\b(?:please|kindly|i) opt (?:me |us )?out\b|\bi(?:'m| am) opting out\b",
    r"(?:^|[.!,;] ?|please )no (?:more|further) (?:e-?mails?|mails?|messages|contact)\b",
    r"\b(?:tragen|nehmen|loschen|streichen|entfernen) sie (?:bitte )?(?:mich|uns|meine|unsere)\b",
    r"\b(?:senden|schicken|schreiben) sie (?:mir|uns) (?:bitte )?(?:keine|nicht|nichts)\b",
    r"\bkeine weiteren (?:e-?mails?|mails|nachrichten|anfragen|kontakt)",
    r"\baus (?:ihrem|dem|ihrer|der|eurem) (?:e-?mail-?)?(?:verteiler|liste|mailingliste)\b",
    r"\b(?:kontaktieren|schreiben) sie (?:mich|uns|mir) (?:bitte )?nicht (?:mehr|wieder)\b",
    r"\bbitte (?:um )?(?:abmeldung|austragung|abmelden|austragen|loschen)\b",
    r"\b(?:me|nous) (?:desabonner|desinscrire)\b",
    r"\b(?:desabonnez|desinscrivez|retirez|supprimez|enlevez)[ -](?:moi|nous|mon)\b",
    r"\bne (?:me|nous|m') ?(?:contactez|ecrivez|envoyez|sollicitez) plus\b|\bne m'envoyez plus\b",
    r"\bne plus (?:me |nous |m')(?:contacter|ecrire|envoyer|solliciter)\b",
    r"\bne (?:souhaite|veux|desire) plus recevoir\b",
    r"\b(?:darme|denme|deme|dame|darnos) de baja\b|\bquiero (?:la|mi) baja\b|\bno (?:quiero|deseo) recibir mas\b",
    r"\bno (?:me|nos) (?:escriban?|escribas|envien?|envies|contacten?|contactes|manden?|mandes) mas\b",
    r"\bdej(?:en?|a|ad) de (?:escribir|enviar|contactar|mandar)(?:me|nos)\b",
    r"\b(?:eliminen?|borren?|quiten?)me de (?:su|la|esta|vuestra) lista\b",
)
_NEGATED = re.compile(
    r"(?:\bdo not|\bdon't|\bdont|\bnever|\bdid not|\bdidn't|\bno need to|\bwithout|\bwhy did you|\bdid you)"
    r" (?:(?:want|wish|need|have)(?: you)? to |please )?$"
)


def unsubscribe_rule(text: str) -> str | None:
    """The stable name of the rule by which a person asks not to be written to any more; None when nobody does."""
    lines = [line for raw in text[:MAX_FOLDED_CHARS].split("\n") if (line := folded(raw).strip(" .,!?*-'\""))]
    is_short = sum(len(line) for line in lines) <= _MAX_TEXT_BELOW_WISH
    if is_short and any(_WISH_LINE.fullmatch(line) for line in lines[:_MAX_WISH_LINES]):
        return "unsubscribe_line"
    whole = folded(text)
    for found in _UNSUBSCRIBE.finditer(whole):
        if not _NEGATED.search(whole[max(0, found.start() - 40) : found.start()]):
            return "unsubscribe_phrase"
    return None
