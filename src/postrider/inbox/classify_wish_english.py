"""The English grammar of a wish to be left alone: verb, object and what may follow (pure, linear).

For ``classify_wishes``: patterns run on one folded sentence, and every gap in them is bounded.
"""

UNSUB = r"un[ -]?su(?:b(?:s?cri?be?|scibe|sribe|)|scribe|bscirbe)"
ADDRESS = r"<?[\w.+-]{1,64}@[\w.-]{1,100}\w>?"

_MINE = (
    r"(?:(?:whole|entire|own|old|personal|contact|e-?mail|business|work|company|private|full|first|last) ){0,2}"
    r"(?:e-?mails?|mail|(?:e-?)?mail (?:address|id)|address|addresses|name|names|details|data|contacts?|info|"
    r"information|"
    r"number|account|records?|profile|company|domain|organi[sz]ation|firm|business|team|staff|colleagues|employees|"
    r"people|department|group|inbox|mailbox|"
    r"office(?! line| phone| number))(?: (?:and|or) (?:e-?mail|name|address|phone|company|team|data|details)){0,2}"
)
_ME = (
    rf"(?:me|us|myself|ourselves|(?:my|our) (?!last e?-?mails?\b){_MINE}|"
    rf"(?:all|any|all of|any of)(?: the| of)? (?:my|our) {_MINE}|"
    r"(?:this|the following|the above|that|these|my and this) (?:e-?mails?|e-?mail address(?:es)?|e-?mail id|address|"
    r"addresses|account|inbox|mailbox|contact|domain|person)|(?:both|all|either) of us|(?:any|every)(?:one|body) "
    rf"(?:else )?(?:here|at|in|from|on)|{ADDRESS})(?![\w@])"
)
_MAIL = (
    r"(?:e-?mails?|e-?mailings?|mails?|mailings?|messages?|newsletters?|reminders?|spam|junk|communications?|"
    r"correspondence|offers?|"
    r"promotions?|solicitations?|marketing|outreach|updates|follow[ -]?ups?|crap|shit|bullshit|nonsense|garbage|"
    r"rubbish|"
    r"sequences?|pitches|advertis\w{3,7}|ads|notifications?|contact|harassment|mass-?mails?|sales pitch(?:es)?)"
)
_LIST = (
    r"(?:(?:mailing|e-?mail|distribution|contact|marketing|send|sending|prospect|outreach|call|calling|sales|spam|"
    r"cold) ?)?"
    r"(?:lists?|listings?|databases?|db|crm|systems?|records|files|mailings?|campaigns?|sequences?|cadences?|"
    r"distributions?|newsletters?|subscriptions?|communications?|correspondence|outreach|threads?|chains?|mailers?|"
    rf"address book|directory|contacts|{_MAIL})"
)
_LISTED = rf"(?:(?!(?:wait|waiting|guest|invitation) )\w[\w'-]* ){{0,5}}?{_LIST}\b"
_ENDS = (
    r"(?=$|[,.!?:;)(\[<-]| - | (?:please|pls|plz|immediately|now|asap|at once|right away|straight away|thanks|thank|"
    r"thx|and|as|"
    r"or|with immediate|kindly|today|but|i|we|because|since|already|again|off|forever|for good|permanently|entirely|"
    r"completely|too|ever|any ?more|any longer|any further|altogether|if|unless|before|in future|in the future|"
    r"going forward|from now|at your|@)\b)"
)
_ADVERB = (
    r"(?:(?:immediately|permanently|kindly|please|just|ever|again|further|at all|completely|all|try to|trying to) )?"
)
_DROP = (
    r"(?:remove|delete|erase|purge|scrub|wipe|strike|expunge|unlist|delist|deregister|unregister|"
    r"destroy|eliminate|withdraw)"
)
_DROPPING = r"(?:removing|deleting|erasing|purging|unsubscribing|excluding|dropping|pulling)"
_STOP = r"(?:stop|quit|cease|halt|discontinue|refrain from|desist from|abstain from|avoid|knock off|end)"
_WRITING = (
    r"(?:e-?mailing|mailing|contacting|messaging|spamming|writing(?: to)?|bothering|harassing|bugging|pestering|"
    r"pinging|soliciting|pitching|bombarding|annoying|targeting|chasing|disturbing|hounding|stalking|"
    r"approaching|"
    r"badgering|reaching out(?: to)?|following up(?: with)?|filling(?: up)?|flooding|cluttering|"
    r"trying to (?:contact|reach|sell(?: to)?|e-?mail))"
)
_NOT = (
    r"(?:do not|don't|dont|do n't|never|not to|must not|mustn't|should not|shouldn't|may not|did not|didn't|would not|"
    r"wouldn't|will not|won't|nor|no longer|(?:could|can|would) you (?:please )?not)"
)
_WRITE = (
    r"(?:e-?mail|contact|write(?: back)?(?: to)?|message|mail|bother|approach|spam|pester|solicit|disturb|harass|"
    r"reach out to|follow up with|get in touch with|pitch(?: to)?|chase|bug|annoy)"
)
_AGAIN = (
    r"(?:again|any ?more|any further|further|any longer|in (?:the )?future|ever|under any circumstances|whatsoever|"
    r"going forward)"
)
# "Do not write before May" or "on Friday" is about when, not about whether.
_NO_LIMIT = (
    r"(?! (?:on (?!my\b|this\b|that\b|the (?:subject|matter|topic))|before|until|till|this (?:week|month|quarter|year|"
    r"morning|afternoon|summer|winter)|today|tomorrow|next|during|between|by (?:phone|text|sms|whatsapp)|"
    r"via (?!e-?mail)|"
    r"over|directly|for (?:now|the (?:next|moment|time)|another|a (?:few|while|couple|month|week)|at least)|"
    r"in (?:the (?:morning|evening|afternoon|meantime|next)|jan|feb|mar|apr|may|june|july|aug|sep|oct|nov|dec|q\d|"
    r"\w{1,10} (?:weeks|months|days)|spring|summer|autumn|winter)|after|so (?:early|late|soon)|yet|just|only|the|a|"
    r"an|if|"
    r"right now|at the moment|while|as long|when|too|instead|with(?:out)? (?:the|a|an))\b)"
)
_SENT = (
    r"(?:(?:any|anymore|more|further|another|these|those|such|this|your|other|additional|unsolicited|marketing|sales|"
    r"kinds?|types?|sorts?|of|thing|things|commercial|promotional|mass|cold|automated|unwanted|stupid|all) ){0,5}?"
    rf"(?:{_MAIL}|anything|stuff|nonsense|(?:things?|these|those|them|this|any ?more|more|it)(?=$|[,.!]| to me|"
    rf" again| any))"
)
_WANT = r"(?:want|wish|like|care|need|desire|intend|agree|consent|expect|ask|prefer|interested|keen|willing|happy)"
_GET = r"(?:receive|receiving|get|getting|see|seeing|read|reading|be receiving|be getting|be sent|being sent|have)"
_BE_WRITTEN = (
    r"(?:be|being|get|getting) (?:\w+ )?(?:contacted|e-?mailed|mailed|messaged|bothered|spammed|disturbed|approached|"
    r"solicited|pitched|subscribed|pestered|harassed|marketed to|sold to|pursued|written to|reached out to|chased|"
    r"(?:included |kept |added )?(?:on|in|to|part of) (?:\w+ ){1,3}?(?:lists?|database|mailings?|sequence|campaign))"
)
_REMOVED = r"(?:removed|unsubscribed|deleted|erased|taken off|taken out|opted out|excluded|left alone|dropped)"

