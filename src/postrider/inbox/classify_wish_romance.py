"""The French, Spanish, Italian and Portuguese grammar of a wish to be left alone; see ``classify_wish_english``."""

_MAILS_FR = (
    r"(?:e-?mails?|mails?|courriels?|courriers?|messages?|newsletters?|publicites?|pubs?|sollicitations?|spams?|"
    r"envois?|"
    r"communications?|prospections?|offres?|contact|demarchages?|relances?|lettres? d'information)"
)
_LIST_FR = r"(?:listes?|fichiers?|base(?:s)?|bdd|mailing\w*|newsletters?|contacts|diffusion|registres?|crm|envois)"
_MY_FR = (
    r"(?:mon|mes|ma|notre|nos|cette|ces|toutes mes) (?:\w+ ){0,2}?(?:adresses?|e-?mails?|mails?|donnees|coordonnees|"
    r"nom|"
    r"contact|informations?|compte|inscription)"
)
_VERB_FR = r"(?:desabonn|desinscri|retir|supprim|enlev|effac|radi|ray|sort|ot|exclu)\w{0,4}"
_STOP_FR = r"(?:arret|cess|stopp)(?:er?|ez|e)"
_WRITE_FR = (
    r"(?:ecri\w*|contact\w*|envo\w*|sollicit\w*|spamm?\w*|relanc\w*|harcel\w*|derang\w*|demarch\w*|mail\w*|adress\w*|"
    r"importun\w*|transmett\w*)"
)

FRENCH: tuple[str, ...] = (
    rf"\b{_VERB_FR}[ -](?:moi|nous|{_MY_FR})\b",
    r"\b(?:me|nous|m'|m' |se) ?(?:desabonner|desinscrire|retirer|supprimer|enlever|effacer|radier|rayer|sortir|oter)\b"
    r"(?!(?: \w+)? (?:un|le|les|la) (?:devis|clause))",
    r"\b(?:me |nous |m')?(?:desabonne|desinscris|desinscrivons|desabonnons)\b",
    rf"\bne (?:me|nous|m'|m) ?(?:\w+ )?{_WRITE_FR} (?:plus|jamais)\b(?! (?:le|la|avant|tot)\b)",
    rf"\bne (?:plus|jamais|pas) (?:me |nous |m')(?:\w+ )?{_WRITE_FR}(?! (?:avant|le|lundi|mardi|mercredi|jeudi|"
    r"vendredi|cette)\b)",
    r"\bne plus (?:recevoir|etre (?:\w+ )?(?:contacte|sollicite|demarche|derange))",
    rf"\b(?:souhait\w+|veux|voulons|desir\w+|voudrai\w+|aimerai\w+) (?:plus|pas|plus jamais)(?: \w+)? (?:recevoir "
    rf"(?:\w+ ){{0,4}}?(?:{_MAILS_FR}|rien)\b|etre (?:\w+ )?(?:contact|sollicit|demarch|derang|relanc|appel))",
    rf"\b(?:souhait\w+|veux|voulons|desir\w+) (?:pas|plus) (?:de )?(?:vos|ces|d'autres) {_MAILS_FR}",
    rf"(?<!avons )(?<!ai )(?<!ont )\b{_STOP_FR} (?:immediatement |s'il vous plait )?(?:de |d')(?:me |nous |"
    rf"m')?(?:\w+ )?{_WRITE_FR}",
    rf"\b{_STOP_FR} (?:\w+ )?(?:vos|ces|tout|tous|toute|les|cet|l'envoi de|vos envois de) (?:\w+ )?{_MAILS_FR}\b",
    r"\b(?:laissez|laisse|fichez|foutez)[- ](?:moi|nous) (?:tranquilles?|en paix|la paix)\b",
    rf"\brefus\w{{1,4}} de recevoir (?:\w+ ){{0,2}}?{_MAILS_FR}\b",
    r"\b(?:je )?(?:m'oppose|nous opposons) (?:au|a la|a l'|a tout)(?: \w+){0,2}? ?(?:traitement|utilisation|"
    r"prospection|"
    r"usage|envoi)",
    r"\bjamais (?:ete )?(?:inscrit|abonne|demande|accepte|consenti|autorise|donne)|\bpas (?:demande a|inscrite? a|"
    r"donne mon "
    r"(?:accord|consentement))\b",
    rf"^(?:merci,? )?(?:plus|pas) (?:d'|de |d' ?autres )(?:\w+ )?{_MAILS_FR}\b(?! (?:le|la|les|avant|en|pendant|ce)\b)",
    rf"^stop (?:\w+ ){{0,2}}?{_MAILS_FR}|^(?:c'est|ceci est|ca c'est) (?:du |un )?(?:spam|harcelement)\b",
    r"\bcomment (?:\w+ ){0,3}?(?:me |se |vous )?(?:desabonn|desinscri)",
    rf"\bretir\w{{1,3}}(?: \w+){{0,2}} de (?:votre|vos|cette|la) {_LIST_FR}\b",
)

