"""The German and Dutch grammar of a wish to be left alone; see ``classify_wish_english`` (pure, linear)."""

_OWN = (
    r"(?:(?:all )?(?:meine[rnms]?|unsere[rnms]?|diese[rnms]?|alle|samtliche|mein|die) "
    r"(?:(?!letzte|vorige)\w+ ){0,2}?"
    r"(?:e-?mail-?adressen?|mailadressen?|adressen?|e-?mails?|mail|daten|kontaktdaten|kontakte?|namen?|eintrag|account|"
    r"profil|firma|nummer|informationen))"
)
_ME = rf"(?:mich|uns|{_OWN})(?!\w)"
_LIST = (
    r"(?:[\w-]*(?:verteiler\w{0,4}|listen?|datenbank|datenbestand|bestand|kartei|system|newsletter|adressbuch|"
    r"kontakten|"
    r"crm|datei|kampagne|unterlagen))\b"
)
_MAIL = (
    r"(?:(?:[\w-]*e-?)?mails?|[\w-]*mails|nachrichten?|[\w-]*werbung|werbe\w+|anfragen?|kontakt(?:e|aufnahmen?|"
    r"versuche?)?|"
    r"zusendung\w*|[\w-]*angebote?n?|newsletters?|infos?|informationen|spam\w*|anschreiben|schreiben|"
    r"mailings?|post)"
)
_MORE = r"(?:mehr|wieder|weiter|weiterhin|noch ?einmal|nochmals?|langer|erneut|zukunftig|in zukunft)"
_ENDS = r"(?=$|[,.!)]| (?:danke|und|aus|von|vom|bitte|da|mehr|vielen|mfg|sonst)\b)"

COMMANDS: tuple[str, ...] = (
    r"\blosch(?:en|t|e)?(?: sie)?(?: bitte)? diese(?=$|[,.!])",
    rf"\b(?:losch(?:en|t|e)?|streich(?:en|t|e)?|entfern(?:en|t|e)?)(?: sie| ihr)?(?: \w+){{0,2}}? {_ME}",
    rf"\b(?:nehm\w{{0,2}}|nimm|trag(?:en|t|e)?|hol(?:en|t|e)?|werf\w{{0,2}}|schmeiss\w{{0,2}}|schmeiß\w{{0,2}})"
    rf"(?: sie| ihr)?(?: \w+){{0,2}}? {_ME}(?: [\w-]+){{0,6}}? (?:aus|raus|heraus|runter|ab|von)\b",
    rf"\bmeld(?:e|en|et)?(?: sie| ich| wir)?(?: bitte)? {_ME}(?: (?!fur |zum |am )[\w-]+){{0,5}}? ab\b",
    rf"\b(?:send|schick|schreib|mail)\w{{0,2}}(?: sie| ihr)?(?: \w+){{0,2}}? (?:mir|uns) (?:\w+ ){{0,3}}?"
    rf"(?:keine?n? (?:\w+ ){{0,2}}?{_MAIL}|nichts|nicht {_MORE}|nie {_MORE})\b",
    rf"\b(?:kontaktier|schreib|belastig|nerv|melde|mail|behellig|bemuster)\w{{0,3}}(?: sie)?(?: \w+){{0,2}}? "
    rf"(?:mich|mir|uns)(?: bitte| \w+){{0,2}}? (?:nicht|nie)(?: an)?(?: {_MORE}|(?=$|[,.!]))",
    r"\b(?:horen sie|hor|hort)(?: bitte| endlich| doch){0,2} (?:damit )?auf\b|\b(?:mir|mich|uns) "
    r"(?:\w+ ){0,3}?aufhoren\b",
    r"\bunterlass(?:en|t|e)?(?: sie)?(?: bitte)? (?:weitere|die|jede|diese|das|es|solche|kunftig|zukunftig|kunftige)\b",
    r"\bverschon(?:en|t|e)?(?: sie)?(?: bitte)? (?:mich|uns)\b|\blass(?:en|t)?(?: sie)?(?: \w+)? (?:mich|"
    r"uns)(?: \w+)? in ruhe\b",
    r"\b(?:sehen|seht|sieh)(?: sie)?(?: bitte)?(?: \w+)? (?:von|davon)\b.{0,60}\bab\b",
    rf"\b(?:absehen|abzusehen|abstand|verzichten)(?: sie)? (?:von|auf) (?:\w+ ){{0,3}}?{_MAIL}\b",
    rf"\b(?:von|auf) (?:weiteren?|jegliche[rn]?|solche[nr]?|diese[nr]?|derartigen|kunftigen|zukunftigen) "
    rf"(?:\w+ )?{_MAIL} (?:\w+ )?(?:absehen|abzusehen|(?:zu )?verzichten)\b",
    rf"\b(?:setz|nehm|trag)\w{{0,2}}(?: sie)?(?: bitte)? {_ME} (?:\w+ )?(?:auf|in) (?:\w+ )?(?:sperr|black|"
    rf"robinson)\w*",
    rf"\bverzicht(?:e|en) (?:\w+ )?auf (?:\w+ ){{0,2}}?{_MAIL}\b",
    rf"\bsperr(?:en|t|e)?(?: sie)?(?: bitte)? {_ME}",
)

