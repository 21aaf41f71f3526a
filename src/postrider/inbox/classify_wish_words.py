"""What stands around a wish to be left alone: bare words, politeness, greetings, and what turns one into another thing.

For ``classify_wishes``; patterns run on one folded sentence (pure, linear).
"""

import re

from postrider.inbox.classify_wish_english import UNSUB

_POLITE = (
    r"(?:please|kindly|pls|plz|plse|ok|okay|thanks|thank you|thx|hi|hello|hey|just|so|and|now|immediately|asap|at once|"
    r"right away|again|sir|guys|cheers|regards|best|no|already|today|for good|forever|"
    r"bitte|danke|sofort|umgehend|endlich|hallo|svp|stp|merci|s'il vous plait|s'il te plait|bonjour|immediatement|"
    r"por favor|gracias|hola|ya|inmediatamente|per favore|grazie|subito|aub|a\.u\.b|alstublieft|graag|gelieve|dank|"
    r"obrigado|obrigada|prosze|tack|tak|takk|vanligen)"
)
_BARE = (
    rf"(?:{UNSUB}(?: (?:me|us|now))?|unsubscribed|unsubscription|unsubscribing|enough|dnc|delete (?:me|us)|"
    r"(?:do not|don't|dont) (?:contact|call|e-?mail|mail|disturb|write)|no molestar|stop(?: (?:it|now|this|that|all|"
    r"e-?mail(?:ing)?s?|"
    r"mails?|messages|spam|spamming))?|"
    r"stopall|remove(?: (?:me|us))?|removal|opt(?: me| us)?[ -]?out|take (?:me|us) off|cancel subscription|"
    r"no more|"
    r"(?:(?:newsletter|mich|uns) )?(?:abmelden|abmeldung|austragen|abbestellen|abbestellung|loschen)|stopp|aufhoren|"
    r"keine werbung|"
    r"(?:me |se )?(?:desabonner|desabonnement|desinscription|desinscrire|retirer)|arretez|arret|"
    r"baja|darme de baja|alta baja|cancelar(?: (?:mi |la )?suscripcion)?|desuscribir(?:me)?|eliminar(?:me)?|"
    r"quitar(?:me)? de la lista|"
    r"cancellami|cancellatemi|disiscrizione|disiscrivimi|rimuovimi|rimuovere|cancellazione|"
    r"uitschrijven|afmelden|verwijderen|uitschrijving|remover|descadastrar|cancelar inscricao|"
    r"отписаться|отпишите|отписка|стоп|wypisz|rezygnuje|avregistrera|afmeld|avmeld|avsluta|"
    r"退订|退訂|取消订阅|td|配信停止)"
)
BARE = re.compile(rf"(?:{_POLITE},? ){{0,3}}{_BARE}(?:[ ,-]+(?:{_POLITE}|{_BARE})){{0,3}}")
"""A whole sentence that is nothing but the wish."""

ALONE = re.compile(rf"(?:{_POLITE},? ){{0,3}}(?:delete|cancel|quit|end)(?:[ ,-]+{_POLITE}){{0,3}}")
"""A sentence that is the wish only where the text says nothing else."""

REFUSAL = re.compile(
    r"(?:(?:sorry|thanks|thank you|hi|hello),? (?:but )?)?"
    r"(?:no|nope|nah|no,? (?:thanks|thank you)|wrong (?:person|address)|"
    r"(?:i'm |i am |we're |we are )?not (?:\w+ )?(?:interested|relevant|for (?:me|us))|no interest|"
    r"kein (?:interesse|bedarf)|"
    r"nein|nein,? danke|non|non,? merci|pas interesse|no,? gracias|no me interesa|no,? grazie)"
)
"""A first clause after which a bare word is a wish, too."""

POLITE = re.compile(rf"{_POLITE}(?:[ ,-]+{_POLITE}){{0,3}}")
"""A sentence that says nothing."""

GREETING = re.compile(
    r"(?:hi|hello|hey|dear|good (?:morning|afternoon|day|evening)|hallo|guten (?:tag|morgen)|sehr geehrte[rn]?|"
    r"liebe[rn]?|"
    r"moin|servus|bonjour|bonsoir|cher|chere|madame|monsieur|hola|buenos dias|buenas tardes|estimad[oa]s?|ciao|"
    r"buongiorno|salve|gentile|beste|geachte|dag|ola|bom dia|caro|cara|prezad[oa]s?|здравствуите|dzien dobry|hej|hei)"
    r"(?: [\w.'-]{1,30}){0,4}"
)
"""A whole sentence or its beginning that only greets."""

START = re.compile(
    r"(?:^|[,:;(\"'\u201c>-] ?|\b(?:please|pls|plz|kindly|and|so|then|just|now|or|but|thanks|thank you|hence|therefore|"
    r"also|again|finally|really|okay|ok|guys|folks|you|you to|you must|you should|immediately|simply|must|first|"
    r"interested|to|me|us|i|can i|do i|we|could you|can you|will you|would you|bitte|danke|bitten|also|und|daher|merci|"
    r"de|hi \w{1,20}|hello \w{1,20}|hey \w{1,20}|hallo \w{1,20}) )$"
)
"""What stands right before a wish that begins there; for those that name no object."""

