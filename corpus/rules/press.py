"""Rules on what newspapers put around a text: by-lines, heads, credits, notices of copyright."""

import re
from collections.abc import Set as AbstractSet

from deeq_bert.corpus.rules.base import TextRule
from deeq_bert.corpus.rules.replacement import replacer

# The repetitions below are all bounded, so that no line takes a time that grows with its square.
# What stands at the tail of a line comes behind a sentence, a bracket, or a bar.
_LEAD = r"(^|[.!?…][\"”’')\]]{0,2} ?|[>\]】〉] ?| ?[/|] ?)"
_SIGN = r"(?:[ⓒ©](?![ⓐ-ⓩ])|\([cC]\))"

_SURNAME = (
    "[김이박최정강조윤장임한오서신권황안송전홍유고문양손배백허남심노하곽성차주우구나민류진지엄채"
    "원천방공현함변염여추도소석선설마길연위표명기반왕금옥육인맹제모탁국어은편용예경봉부가복태목]"
)
# Words that begin like a name and come before 기자.
_NO_NAME = (
    "(?!(?:연예|정치|경제|방송|신문|언론|국제|문화|전국|지역|산업|편집|사회)[부사]|한겨레|오마이"
    "|(?:전직|현직|전임|신임|선임|여성|남성|신문|방송|연예|현장|주재|전담|전문|인턴|여행|한국"
    "|경제|정치|문화|지역|유명|기성|진짜|어떤|이런|우리|여러|당시|선배|동료|주요|출입|경찰"
    "|국회) ?기자)"
)
_NAME = (
    f"(?:{_NO_NAME}{_SURNAME}[가-힣]{{1,2}}|(?:남궁|황보|제갈|선우|독고|사공)[가-힣]{{1,2}}"
    rf"|{_SURNAME}?[*○]{{2,3}}|\[이름\])"
)
_NAMES = rf"{_NAME}(?:(?: ?[·ㆍ,/] ?| ){_NAME}){{0,4}}"
_TITLE = (
    "(?:(?:[가-힣A-Z]{1,6} ?)?(?:선임|전문|인턴|수습|객원|대학생|시민|영상|사진|온라인) ?기자"
    "|기자|(?:[가-힣]{2,5} ?)?특파원|통신원|논설위원)"
)
_BY = f"{_NAMES} ?{_TITLE}"
# An e-mail address, or the mask that an earlier rule put in its place.
_ADDRESS = r"[(<\[]?(?:[A-Za-z0-9._%+-]{2,40}@[A-Za-z0-9.-]{3,50}|\[[^\[\]\n]{1,20}\])[)>\]]?"
_DESK = (
    "(?:[가-힣A-Za-z·ㆍ]{1,12} ?[=:] ?"
    "|[가-힣A-Za-z0-9]{1,10}(?:뉴스|신문|일보|경제|닷컴|스포츠|[팀부]|센터) )?"
)
_BY_LINE = re.compile(
    rf"(?:{_LEAD}|((?:다|\)) )(?=[^\n@\[]{{0,40}}[@\[]))"
    rf"[(\[<]?(?:{_ADDRESS} ?[/|]? ?)?{_DESK}{_BY}[)\]>]?(?: ?[/·,|]? ?{_ADDRESS}){{0,3}}"
    r"[)\]>]? ?[.=]?$",
    re.MULTILINE,
)
_BY_HEAD = re.compile(rf"^(?:\((?:[^()\n]{{0,20}}[= ])?{_BY}\) ?|{_BY} ?= ?)", re.MULTILINE)
_BY_IN_BRACKETS = rf"[\[【](?:[^\[\]【】\n]{{0,25}}[= ])?{_BY}(?: ?{_ADDRESS})?[\]】]"
_BROADCASTER = "(?:KBS|MBC|SBS|YTN|OBS|JTBC|MBN|TV조선|채널A|연합뉴스TV)"
_SIGN_OFF = re.compile(
    rf"{_LEAD}{_BROADCASTER}(?: ?뉴스)? {_NAME}입니다\.?$",
    re.MULTILINE,
)
_TITLES_AT_TAIL = tuple(
    (
        title,
        re.compile(rf"{title}(?:[^\n가-힣]|(?<=\[)[가-힣]{{1,8}}(?=\])){{0,120}}$", re.MULTILINE),
    )
    for title in ("기자", "특파원", "통신원", "논설위원")
)