AT_START: tuple[str, ...] = (
    rf"(?:(?:um|meine|unsere|die|eine) ){{0,2}}(?:abmeldung|austragung|loschung|abmelden|austragen|loschen|entfernen|"
    rf"streichen|abbestellen|abbestellung|aufhoren){_ENDS}",
    rf"(?:(?:in zukunft|zukunftig|kunftig|ab sofort|ab jetzt|mir|uns|an mich|an uns) ){{0,2}}keine?(?:n|rlei)? "
    rf"(?:(?!interesse )\w+ ){{0,3}}?{_MAIL}(?: (?:mehr|erwunscht|gewunscht|von ihnen|senden|schicken|danke|bitte))*"
    r"(?=$|[,.!])",
    rf"(?:keine? (?:weiteren?|mehr)|nie (?:wieder|mehr)) (?:\w+ )?{_MAIL}\b",
    rf"(?:mich |uns |mir )?(?:bitte )?(?:nicht|nie) {_MORE} (?:\w+ ){{0,2}}?(?:kontaktier\w+|anschreib\w+|schreiben|"
    r"belastig\w+|melden|anmailen|mailen)\b",
    r"(?:das|dies|ihre \w+) ist (?:\w+ )?(?:spam|belastigung|unzulassig\w*|werbung)\b",
)

STATEMENTS: tuple[str, ...] = (
    rf"\b(?:mir|uns) (?:\w+ ){{0,2}}?keine (?:\w+ ){{0,2}}?{_MAIL} (?:(?:mehr|zu|mir|uns) ){{0,2}}(?:senden|schicken|"
    r"zusenden|zuzusenden|zuschicken|schreiben|zukommen)\b",
    rf"\b{_ME} (?:(?!fur |vom |am |zum |unser|anbieter )[\w-]+ ){{0,6}}?"
    rf"(?:(?:ab|aus)(?:zu)?(?:melden|tragen)|(?:zu )?(?:loschen|"
    r"entfernen|streichen)|(?:he)?raus(?:zu)?(?:nehmen|streichen)|abbestellen)\b",
    rf"\b{_ME} (?:\w+ ){{0,3}}?(?:aus|von|vom) (?:\w+ ){{0,3}}?{_LIST} (?:\w+ ){{0,2}}?(?:zu )?(?:nehmen|loschen|"
    r"streichen|entfernen|austragen|abmelden|rausnehmen)",
    rf"\b(?:aus|von) (?:ihrem|dem|ihrer|der|eurem|eurer|deinem|deiner|diesem|dieser|allen|ihren|euren) (?:\w+ ){{0,2}}?"
    rf"{_LIST}.{{0,30}}\b(?:nehm|genommen|gestrichen|geloscht|entfernt|streich|losch|entfern|austrag|raus|runter)",
    rf"\b(?:newsletter|{_MAIL}|abo|abonnement) (?:\w+ ){{0,2}}?(?:abbestellen|abzubestellen|abbestelle|kundigen)\b",
    r"\b(?:bitte|bitten)(?: \w+)? um (?:\w+ ){0,3}?(?:loschung|abmeldung|austragung|entfernung|streichung)\b",
    rf"\b(?:mochten?|mocht|will|wollen|wunschen?|wunsche|wollte|wollen|erwarte|verbitte) (?:\w+ ){{0,4}}?"
    rf"keine?(?:n|rlei)? (?:\w+ ){{0,3}}?{_MAIL}(?![\w-])",
    rf"\b(?:mochten?|mocht|will|wollen|wunschen?) (?:\w+ ){{0,3}}?(?:nichts|nicht) (?:{_MORE} )?(?:\w+ ){{0,4}}?"
    r"(?:horen|bekommen|erhalten|kontaktiert|angeschrieben|belastigt|beworben|angemailt)\b",
    rf"\b(?:mich|mir|uns|von ihnen) (?:\w+ ){{0,3}}?(?:nicht|nie) {_MORE} (?:\w+ ){{0,3}}?(?:zu )?(?:kontaktier\w+|"
    r"anschreib\w+|anzuschreiben|angeschrieben|schreiben|belastig\w+|melden)\b",
    r"\b(?:mail|zusendung|kontakt|werbung|anfrage)\w{0,9} (?:\w+ ){0,2}?nicht (?:mehr )?(?:erwunscht|gewunscht)\b",
    r"\bkein(?:e|en)? (?:\w+ )?(?:kontakt\w*|werbung|zusendung\w*) (?:\w+ )?(?:erwunscht|gewunscht)\b",
    r"\b(?:widerspreche|widersprechen|widerrufe|widerrufen|lege widerspruch)\b.{0,60}\b(?:nutzung|verarbeitung|"
    r"verwendung|"
    r"werbung|daten|einwilligung|zusendung|speicherung|kontakt\w*)",
    r"\b(?:nie|niemals|nicht|keine)(?: \w+){0,4}? (?:angemeldet|eingewilligt|einwilligung|abonniert|zugestimmt|"
    r"angefordert|registriert|eingetragen)\b(?! werden)",
)