_MAILS_ES = (
    r"(?:correos?|e-?mails?|mails?|mensajes?|informacion|publicidad|comunicaciones|newsletters?|boletin\w*|spam|"
    r"ofertas?|"
    r"propaganda|notificaciones|nada)"
)
_LIST_ES = r"(?:listas?|base(?:s)?|listados?|registros?|newsletter|boletin|correos|envios|sistema|mailing)"
_DROP_ES = r"(?:elimin|borr|quit|sac|saqu|remuev|remov|retir|suprim|supriman|exclu)"
_WRITE_ES = r"(?:escrib|envi|contact|mand|molest|llam|remit|moleste|spame|acos|insist)"

SPANISH: tuple[str, ...] = (
    r"\b(?:darme|denme|deme|dame|dadme|darnos|dennos|danos|me doy|nos damos|doy|dar) (?:por favor )?de baja\b"
    r"(?! (?:al|el|a un|la|de (?:mi proveedor|mi operador|nuestr[oa]|otr[oa]|un))\b)|"
    r"\b(?:me|nos) (?:den?|des|deis) de baja\b",
    rf"\bno (?:enviar|escribir|mandar|contactar|molestar|remitir)(?:me|nos)?(?: (?:{_MAILS_ES}|mas|nunca))",
    r"\bno (?:enviar|escribir|mandar|contactar|molestar)(?:me|nos)(?=$|[,.!])",
    r"\b(?:quiero|solicito|pido|deseo|solicitamos|ruego|tramit\w+|gestion\w+) (?:la|mi|una|nuestra) baja\b",
    rf"\b{_DROP_ES}\w{{0,5}}(?:me|nos)\b|\bme {_DROP_ES}\w{{1,5}} de (?:su|la|esta|sus|vuestra|tu)\b",
    rf"\b{_DROP_ES}\w{{0,5}} (?:\w+ ){{0,2}}?(?:mis?|nuestr[oa]s?|este|esta) (?:\w+ ){{0,2}}?(?:correo|e-?mail|mail|"
    r"direccion|datos|nombre|contacto|informacion|cuenta)\b",
    rf"\b{_DROP_ES}\w{{0,3}} de (?:su|sus|la|esta|vuestra|tu) (?:\w+ ){{0,2}}?{_LIST_ES}\b",
    rf"\bno (?:quiero|deseo|queremos|deseamos|quisiera|me interesa|necesito) (?:\w+ )?(?:recibir|recibiendo|tener) "
    rf"(?:\w+ ){{0,4}}?{_MAILS_ES}\b",
    rf"\b(?:ya no|no) (?:quiero|deseo|queremos|deseamos) (?:mas |sus |estos |que ){{1,2}}(?:{_MAILS_ES}|(?:me |nos )?"
    rf"{_WRITE_ES}\w*|recibir)",
    r"\bno (?:quiero|deseo|queremos|deseamos)(?: \w+)? (?:ser|que) (?:\w+ )?(?:contactad|molestad|me |nos )",
    rf"\bno (?:me|nos) {_WRITE_ES}\w{{0,4}} (?:(?:correos?|e-?mails?|mensajes?) )?(?:mas|de nuevo|otra vez|nunca|"
    rf"jamas)\b",
    rf"\bno (?:me|nos) {_WRITE_ES}\w{{0,4}} (?:{_MAILS_ES}\b|(?=$|[,.!]))",
    rf"\bno (?:vuelv\w{{1,3}}|vuelva[ns]?) a {_WRITE_ES}\w+|\bno (?:me|nos) vuelv\w{{1,3}} a {_WRITE_ES}\w+",
    rf"\b(?:dej|par|ces)(?:en?|a|ad|ar|e) (?:ya )?de {_WRITE_ES}\w*",
    r"\b(?:dejen?|deja|dejad)(?:me|nos) (?:en paz|tranquil\w+)\b|\bbasta (?:de|ya)\b",
    r"\b(?:cancel\w{1,3}|anul\w{1,3}) (?:la |mi |esta )?(?:suscripcion|subscripcion)\b|\bdesu[bs]s?cri\w+|"
    r"\bdessuscri\w+|\bdarse de baja de (?:esta|su)\b",
    r"\b(?:nunca|no) (?:me|nos) (?:he )?(?:suscrib|inscrib|registr|apunt)\w+",
    r"^(?:esto|eso|este correo) es (?:\w+ )?(?:spam|acoso)\b|\blista (?:negra|de exclusion|robinson)\b",
    rf"^no mas {_MAILS_ES}\b|^ni un {_MAILS_ES} mas\b",
    r"\bme opongo a(?:l| que| la)\b",
)

