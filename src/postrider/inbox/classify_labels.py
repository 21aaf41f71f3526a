"""A first label for a reply, by rules alone: the same text always gets the same label, offline (pure, linear)."""

import re
from typing import Literal

from postrider.inbox.classify_wishes import unsubscribe_rule
from postrider.inbox.classify_words import LEFT_COMPANY, OUT_OF_OFFICE, folded

Label = Literal[
    "interested",
    "meeting_requested",
    "needs_more_info",
    "referral",
    "question",
    "neutral",
    "not_interested",
    "wrong_person",
    "out_of_office",
    "left_company",
    "unsubscribe",
]

_WEEKDAY = r"(?:monday|tuesday|wednesday|thursday|friday|montag|dienstag|mittwoch|donnerstag|freitag)"
_MATERIAL = (
    r"(?:info\w{0,10}|details?|pricing|prices?|deck|brochure|case stud\w{1,4}|one-pager|material\w{0,3}|documentation|"
    r"examples?)"
)

# In this order, first hit wins: what ends a conversation or moves it elsewhere goes before what carries it on.
_RULES: tuple[tuple[Label, str, tuple[str, ...]], ...] = (
    (
        "referral",
        "referral_phrase",
        (
            r"\b(?:please |best to |better to |you should |you can |could you |i'd )?"
            r"(?:contact|reach out to|speak (?:to|with)|talk to|get in touch with|write to|e-?mail|ask)"
            r" (?:my|our|the) (?:colleague|boss|manager|head|team|cto|ceo|cfo|cmo|coo|vp|director|assistant|"
            r"partner|\w{2,20} team)",
            r"\b(?:contact|reach out to|speak (?:to|with)|talk to|e-?mail|write to) (?!me\b|us\b)[\w .'(<-]{1,40}@",
            r"\b(?:cc'?ing|cc'?d|copying in|copied in|looping in|looped in|adding|introducing|i've added|i have added)"
            r" (?:in )?(?:my|our|\w{2,20})\b",
            r"\b(?:forwarded|forwarding|passed|passing) (?:this|it|your (?:e-?mail|message|mail)) (?:on |along |"
            r"over )?to\b",
            r"\bis the (?:right|best|correct) (?:person|contact)\b",
            r"\b(?:wenden sie sich|sprechen sie) (?:bitte )?(?:an|mit)\b|\bmein(?:e|en)? kolleg(?:e|in|en)\b",
            r"\b(?:habe|leite) (?:ihre|ich ihre) (?:mail|e-?mail|nachricht|anfrage) (?:an|weiter)",
            r"\b(?:contactez|adressez-vous a|voyez avec) (?!moi|nous)|\b(?:transfere|transmis) (?:votre|a)\b",
            r"\bmon collegue\b|\bma collegue\b|\bmi companer[oa]\b",
            r"\b(?:contacte|hable|escriba) (?:con|a) (?!nosotros|mi\b)",
            r"\bhe reenviado\b",
        ),
    ),
    (
        "wrong_person",
        "wrong_person_phrase",
        (
            r"\b(?:not|isn't|aren't) the (?:right|correct|best) (?:person|contact|one|address)\b",
            r"\bwrong (?:person|contact|guy|address|department|company)\b",
            r"\bi(?:'m| am) not (?:responsible|in charge|involved|the one|the decision)\b",
            r"\bi (?:do not|don't) (?:handle|deal with|manage|look after|work (?:in|on))\b",
            r"\bnot my (?:area|department|job|field)\b",
            r"\bnicht (?:der|die) richtige (?:person|ansprechpartner\w{0,4}|kontakt)",
            r"\bnicht (?:zustandig|verantwortlich)\b",
            r"\bfalsche[rn]? (?:person|ansprechpartner\w{0,4}|adresse)\b",
            r"\bpas (?:la bonne personne|le bon (?:contact|interlocuteur)|responsable|en charge)\b",
            r"\bno soy (?:la persona|el responsable|la responsable)\b|\bpersona equivocada\b",
        ),
    ),
    (
        "not_interested",
        "not_interested_phrase",
        (
            r"\b(?:not|isn't|aren't|no longer|never|hardly) (?:\w{1,12} ){0,2}interested\b",
            r"\b(?:no|zero|without) interest\b",
            r"\bno,? thank(?:s| you)\b|^no[.!]?$",
            r"\bnot (?:a (?:good |great )?(?:fit|match|priority)|for us|for me|relevant)\b",
            r"\b(?:we'll|i'll|we will|i will|going to|have to|gonna) (?:have to )?pass\b",
            r"\b(?:do not|don't|dont) (?:currently |really )?(?:need|require|want)\b|\bno need\b|\bnot looking\b",
            r"\balready (?:have|use|using|work with|working with) (?:a|an|another|our|someone|something)\b"
            r"(?! (?:call|meeting|demo))",
            r"\bhappy with (?:our|my|what|the) |\bnot (?:at )?(?:this time|right now|now|at the moment)\b",
            r"\bno budget\b",
            r"\bkein(?:en?)? (?:interesse|bedarf|budget)\b|\bnicht interessi?ert\b|\bnein,? danke\b",
            r"\b(?:pas|plus) (?:du tout )?(?:interess|besoin|de besoin)|\bnon,? merci\b",
            r"\bno (?:me|nos) interesa\b|\bno (?:estoy|estamos) interesad|\bno,? gracias\b|\bno necesit",
        ),
    ),
    (
        "meeting_requested",
        "meeting_phrase",
        (
            r"\b(?:let's|let us|can we|could we|can you|could you|shall we|happy to|glad to|love to|like to|"
            r"we can|i can|"
            r"we could|free to|want to) (?:\w{1,12} ){0,2}(?:talk|chat|meet|speak|jump on|hop on|schedule|set up|"
            r"book|call|"
            r"have a (?:\w{1,12} ){0,2}call|catch up)\b",
            r"\b(?:book|schedule|set up|arrange|plan|do|have) (?:a|an|some|the) (?:\w{1,12} ){0,2}(?:call|meeting|"
            r"demo|chat)\b",
            r"\bcalendly\.|\bcal\.com/|\bsavvycal\.|\bmeetings\.hubspot\.|\bcalendar (?:invite|invitation|link)\b",
            r"\b(?:call me|give me a (?:call|ring)|ring me)\b",
            r"\b(?:i'm|i am|we're|we are|are you) (?:\w{1,10} )?(?:free|available) (?:on|at|tomorrow|next|this|"
            r"for|any)\b",
            r"\bsend (?:me |us |over )?(?:a |an |some |your )?(?:invite|invitation|times|availability|slots)\b",
            rf"\b(?:how about|does|would|what about) (?:\w{{1,12}} ){{0,3}}{_WEEKDAY}\b",
            rf"\b{_WEEKDAY} (?:\w{{1,12}} ){{0,3}}works\b",
            r"(?<!kein )(?<!keinen )\b(?:termin|telefonat|telefonieren|rufen sie mich|kennenlernen|videocall)\b",
            r"\b(?:rendez-vous|rdv|appelez-moi|s'appeler|planifier un|prendre un creneau)\b",
            r"\b(?:una reunion|una llamada|llameme|llamame|agendar|una cita|agendemos|hablemos)\b",
        ),
    ),
    (
        "needs_more_info",
        "more_info_phrase",
        (
            r"\b(?:more|further|additional|some) (?:info|information|details)\b|\btell (?:me|us) more\b",
            rf"\b(?:send|share|forward)(?: (?:me|us|over|through|along|it|some|more|the|your|any|"
            rf"a)){{0,4}} {_MATERIAL}\b",
            r"\bhow much (?:does|is|would|do|are)\b",
            r"\bwhat(?:'s| is| are|s)? (?:the |your )?(?:price|pricing|cost|costs|rates?|fees?)\b",
            r"\bhow does (?:it|this|that|your \w{1,20}) work\b|\b(?:can|could) you (?:explain|elaborate|clarify)\b",
            r"\b(?:mehr|weitere|nahere) (?:infos?|informationen|details)\b|\bwas kostet\b|\bpreis(?:e|liste)\b",
            r"\bunterlagen\b",
            r"\bplus d'info|\ben savoir plus\b|\bcombien\b|\bvos tarifs?\b",
            r"\b(?:votre|une) (?:documentation|brochure|plaquette)\b",
            r"\bmas (?:info|informacion|detalles)\b|\bcuanto cuesta\b|\b(?:sus|los|de) precios?\b",
        ),
    ),
    (
        "interested",
        "interested_phrase",
        (
            r"\b(?:i'm|i am|we're|we are|very|definitely|quite|could be|might be|would be|"
            r"be) (?:\w{1,12} ){0,2}interested\b"
            r"|(?:^|[.!] )interested\b",
            r"\b(?:sounds|looks|seems) (?:\w{1,12} )?(?:good|great|interesting|promising|perfect|useful|exciting)\b",
            r"\bkeen (?:to|on)\b|\blove to (?:learn|hear|see|know|try)\b|\byes,? please\b|\bcount me in\b",
            r"\blet's do (?:it|this)\b",
            r"\b(?:klingt|hort sich) (?:\w{1,12} )?(?:gut|interessant|spannend)\b",
            r"\b(?:bin|sind|ware|waren) (?:\w{1,12} )?interessiert\b",
            r"\b(?:habe|haben|hatte|hatten|grosses) interesse\b|\bsehr gerne?\b|\bja,? (?:bitte|gerne?)\b",
            r"\b(?:m'interesse|nous interesse|suis interesse|sommes interesse|avec plaisir|volontiers)",
            r"\b(?:me|nos) interesa\b|\b(?:estoy|estamos) (?:muy )?interesad|\bsuena (?:bien|interesante)\b",
            r"\bcon gusto\b",
        ),
    ),
)
_COMPILED = tuple((label, rule, re.compile("|".join(patterns))) for label, rule, patterns in _RULES)


def suggest_label(text: str, *, subject: str = "") -> tuple[Label, str]:
    """The label that fits a reply's own text (without quotes), and the stable name of the rule that chose it."""
    if (rule := unsubscribe_rule(text)) is not None:
        return "unsubscribe", rule
    whole = folded(text)
    if LEFT_COMPANY.search(whole):
        return "left_company", "left_company_phrase"
    if OUT_OF_OFFICE.search(whole) or OUT_OF_OFFICE.match(folded(subject)):
        return "out_of_office", "out_of_office_phrase"
    for label, name, pattern in _COMPILED:
        if pattern.search(whole):
            return label, name
    if "?" in whole or "？" in whole:
        return "question", "question_mark"
    return "neutral", "no_rule"