DUTCH: tuple[str, ...] = (
    r"\b(?:uit te|uit)(?:schrijven)\b|\bschrijf (?:mij|me|ons)(?: \w+){0,2}? uit\b",
    r"\b(?:haal|neem|zet|gooi|streep)(?: u)? (?:mij|me|ons|mijn \w+)(?: \w+){0,6}? (?:af|uit|van)\b",
    r"\b(?:verwijder|wis|schrap)(?:t)?(?: u)?(?: a\.?u\.?b\.?)? (?:mij|me|ons|mijn|onze|dit adres|alle)\b",
    r"\b(?:mij|me|ons|mijn \w+|onze \w+)(?: \w+){0,6}? (?:te )?(?:verwijderen|wissen|schrappen)\b",
    r"\b(?:mij|me|ons)(?: (?!voor )\w+){0,4}? (?:af|uit) ?(?:te )?(?:melden|schrijven)\b(?! voor (?:de|het) "
    r"(?:afspraak|"
    r"meeting|gesprek))",
    r"\b(?:wil|willen|wens|wensen|liever|hoef|hoeven)(?: \w+){0,4}? geen (?:\w+ ){0,3}?(?:e-?mails?|mails?|mailtjes|"
    r"berichten|nieuwsbrie\w+|reclame|post|contact|aanbiedingen)\b",
    r"\b(?:stuur|zend|schrijf|mail)(?:t)?(?: u)? (?:mij|me|ons) (?:\w+ ){0,2}?(?:geen|niets|niet)(?: meer)?(?: \w+)?"
    r"(?: meer)?(?=$|[,.!]| a)",
    r"\b(?:mail|schrijf|benader|contacteer|bel|e-mail)(?: u)? (?:mij|me|ons) (?:\w+ )?(?:niet|nooit) (?:meer|weer|"
    r"verder)\b",
    r"\bneem(?:t)?(?: u)? (?:alstublieft |aub )?geen (?:verder )?contact meer\b",
    r"\b(?:stop|hou|houd)(?:t)?(?: \w+)? (?:met|op met) (?:\w+ ){0,3}?(?:mailen|mails?|e-?mails?|sturen|schrijven|"
    r"spammen|"
    r"benaderen)\b",
    r"^(?:graag |gelieve )?geen (?:\w+ )?(?:e-?mails?|mails?|mailtjes|berichten|reclame) (?:meer|aub)\b",
    r"\b(?:uit|van) (?:de|uw|jullie|deze|je) \w*(?:lijst|bestand|mailing)\w* (?:te )?(?:halen|verwijderen|schrappen|"
    r"af)\b",
    r"\blaat (?:mij|me|ons) met rust\b",
)