ITALIAN: tuple[str, ...] = (
    r"\b(?:cancell|rimuov|elimin|togli|toglie|cancellat|depenn|disiscriv|rimoss)\w{0,4}(?:mi|temi|ci|teci)\b",
    r"\b(?:mi|ci) (?:cancell|rimuov|elimin|tolga|tolgano|togli|disiscriv)\w{0,4}\b",
    r"\b(?:cancell|rimuov|elimin|togli)\w{0,5} (?:\w+ )?(?:i miei|il mio|la mia|i nostri|il nostro|questo|questa) "
    r"(?:\w+ )?(?:dati|indirizzo|e-?mail|mail|contatto|nominativo|nome)",
    r"\b(?:chiedo|chiediamo|richiedo) (?:\w+ )?(?:cancellazione|rimozione|disiscrizione|eliminazione)\b",
    r"\bnon (?:\w+ )?(?:voglio|desidero|vogliamo|desideriamo|vorrei|intendo|gradisco) (?:piu )?(?:ricevere|essere "
    r"(?:piu )?(?:contattat|disturbat))(?! (?:un|una|il|la|lo)\b)",
    r"\bnon (?:scriv|contatt|invi|mand|disturb|chiam)\w{0,5}(?:mi|temi|ci|teci) piu\b|\bnon contattat\w* piu\b",
    r"\bnon (?:mi|ci) (?:scriv|contatt|invi|mand|disturb)\w{0,5} (?:\w+ )?(?:piu|altre|altri)\b",
    r"\b(?:smett|finit|piant)\w{0,4}(?:la)? di (?:scriv|invi|mand|contatt|disturb)\w+",
    r"\b(?:disiscri|disicri)\w+|\bannull\w{1,3} (?:la |mia |l')?(?:mia )?iscrizione\b|"
    r"\bcancell\w{1,3} (?:la )?iscrizione\b",
    r"^basta (?:con )?(?:\w+ )?(?:e-?mail|mail|messaggi|spam)\b|\blasciatemi in pace\b|\bmi lasci(?:ate)? in pace\b",
    r"\b(?:mi|ci) oppongo al\b|\bmai (?:iscritt|richiest|chiest|dato il consenso)",
)