# A command, or a question that asks for it. Not "we remove…", which tells of one's own work.
COMMANDS: tuple[str, ...] = (
    rf"\b{UNSUB} (?:{_ME}|both|everyone|everybody|him|her|them)",
    rf"\b{UNSUB} (?:\w+ )?from (?!our\b|my\b|their\b|his\b|her\b|its\b|other\b|another\b)",
    rf"\b{_DROP} {_ME}(?: [\w.@+'-]+){{0,3}}? (?:from|form|off|out of)(?: of)? {_LISTED}",
    rf"\b{_DROP} {_ME}(?: (?:completely|entirely|altogether|permanently|fully))?{_ENDS}",
    rf"\b(?:delete|erase) {_ME}",
    rf"\b(?:drop|exclude|cut|pull|scratch|clear|strike|cross) {_ME}(?: (?:out|off))?(?: from| off| out of)(?: of)? "
    rf"{_LISTED}",
    rf"\b{_DROP} (?:from|form|off) (?:\w+ ){{0,3}}?{_LIST}\b",
    rf"\b{_DROP} (?:[\w.@+'-]+ ){{1,4}}?(?:from|form|off) your (?:\w+ ){{0,3}}?(?:lists?|database|crm|mailings?|"
    rf"system)\b",
    r"\b(?:remove|delete|take|drop|unsubscribe) (?:him|her|them|this (?:person|contact|user)) (?:from|off)\b",
    r"\b(?:delete|erase|remove|purge|forget)(?: \w+){0,2}? (?:data|information|details)(?: that)? (?:you|about me|"
    r"on me|"
    r"you have)\b",
    rf"\b(?:take|keep|leave) {_ME}(?: \w+)? off\b"
    r"(?! (?:(?:the )?hook|(?:the |your )?(?:wait|waiting|guest) ?list|guard|mute|hold|speaker)\b)",
    rf"\b(?:get|pull|take|keep|put|let|leave) {_ME}(?: \w+)? (?:off|out|from|out from)(?: of)? {_LISTED}",
    rf"\btake (?:my|our) {_MINE} out(?=$|[,.!])",
    rf"\b{_DROP} {_ME} from (?:everything|this|these|all of (?:this|these|it))(?=$|[,.!])",
    rf"\b{_NOT} keep (?:{_WRITING} {_ME}|sending {_ME} {_SENT})",
    rf"\b{_STOP} {_ADVERB}{_WRITING} (?:to |with |up )?{_ME}",
    rf"\b{_STOP} {_ADVERB}sending(?: out)? (?:to )?{_ME}(?:{_ENDS}| {_SENT}\b)",
    rf"\bno need to (?:{_WRITE}|follow up|reach out)(?: {_ME})? {_AGAIN}",
    rf"\bspare (?:me|us) (?:any |the |your |these )?(?:\w+ )?{_MAIL}\b",
    rf"\b(?:consider|mark|treat) {_ME} (?:as )?{_REMOVED}\b",
    rf"\b{_NOT} use (?:it|this|{_ME}) {_AGAIN}",
    rf"\bif you (?:do not|don't) stop {_WRITING}",
    rf"\b{_NOT} {_ADVERB}{_WRITE} {_ME}{_NO_LIMIT}",
    rf"\b{_NOT} {_ADVERB}(?:reach out|follow up|contact|e-?mail|write|get in touch|message|mail|come back|try)"
    rf"(?: (?:to|with))?(?: (?:{_ME}|here))?(?: (?:about|with|on) \w+(?: \w+)?)? {_AGAIN}",
    rf"\b{_NOT} {_ADVERB}(?:reach out|follow up|contact|e-?mail|message)(?: (?:on|about) (?:this|it|that))?(?=$|[,.!])",
    rf"\b{_NOT} {_ADVERB}(?:send|forward|deliver|address) (?:(?:to )?{_ME} )?{_SENT}\b{_NO_LIMIT}",
    r"\b(?:put|add|place|include|enter|register) (?:[\w@.+-]+ ){1,5}?(?:on|to|in|onto|into) (?:\w+ ){0,3}?"
    r"(?:do[ -]not[ -](?:call|contact|e-?mail|mail|disturb|send)|dnc|suppress\w{0,4}|opt[ -]?out|unsub\w{0,9}|black|"
    r"block\w{0,3}|no[ -]contact|exclusion|ignore|never[ -]contact)\b",
    r"^(?=.{0,120}\b(?:my|our) (?:e-?mail|mail|address|name|details|data|number)\b).{0,160}\b(?:remove|delete|erase) "
    r"(?:it|them)(?=$|[,.!])",
    rf"\b(?:blacklist|block|suppress) {_ME}",
    rf"\b{_NOT} {_ADVERB}(?:include|add|list|keep|put|sign|subscribe|enrol+) {_ME} (?:up )?(?:in|on|to|for|into) "
    rf"{_LISTED}",
    rf"\b{_DROP} (?:the |this )?(?:e-?mail|mail|mail id|e-?mail address|address)(?=$|[,.!]| please)",
    r"\bleave (?:me|us) (?:alone|be|in peace)\b|\blet (?:me|us) (?:alone|be)(?=$|[,.!])",
    rf"\b(?:lose|forget|throw away|bin) (?:my|our|this) {_MINE}",
    r"\bcease and desist\b",
    r"\b(?:please|pls|kindly|(?:beg|begging|ask|asking) you,?) (?:stop|remove)"
    r"(?: (?:please|now|immediately|asap|thanks))?[.!]*$",
    r"\bmake (?:[\w-]+ ){1,3}?stop(?=$|[,.!?]| please)",
    rf"\b(?:cancel|end|terminate) (?:my|this|these|all|the|our) (?:(?:e-?mail|newsletter|weekly|daily|free|mailing|"
    rf"of|these) ){{0,2}}(?:subscription|{_MAIL})\b(?! (?:with|to|at|from|for) (?!you))",
)