NOT_A_WISH = re.compile(
    # turned round
    r"(?:\b(?:do not|don't|dont|never|(?<!you )did not|(?<!you )didn't|no need to|without|not|nicht|why did you|"
    r"did you|"
    r"wouldn't|wont|won't|doesn't|didnt|no reason to|instead of|rather than|kein grund)"
    r" (?:(?:want|wish|need|have|like|going|mean|trying|yet|quite)(?: you)? to |want |please |just |ever |be |to |"
    r"necessarily ){0,3}"
    # on a condition
    r"|\b(?:if|in case|should|whether|whenever) (?:you|anyone|anybody|someone|they|people|recipients|one)\b(?!')"
    r"(?! (?:could|would|can|had|will|please|kindly|took|removed?|delete|stop|stopped|unsubscribed?|just|do not|don't|"
    r"did not|didn't|didnt|continue|keep|e-?mail|contact|send|write|spam|message)\b)[^,]{0,60}"
    r"|\b(?:if|when|why|since|because|unless|in case) you "
    r"|\b(?:if|when|once|after) (?:i|we) (?:sign|buy|subscribe|start|order|join|book|pay|try)\b.{0,60}"
    r"|\b(?:alte[nrms]?|bisherige[nrms]?|jetzige[nrms]?|derzeitige[nrms]?) "
    r"|\b(?:wenn|falls|sofern|sollten|mochten) sie\b.{0,60}|\bsi (?:vous|tu) .{0,60}"
    r"|\bsi (?:ya )?(?:usted )?no (?:desea|quiere|quieres|deseas).{0,60}|\bse (?:non|nao) .{0,60}|\bals u .{0,60}"
    r"|\bindien u .{0,60}"
    # about others; "your vendors" would be theirs
    r"|(?<!your )\b(?:customers?|clients?|users?|people|prospects?|subscribers?|recipients?|buyers|vendors?|suppliers?|"
    r"providers?|agency|agencies|visitors|candidates|competitors?|members|patients|students|readers|who|leads|teams?|"
    r"kunden|nutzer|empfanger\w?|utilisateurs|clientes?|usuarios|clienti|klanten)\b"
    r"(?:(?! (?:please|kindly|pls|so|i|you|me|bitte|merci|por) )[^,:;]){0,60}"
    # a question about how something works
    r"|\b(?:do|does|did|when|where|why|how) (?:you|it|they|we|your \w+)(?: \w+){0,3} "
    r"|\bhow (?:do|does|would|will|did|can) (?:you|it|they|your \w+)(?: \w+){0,3} "
    r"|\b(?:does|will) (?:it|this)\b.{0,60}"
    r"|\b(?:does|can|could|will|would|is) your (?:product|tool|platform|software|system|app|solution|service)\b.{0,60}"
    r"|\b(?:was|were|am) (?:\w+ )?(?:about|going|ready|tempted) to |\b(?:almost|nearly) "
    r"|\b(?:click|klicken|cliquez|haga clic|clicca|klik)\b(?: \w+){0,4} "
    r")$"
)
"""What stands before words that only look like a wish."""

TELLS = re.compile(
    r"\b(?:we|they|he|she|it|who|which|that|wir|nous|ich kann|i(?= (?:\w+ly|always|often|just|already|will|can|had|"
    r"have|did)\b))(?: (?:\w+ly|always|also|then|can|could|will|would|already|"
    r"had to|have to|need to|want to|plan to|are going to|just|must|should|do|did|often|usually|regularly|have|may|"
    r"might|"
    r"had|tend to)){0,2} $"
)
"""What stands before a verb that tells what somebody does, and asks for nothing."""

UNDONE = re.compile(
    r"\b(?:and|then|but|instead) (?:please |then |just |rather )?(?:add|put|move|switch|include|sign|subscribe) "
    r"(?:me|us)\b"
    r"(?! (?:up |on |to |in |onto ){1,2}(?:your |the |a |any )?(?:\w+ )?(?:do[ -]|dnc|suppress|black|block|opt|unsub|"
    r"no-))"
    # others do; somebody else goes on with it, or in another way
    r"|^ ?(?:most|many|some|others?)\b.{0,40}\bbut (?:you|this|not)"
    r"|^ by .{0,40}\bbut by\b"
    # only for a time
    r"|^ (?:before (?!i |we )|until|till|during|on (?:weekends|holidays))\b"
    r"|\b(?:will|can|would|should|going to) (?:\w+ )?(?:schedule|join|lead|take over|handle|coordinate|book|attend|"
    r"host|arrange)\b"
    r"|^[,;-]? ?(?:but )?(?:let's|let us|just call|call me|shall we|can we|could we)\b"
    r"|^[,;]? ?(?:but )?(?:i|we) (?:need|want) (?!to (?:be|unsub|opt|stop)|you|out|off|no\b|nothing|it|them)"
    r"|^ (?:by|via|over|on|per) (?:the |your )?(?:phone|telephone|mobile|post|sms|whatsapp|linkedin|fax|letter)\b"
)
"""What makes something else of a wish when it follows: a move, a handover, another way."""

FOOTER = re.compile(
    r"^(?:to|um|pour|para|per) (?:unsubscribe|opt[ -]out|stop receiving|be removed|sich|vous|se|darse|dejar|"
    r"disiscriv)\b.{0,80}"
    r"\b(?:click|visit|follow|go to|reply|use|klick\w*|cliqu\w*|haga|clic)\b|\bclick (?:here|below|this|the)\b|"
    r"\breply (?:with )?[\"']?(?:stop|unsubscribe)\b|\b(?:hier klicken|klicken sie|cliquez|haga clic|clicca qui|"
    r"klik hier)\b"
)
"""A sentence from the foot of a mailing, which offers the way out to its readers."""