def by_lines() -> TextRule:
    """Drops by-lines: 홍길동 기자, with place, desk and e-mail address, at a line's tail or alone.

    [신문=홍길동 기자] goes wherever it stands, and the sign-off of broadcasts, as in KBS 뉴스
    홍길동입니다, at the tail. Prose on reporters stays: 기자회견, 전직 기자, 홍길동 기자는. An
    address may be masked; any word in square brackets passes for a mask.
    """
    drop_in_brackets = replacer(_BY_IN_BRACKETS, "drop", "", apart=True)

    def rule(text: str, uncommon: AbstractSet[str]) -> str:
        if "기자" in text:
            if "기자]" in text or "기자】" in text or ("기자 " in text and "]" in text):
                text = drop_in_brackets(text)
            if "기자 =" in text or "기자)" in text or "기자=" in text:
                text = _BY_HEAD.sub("", text)
        for title, at_tail in _TITLES_AT_TAIL:
            if title in text and at_tail.search(text):
                text = _BY_LINE.sub(_keep_lead, text)
                break
        if "뉴스" in text and "입니다" in text:
            text = _SIGN_OFF.sub(_keep_lead, text)
        return text

    return rule


_AGENCY = (
    "(?:연합뉴스(?:TV)?|연합인포맥스|뉴시스|뉴스1|뉴스핌|노컷뉴스|국제뉴스|아시아뉴스통신|뉴스통신"
    "|로이터|AP|AFP|EPA|신화|교도|타스)"
)
_PLACE = r"[가-힣A-Za-z·ㆍ,/ ]{1,20}(?<!제공)(?<!사진)(?<!출처)(?<!자료)(?<!캡처)"
_PRESS = r"[가-힣A-Za-z0-9·]{0,10}(?:뉴스|통신|신문|일보|경제|타임스|투데이|데일리|저널|방송|TV)"
_REPORTERS = rf"(?: ?{_BY}(?: ?, ?{_BY}){{0,3}} ?=)"
_WIRE_ANYWHERE = (
    rf"(?:\({_PLACE} ?= ?{_AGENCY}(?:[ ·/=]{{1,3}}{_AGENCY}){{0,2}}\)"
    rf"|[\[【〔]{_PLACE} ?= ?{_AGENCY}[\]】〕]){_REPORTERS}?"
)
_WIRE_AT_START = re.compile(
    rf"^[ ■▶◆●※△▲]{{0,3}}[(\[【〔]{_PLACE} ?= ?{_PRESS}[)\]】〕]{_REPORTERS}? ?"
    rf"|^[(\[【〔]{_PLACE} ?= ?[^()\[\]\n=]{{1,20}}[)\]】〕]{_REPORTERS} ?",
    re.MULTILINE,
)
_MAYBE_WIRE = re.compile(r"=[^\n=]{1,20}[)\]】〕]")


def wire_heads() -> TextRule:
    """Drops the heads of agency reports: (서울=연합뉴스) 홍길동 기자 =, [서울=뉴시스].

    Those of well-known agencies go wherever they stand, since a line may be a whole article;
    others only at a line's start. Other equations in brackets, such as (L=8.6㎞), stay.
    """
    drop_anywhere = replacer(_WIRE_ANYWHERE, "drop", "", apart=True)

    def rule(text: str, uncommon: AbstractSet[str]) -> str:
        if "=" not in text or not _MAYBE_WIRE.search(text):
            return text
        return drop_anywhere(_WIRE_AT_START.sub("", text))

    return rule


# Behind a colon stands a caption as often as a credit.
_PHOTO = (
    r"사진 ?(?:(?:제공|출처|캡처|캡쳐)(?: ?[=:/|ⓒ©-]| (?!등|및)|(?=[)\]>】〉])) ?|[=|ⓒ©] ?"
    r"|: ?(?=[^\n.?!()\[\]<>]{0,20}(?:제공|캡처|캡쳐|DB|뉴스1?|뉴시스|일보|신문)"
    r"(?:[)\]>】〉]|\.?$)))"
)
_PHOTO_IN_BRACKETS = (
    rf"[(\[<【〈] ?(?:{_PHOTO}|[^()\[\]<>\n]{{0,20}}제공 ?[=:/])"
    r"(?:(?!다\.)[^()\[\]<>【】〈〉\n]){0,40}[)\]>】〉]"
)
_NO_SENTENCE = r"[^\n.?!]{1,30}\.?$"
_OWNER = r"[가-힣A-Za-z0-9·()㈜]{2,15}(?: [가-힣A-Za-z0-9·]{1,10})?"
_PHOTO_AT_TAIL = re.compile(
    rf"{_LEAD}(?:(?:글 ?[·ㆍ] ?)?{_PHOTO}{_NO_SENTENCE}|{_SIGN} ?{_NO_SENTENCE}"
    rf"|\[[^\[\]\n]{{2,20}} 제공\]$|[\[(]?자료 ?사진[\])]?$)"
    rf"|([.!?…)\]”\"다]) ?/ ?{_OWNER} ?제공\.?$",
    re.MULTILINE,
)
_MAYBE_PHOTO = re.compile("사진 ?(?:(?:제공|출처|캡처|캡쳐)|[=:/|ⓒ©])|사진[)\\]]?$", re.MULTILINE)
_MAYBE_GIVEN = re.compile(r"제공(?: ?[=:/\])】>]|\.?$)", re.MULTILINE)
_SIGNS = frozenset("ⓒ©")