# The same without an object that says whom it is about: only where the wish itself begins.
AT_START: tuple[str, ...] = (
    rf"{UNSUB}{_ENDS}",
    rf"{_STOP} {_ADVERB}{_WRITING}{_ENDS}",
    rf"{_STOP} {_ADVERB}sending(?: out)? {_SENT}\b",
    rf"{_STOP} (?:(?:with|all|any|these|those|this|the|your|further|future|such|sending|me|of) "
    rf"){{0,4}}(?:\w+ )?{_MAIL}\b"
    r"(?! (?:from (?!you)|to our|in our|at (?!once)|that|which|who|by|losing|manually)\b)",
    r"(?:stop|quit|cease|end) (?:with )?(?:it|this|that|now|immediately)(?: (?:now|immediately|please|at once|"
    r"nonsense|madness))?"
    r"(?=$|[.!]|, (?:please|i\b|we\b|not|now|no\b|thank))",
    rf"no (?:more|further|additional|other) (?:of (?:this|these|your|that)|(?:\w+ ){{0,2}}?{_MAIL})\b"
    r"(?! (?:than|questions?)\b)",
    rf"no (?:contact|{_MAIL})(?: (?:please|any ?more|again|wanted|desired))(?=$|[,.!])",
    rf"opt (?:{_ME} )?out(?:{_ENDS}| (?:of|from) {_LISTED})",
    rf"opt[ -]out{_ENDS}",
    rf"(?:get |me |us )?off (?:of )?(?:your|this|the) (?:\w+ ){{0,2}}?{_LIST}\b",
    rf"any (?:further|more|future|other) (?:\w+ )?{_MAIL} (?:\w+ )?(?:will|shall|would) be (?:reported|treated|"
    r"considered|deleted|blocked|marked|ignored|regarded|forwarded to)\b",
    rf"enough(?: already| is enough| of (?:this|these|your|the)|(?: with)? (?:the|your|these) {_MAIL})(?=$|[,.! ])",
    r"(?:go away|get lost|piss off|fuck off|fuck you|bugger off|sod off|get stuffed|not welcome)\b",
    r"(?:this|it|that|your \w+) (?:is|looks like|was) (?:just |pure |clearly |obviously |considered )?"
    r"(?:spam|unsolicited|harassment|unwanted)(?=$|[,.!](?! (?:right|is|isn't)\b)| (?:and|so|please|mail|e-?mail)\b)",
    r"(?:sounds|looks|smells) like spam\b|spam(?=$|[.!])",
)