PORTUGUESE: tuple[str, ...] = (
    r"\b(?:retir|remov|tir|elimin|apagu|exclu|delet)\w{0,4}-(?:me|nos)\b|\bme (?:retir|remov|tir|exclu|descadastr|"
    r"apagu)\w+",
    r"\b(?:retir|remov|tir|elimin|apagu|apag|exclu|delet)\w{0,4} (?:\w+ ){0,2}?(?:meus?|minha|nossos?|este) (?:\w+ )?"
    r"(?:e-?mails?|dados|endereco|nome|contato|contacto|cadastro)\b",
    r"\bnao (?:quero|desejo|queremos|desejamos|pretendo) (?:mais )?(?:receber|ser contact\w+|"
    r"ser contat\w+)\b"
    r"(?! (?:um|uma|o|a)\b)",
    r"\b(?:gostaria|gostava|prefiro|quero|queria)(?: de)? nao (?:mais )?receber\b",
    r"\bnao (?:me|nos) (?:envi|escrev|contact|contat|mand|incomod)\w{0,4} (?:\w+ )?mais\b",
    r"\bpar(?:em?|a|ar) (?:\w+ )?de (?:me |nos )?(?:envi|escrev|contact|contat|mand|incomod)\w+|\bdeix\w{1,3} de me "
    r"(?:envi|escrev|contact|mand)\w+",
    r"\bcancelar? (?:a |minha |a minha )?(?:inscricao|assinatura|subscricao)\b|\bdescadastr\w+|\bdesinscrev\w+",
    r"\bdeixe?m?-me em paz\b|\bme deixe?m? em paz\b|\bsair (?:da|desta) (?:\w+ )?lista\b|^chega de \w+",
)

OTHERS: tuple[str, ...] = (
    r"退订|退訂|取消订阅|取消訂閱|不要再(?:发|發|联系|聯繫)|别再(?:发|联系)|请勿再(?:发|联系)|配信停止|配信を停止|登録解除|購読解除|"
    r"今後.{0,10}(?:不要|送らない|連絡しない)|수신\s?거부|구독\s?취소",
    r"\bотпи(?:сат|шит|саться|салс)\w*|\b(?:удал|убер|исключ)\w+ (?:\w+ )?(?:меня|мои|нас|наш)\b|\bне (?:пишите|"
    r"присылаите|беспокоите)(?: \w+)? (?:больше|мне|нам)|\bбольше (?:\w+ )?не (?:пишите|присылаите|хочу|беспокоите)|"
    r"\bпрекратите (?:\w+ )?(?:писать|рассылку|слать|присылать)",
    r"\bwypis(?:z|anie|ac|uje|cie)\w*|\b(?:usun|usunac|usuniecie|usuncie|prosze o usuniecie)(?: \w+){0,2}? (?:mnie|"
    r"moj\w*|"
    r"nas|danych|adresu|z listy|z bazy)\b|\bnie (?:pisac|pisz|piszcie|wysylac|wysyłac|wysyłaj\w*|kontaktowac)(?: \w+)? "
    r"wiecej|\bnie (?:chce|zycze sobie|zyczymy)(?: \w+){0,3}? (?:wiadomosci|maili|kontaktu|otrzymywac)|"
    r"\bprosze nie (?:pisac|wysyłac|kontaktowac)",
    r"\bavregistrera|\bavprenumerera|\bta bort (?:mig|oss|min)\b|\b(?:av|af)meld (?:mig|meg|oss|os|min|venligst)\b|"
    r"\bfjern (?:mig|meg|oss|os|min)\b|"
    r"\bmeld (?:mig|meg) (?:av|af|fra)\b|\bsluta (?:maila|skicka|kontakta)|\bstopp? (?:med )?(?:at|a|att) (?:sende|"
    r"skrive|"
    r"skicka)|\bkontakta (?:mig|oss) inte\b|\b(?:ingen|inga) flere? (?:mails?|e-poster|mejl)\b",
    r"\b(?:odhlasit|odhlaste|odhlasuji)\b|\babonelikten (?:cik|ayril)\w*|\bleiratkoz\w*|\bdezabon\w*|\bpoista minut\b",
)
