"""Public mail providers: an address there says nothing about the person's company."""

from typing import Final

_PROVIDERS: Final = """
gmail.com googlemail.com
outlook.com outlook.at outlook.be outlook.cl outlook.co.id outlook.co.th outlook.com.ar outlook.com.au outlook.com.br
outlook.com.gr outlook.com.pe outlook.com.tr outlook.com.vn outlook.cz outlook.de outlook.dk outlook.es outlook.fr
outlook.hu outlook.ie outlook.in outlook.it outlook.jp outlook.kr outlook.lv outlook.my outlook.ph outlook.pt
outlook.sa outlook.sg outlook.sk
hotmail.com hotmail.be hotmail.ca hotmail.ch hotmail.co.il hotmail.co.jp hotmail.co.nz hotmail.co.th hotmail.co.uk
hotmail.co.za hotmail.com.ar hotmail.com.au hotmail.com.br hotmail.com.mx hotmail.com.tr hotmail.de hotmail.dk
hotmail.es hotmail.fi hotmail.fr hotmail.gr hotmail.it hotmail.nl hotmail.no hotmail.se
live.com live.at live.be live.ca live.cl live.cn live.co.uk live.co.za live.com.ar live.com.au live.com.mx
live.com.my live.com.pt live.com.sg live.de live.dk live.fi live.fr live.hk live.ie live.in live.it live.jp live.nl
live.no live.ru live.se msn.com passport.com windowslive.com
yahoo.com yahoo.at yahoo.be yahoo.ca yahoo.ch yahoo.cn yahoo.co.id yahoo.co.il yahoo.co.in yahoo.co.jp yahoo.co.kr
yahoo.co.nz yahoo.co.th yahoo.co.uk yahoo.co.za yahoo.com.ar yahoo.com.au yahoo.com.br yahoo.com.cn yahoo.com.co
yahoo.com.hk yahoo.com.mx yahoo.com.my yahoo.com.pe yahoo.com.ph yahoo.com.sg yahoo.com.tr yahoo.com.tw yahoo.com.vn
yahoo.cz yahoo.de yahoo.dk yahoo.es yahoo.fi yahoo.fr yahoo.gr yahoo.hu yahoo.ie yahoo.in yahoo.it yahoo.nl yahoo.no
yahoo.pl yahoo.pt yahoo.ro yahoo.se ymail.com rocketmail.com myyahoo.com
aol.com aol.co.uk aol.de aol.fr aol.it aim.com
icloud.com me.com mac.com
proton.me protonmail.com protonmail.ch pm.me tutanota.com tutanota.de tutamail.com tuta.com tuta.io keemail.me
hey.com fastmail.com fastmail.fm hushmail.com hushmail.me mailfence.com posteo.de posteo.net mailbox.org riseup.net
disroot.org startmail.com runbox.com
zoho.com zohomail.com zohomail.eu zohomail.in
gmx.com gmx.at gmx.ch gmx.co.uk gmx.de gmx.es gmx.eu gmx.fr gmx.info gmx.net gmx.org gmx.us
mail.com email.com usa.com consultant.com engineer.com europe.com post.com techie.com writeme.com inbox.com
web.de freenet.de t-online.de arcor.de online.de 1und1.de vodafone.de kabelmail.de
orange.fr wanadoo.fr free.fr sfr.fr laposte.net neuf.fr bbox.fr numericable.fr voila.fr aliceadsl.fr
libero.it virgilio.it alice.it tin.it tiscali.it tiscali.co.uk email.it inwind.it iol.it fastwebnet.it
telefonica.net terra.es terra.com terra.com.br uol.com.br bol.com.br ig.com.br globo.com globomail.com r7.com
btinternet.com btopenworld.com ntlworld.com virginmedia.com sky.com talktalk.net blueyonder.co.uk
comcast.net verizon.net att.net sbcglobal.net bellsouth.net cox.net charter.net earthlink.net juno.com netzero.net
optonline.net roadrunner.com frontier.com windstream.net centurylink.net pacbell.net ameritech.net
rogers.com shaw.ca sympatico.ca telus.net videotron.ca bell.net
bigpond.com bigpond.net.au optusnet.com.au iinet.net.au tpg.com.au xtra.co.nz
yandex.com yandex.ru yandex.by yandex.kz yandex.ua ya.ru mail.ru bk.ru inbox.ru list.ru internet.ru rambler.ru
lenta.ru ukr.net i.ua meta.ua bigmir.net
qq.com vip.qq.com foxmail.com 163.com 126.com 139.com 188.com yeah.net sina.com sina.cn sohu.com aliyun.com 21cn.com
naver.com hanmail.net daum.net nate.com kakao.com docomo.ne.jp ezweb.ne.jp softbank.ne.jp i.softbank.jp
rediffmail.com indiatimes.com sify.com
seznam.cz email.cz post.cz centrum.cz volny.cz centrum.sk azet.sk zoznam.sk
wp.pl o2.pl onet.pl onet.eu op.pl interia.pl interia.eu gazeta.pl tlen.pl poczta.fm
freemail.hu citromail.hu abv.bg mail.bg dir.bg walla.co.il walla.com
telenet.be skynet.be scarlet.be ziggo.nl kpnmail.nl planet.nl home.nl hetnet.nl xs4all.nl
bluewin.ch hispeed.ch sunrise.ch chello.at aon.at
telia.com spray.se comhem.se bredband.net online.no broadpark.no mail.dk sapo.pt clix.pt
"""

FREEMAIL_DOMAINS: Final[frozenset[str]] = frozenset(_PROVIDERS.split())
"""Domains where anyone may open a mailbox, in lower case."""