def photo_credits() -> TextRule:
    """Drops credits of pictures: (사진=연합뉴스), [사진 제공=나주시], /사진=…, ⓒ AFP=뉴스1.

    Those in brackets go wherever they stand, others only at a line's tail or alone. Prose on
    pictures, and ⓒⓞⓞⓛ, stay.
    """
    drop_in_brackets = replacer(_PHOTO_IN_BRACKETS, "drop", "", apart=True)

    def rule(text: str, uncommon: AbstractSet[str]) -> str:
        if (
            ("사진" in text and _MAYBE_PHOTO.search(text))
            or ("제공" in text and _MAYBE_GIVEN.search(text))
            or not uncommon.isdisjoint(_SIGNS)
        ):
            return _PHOTO_AT_TAIL.sub(_keep_lead, drop_in_brackets(text))
        return text

    return rule


_FORBIDDEN = (
    r"무단 ?(?:전재|복제|배포|도용|전송|수집|이용)[^\n<>\[\]()]{0,50}"
    "금(?:지(?:합니다|함)?|합니다|함)"
)
_COPYRIGHT = (
    rf"저작권자 ?(?:{_SIGN}|[:=])|(?:[Cc]opyrights?|COPYRIGHT) ?{_SIGN}"
    "|(?:Copyright|COPYRIGHT) (?:19|20)[0-9]{2}"
)
_ALL_RIGHTS = "(?:[Aa]ll [Rr]ights|ALL RIGHTS) (?:[Rr]eserved|RESERVED)"
_INNER = r"(?:[^<>\[\]()〈〉【】\n]|\([cC]\))"
_COPYRIGHT_IN_BRACKETS = (
    rf"[<\[(〈【]{_INNER}{{0,20}}?(?:{_COPYRIGHT}|{_SIGN}{_INNER}{{1,40}}?(?:무단|{_ALL_RIGHTS})"
    rf"|{_FORBIDDEN}(?=[.!]?[>\])〉】])){_INNER}{{0,120}}[>\])〉】]"
)
# A notice, however it begins, ends without a sentence; but for the one that forbids.
_NO_PROSE = r"(?:(?!(?<!금합니)(?<!금지합니)다(?:[. ]|$))[^\n]){0,150}$"
_COPYRIGHT_AT_TAIL = re.compile(
    rf"(?:{_LEAD}|((?:다|자|\w) )(?=[※☞▶■◆●]))[※☞▶■◆●*|/ <\[(-]{{0,4}}"
    rf"(?:(?:{_COPYRIGHT}|{_SIGN}[^\n]{{1,40}}?(?:무단 ?전재|{_ALL_RIGHTS})){_NO_PROSE}"
    rf"|{_FORBIDDEN}[.!>\]) -]{{0,4}}$|{_ALL_RIGHTS}[.!>\]) ]{{0,3}}$)",
    re.MULTILINE,
)


def copyright_lines() -> TextRule:
    """Drops notices of copyright: 저작권자 ⓒ …, 무단 전재 및 재배포 금지, Copyright ⓒ …

    Those in brackets go wherever they stand, others only at a line's tail or alone. Sentences on
    copyright stay.
    """
    drop_in_brackets = replacer(_COPYRIGHT_IN_BRACKETS, "drop", "", apart=True)

    def rule(text: str, uncommon: AbstractSet[str]) -> str:
        if (
            not uncommon.isdisjoint(_SIGNS)
            or "무단" in text
            or "저작권자" in text
            or "ight" in text
            or "IGHT" in text
        ):
            return _COPYRIGHT_AT_TAIL.sub(_keep_lead, drop_in_brackets(text))
        return text

    return rule


def _keep_lead(match: re.Match) -> str:
    lead = next((group for group in match.groups() if group), "")
    return lead.rstrip(" /|")