# What somebody says of themselves: no wish, no consent, steps already taken.
STATEMENTS: tuple[str, ...] = (
    rf"\b(?:be|being|been|get|getting) (?:\w+ )?(?:removed|unsubscribed|taken off|taken out|deleted|dropped|struck) "
    rf"(?:(?:from|off|of|out) ){{0,2}}(?:your|this|these|all|any) (?:\w+ ){{0,3}}?{_LIST}\b",
    r"\b(?:i|we|already|have|i've|we've) opted out(?=$|[,.!;)]| (?:already|of (?:this|these|your)|but|last|months|"
    r"weeks|twice|before))",
    r"\b(?:should not|shouldn't|ought not to) be on (?:your|this|any)\b",
    r"\bnot (?:to )?(?:be |being |get )?(?:contacted|e-?mailed|mailed|written to|messaged) (?:again|any ?more|by you|"
    r"in future)\b",
    r"\b(?:forbid|prohibit) (?:you|any)\b|\btake (?:a|the) hint\b",
    r"\b(?:demand|demanding|request|requesting|require|want|insist on|ask for) (?:the |my |immediate |full |our ){0,2}"
    r"(?:removal|deletion|erasure)\b",
    rf"\b(?:want|like|need|have|wish|get) {_ME} (?:to be )?(?:removed|deleted|taken off|erased)\b",
    rf"\b(?:do not|don't|dont)(?: waste \w+ (?:time|energy))?(?: keep)? {_WRITING} {_ME}",
    rf"\b(?:ensure|like|want|expect|sure|request|there (?:should|must) be)(?: that)? no (?:more|further|"
    rf"future) (?:\w+ )?{_MAIL}\b",
    rf"\b(?:ask|asked|demand|request|prefer|insist)(?: that)? you not {_WRITE} {_ME}",
    rf"\bif you (?:removed|deleted|erased|unsubscribed|dropped|took|stopped) (?:{_ME}|{_WRITING})",
    rf"\b(?:one more|another|the next|any further|any more) (?:\w+ )?{_MAIL}\b.{{0,60}}\b(?:report|block|spam|sue|"
    rf"lawyer|"
    r"attorney|legal|ico|complain|complaint)",
    r"\b(?:do not|don't|dont) want (?:any )?(?:of )?(?:this|it|that|these)(?: (?:crap|shit|stuff|any ?more))?(?=$|"
    r"[,.!])",
    rf"\b(?:do not|don't|never|won't|will not|cannot|can't) (?:accept|appreciate|tolerate|welcome) (?:\w+ )?"
    rf"(?:unsolicited|cold|spam|marketing|sales|commercial) (?:\w+ )?{_MAIL}\b(?!.{{0,40}}\b(?:but|yours|except)\b)",
    rf"\b(?:let this be|if this (?:was|were|is)|make this) (?:the|your) last (?:\w+ )?{_MAIL}\b",
    rf"\b(?:see|sure|ensure|request|ask)(?: to it)?(?: that)? {_ME} (?:is|are|be|gets?) {_REMOVED}\b",
    rf"\b(?:see|sure|ensure|request|ask)(?: to it)?(?: that)? (?:{_ME}|i|we) (?:gets?|receives?) no (?:more|further) "
    rf"(?:\w+ )?{_MAIL}\b",
    rf"\b(?:like|want) (?:these|(?:these|this|your|the) (?:\w+ )?{_MAIL}) to (?:stop|end)\b",
    rf"\bno need for (?:any |more |further |additional ){{1,2}}(?:\w+ )?{_MAIL}\b",
    rf"\bno (?:wish|desire|interest) (?:to|in) {_GET} (?:[\w'-]+ ){{0,4}}?{_MAIL}\b",
    rf"\bhad enough of (?:your|these|this|the) (?:\w+ )?{_MAIL}\b",
    rf"\b(?:mind|appreciate(?: you)?) not {_WRITING} {_ME}",
    rf"\bnot (?:allowed|permitted|authori[sz]ed|welcome|entitled) to (?:{_WRITE}|send) {_ME}",
    rf"\b(?:to not|not to|to no longer) (?:{_GET} (?:[\w'-]+ ){{0,5}}?{_MAIL}|{_BE_WRITTEN}|hear from you)\b",
    rf"\b(?:do not|don't|dont|no longer|not|never|didn't|did not|nor|wouldn't|would not|rather not|neither) "
    rf"(?:\w+ ){{0,2}}?{_WANT}(?: in| for)? (?:you )?(?:to |of )?(?:continue |keep )?(?:to )?{_GET} "
    rf"(?:[\w'-]+ ){{0,6}}?(?:{_MAIL}|anything|(?:this|these|those|them|it|more|any ?more|further)"
    r"(?=$|[,.!]| from you| any)|from you)\b(?! (?:from (?:our|the|other)|in our)\b)",
    rf"\b(?:rather|prefer|asked|like|want|wish|told you|ask you|please) (?:you )?not (?:to )?(?:{_GET} "
    rf"(?:(?!by |via )[\w'-]+ )"
    rf"{{0,5}}?(?:{_MAIL}|anything|these|this|them)|{_BE_WRITTEN}|hear from you)\b",
    rf"\b(?:do not|don't|dont|no longer|not|never|wouldn't|would not) (?:\w+ ){{0,2}}?{_WANT}(?: in)? (?:to |you to )?"
    rf"(?:{_BE_WRITTEN}|hear(?:ing)? (?:any ?more )?(?:from|of|about) you|hear(?:ing)? any ?more)\b",
    rf"\b(?:do not|don't|dont|no longer|never) (?:\w+ )?(?:want|need|wish|like|appreciate|welcome|tolerate) (?:for )?"
    rf"(?:(?:any|more|further|your|these|those|such|this|other|unsolicited|to get) ){{1,4}}(?:\w+ )?{_MAIL}\b"
    r"(?! (?:from (?:our|the|other)|in our)\b| to (?!me\b|us\b|my\b|our\b|this\b))",
    rf"\b(?:not|isn't|aren't|never) (?:\w+ )?interested in (?:(?:any|of|more|further|your|these|such|receiving|"
    rf"getting|this) )"
    rf"{{1,4}}(?:\w+ )?{_MAIL}\b",
    rf"\b(?:want|wish|like|ask|asked|request|requested|demand|need|prefer|expect|insist|love|trying|tried|have|order)"
    rf"(?: that)?(?: to)?(?: you| me| us)? (?:to )?(?:be|get|getting|being) (?:\w+ )?{_REMOVED}"
    rf"(?:(?: \w+){{0,2}}?(?: from| off| of| on){{1,2}} {_LISTED}|{_ENDS}| from this\b)",
    rf"\b(?:i'm|i am|we're|we are|me|us|{_ME}|it) (?:should be |must be |needs to be |has to be |to be |be |get |"
    rf"immediately |was |gets ){{0,2}}(?:removed|unsubscribed|deleted|taken off|erased)(?: \w+){{0,2}}? (?:from|off|"
    rf"out) "
    rf"(?:of )?(?:your|this|the|all|any|that) (?:\w+ ){{0,3}}?{_LIST}\b",
    rf"\b(?:want|wish|like|choose|prefer|need|trying|tried|try|request|ask|asked|asking|love)(?: you| it)?(?: me|"
    rf" us)? to "
    rf"(?:unsubscribe(?:{_ENDS}| from (?!our\b|my\b|their\b|his\b|its\b))|opt (?:me |us )?out(?:{_ENDS}| (?:of|from) "
    rf"(?!our\b|my\b|their\b|the contract){_LISTED}))",
    rf"\b(?:want|wish|like|need)(?: to (?:be|get|stay))?(?: me| us)? (?:out of|off)(?: of)? (?:your|this|the|these) "
    rf"(?:\w+ ){{0,3}}?{_LIST}\b",
    rf"\b(?:want|like|wish|try|trying|tried|how (?:do|can|could|may) (?:i|we)|i|we)(?: to)? (?:stop|end|avoid|prevent) "
    rf"(?:(?:getting|receiving|this|these|your|the|all|being) (?:\w+ )?{_MAIL}\b(?! from (?!you))|"
    r"(?:getting|receiving) (?:this|these|them|those)(?=$|[,.!?]))",
    rf"\bhow (?:do|can|could|may|to|should|would) (?:i |we |one )?(?:get|opt|unsub\w{{0,6}})(?: me| us)?(?: off| out|"
    rf"{_ENDS}"
    rf"| of| from)(?: of)?(?:{_ENDS}| {_LISTED}|$)",
    r"\b(?:where|how|why)(?:'s| is| isn't| do i find| can i find)?(?: \w+){0,2} unsubscribe (?:link|button|option)\b"
    r"(?! in your (?:tool|product|platform))",
    r"\b(?:no|tried|clicked|used|pressed|find)(?: \w+){0,4}? unsubscribe(?: (?:link|button|option))?\b"
    r"(?! (?:rates?|requests?|handling|feature))",
    rf"\b{_DROPPING} {_ME}(?:{_ENDS}| (?:from|off))|\b(?:taking|getting) {_ME} (?:off|out of|from)(?: of)? {_LISTED}",
    r"\b(?:i|we|already|i've|i'd|have|had|just|am|are) unsubscribed(?=$|[,.!;)]| (?:already|but|and|last|yesterday|"
    r"weeks|months|twice|before|several|multiple|many|\d|\w+ times|"
    r"from (?:this|these|you|it|the list|your (?:e-?mails?|mailings?|"
    r"newsletter|list))\b))"
    r"|\bunsubscribed already\b",
    r"\b(?:i am|i'm|we are|we're) (?:hereby )?(?:opting out|unsubscribing)(?! of (?:our|my|the|a)\b)",
    r"\b(?:i|we) (?:hereby )?opt (?:me |us )?out(?! of (?:our|my|the (?!list|mail|e-?mail)))\b",
    r"\b(?:never|did not|didn't|do not remember|don't remember|don't recall|have not|haven't|"
    r"not)(?: \w+)? (?:sign(?:ed|ing)? "
    r"(?:up|on)|subscrib(?:e|ed|ing)|opt(?:ed)?[ -]in|request(?:ed)?|ask(?:ed)?|consent(?:ed)?|agree(?:d)?|"
    r"regist\w{3,6}|"
    rf"authori[sz]ed?)(?: up)?(?: (?:for|to|in|with))?(?:$|[,.!]| (?:(?:your|this|these|any of|to|receive|get|be|the|"
    rf"any|"
    rf"such|of) ){{0,4}}(?:this|these|that|any|list|them|you|contacted|emailed|service|{_MAIL}|{_LIST})\b)",
    r"\b(?:never|not|n't|no|without)(?: \w+){0,3}? (?:permission|consent|authori[sz]ation)\b(?= to (?:e-?mail|contact|"
    r"send|write|use|process|be|store)|$|[,.!]| for (?:this|you|these))",
    r"\b(?:withdraw|revoke|withdrawing|revoking)(?: \w+)? (?:my|our|any|all) (?:\w+ )?(?:consent|permission)\b",
    r"\b(?:i|we) object to (?:the|your|any|this|you)(?: \w+){0,3}? (?:process|us|contact|market|send|stor)",
    r"\bright (?:to be forgotten|to erasure|to object)\b|\bgdpr (?:erasure|deletion|removal)\b"
    r"|\barticle (?:17|21) (?:of )?(?:the )?gdpr\b",
    r"\b(?:my|this|a|the|formal|an|our|process|for|request)(?: \w+)? (?:removal|unsubscri\w{2,5}|opt[ -]?out|deletion|"
    r"erasure)(?: request)?(?: from (?:your|this|the)\b| request(?=$|[,.!])| of (?:my|our)\b|(?=$|[,.!]))",
    r"\b(?:i|we|i'll|we'll|i'm|we're|i've|we've) (?:(?!being |getting |was |were |almost |nearly |keep )\w+ ){0,4}?"
    r"(?:report|mark|flag)\w{0,6}(?: \w+){0,3}? as (?:spam|junk|phishing)\b"
    r"|^(?:report|mark|flagg?)(?:ed|ing)(?: \w+){0,3}? as (?:spam|junk|phishing)\b",
    r"\b(?:i am|i'm|we are|we're|i have|i've|i will|i'll|will be|am) (?:now )?(?:block|blocking|blocked|blacklisting|"
    r"blacklisted|filtering) (?:you|your|this|all)\b",
    r"\bif you (?:e-?mail|contact|message|write(?: to)?|send|spam)(?: me| us)?(?: \w+){0,2} (?:again|once more)\b",
    rf"\bwhy (?:do|are|did|would) you (?:\w+ )?(?:still |always |constantly )?{_WRITING} (?:me|us)\b",
    r"\b(?:(?:told|tell|telling) you|(?:ask|asked|asking)(?: you)?)(?: (?!our\b|my\b|their\b|them\b|him\b|"
    r"the\b)\w+){0,3}? (?:to )?(?:be |stop(?: |(?=$|[.,!?]))|take (?:me|us) off|remove "
    r"(?:me|us))(?:removed|unsubscribed|taken off|left alone|e-?mailing|contacting|writing|it\b)?"
    r"(?=$|[ ,.!?])(?! from (?:their|his|her|its|our)\b)",
    r"\b(?:haven't|have not|never|you didn't|you did not|hasn't) (?:yet |been )?(?:removed?|unsubscribed?|deleted?|"
    r"taken?) "
    r"(?:me|us|my \w+)\b(?=$|[,.!?]| (?:from|off|yet|even|after))",
)
