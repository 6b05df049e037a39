"""Paragraphs to sentences by rules: final punctuation, quotations, and endings without punctuation.

One pattern finds where sentences may end and steps over quotations and brackets. It decides for
itself, but for ellipses, for full stops after digits and Latin letters, and for brackets.
"""

import re
from collections.abc import Iterable

_CONSONANTS = " ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"
_VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"


def _syllables(consonants: str, vowels: str = _VOWELS, without: str = "") -> str:
    """Returns the syllables with these final consonants, " " being none, and these vowels."""
    return "".join(
        syllable
        for index, syllable in enumerate(map(chr, range(0xAC00, 0xD7A4)))
        if _CONSONANTS[index % 28] in consonants
        and _VOWELS[index // 28 % 21] in vowels
        and syllable not in without
    )


_PAST = _syllables("ㅆ")
_FORMAL = _syllables("ㅂ")

# What ends a sentence without punctuation. None of these is a noun, an adverb, a particle or the
# end of a clause that goes on, as 필요, 주요, 바다, 보다, 마다, 가져다, 다음 and 책임 are.
_BEFORE_DA = (
    _syllables(" ", without="가과나내다데되러려르리마물바보시쓰에오져쩌최파해")
    + _syllables("ㄴㄶㅀㅂㅄㅆ")
    + "같좋높깊싶작짧넓얇닮젊적밝맑늙낮늦맞찮멀길잦"
)
_BEFORE_YO = _syllables(" ", "ㅏㅐㅑㅒㅓㅔㅕㅖㅘㅙㅝㅞ") + "지까군걸든고구죠"
_BARE_ENDINGS = [
    f"[{_BEFORE_DA}]다",
    r"[^가-힣\s]다",
    "[하어타]나다",
    "[다모]르다",
    "힘들다",
    "드물다",
    "드라마다",
    "자리다",
    f"[{_FORMAL}]시다",
    f"[{_FORMAL}]니[까당]",
    f"[{_BEFORE_YO}]요",
    "[죠쥬]",
    f"[{_PAST}없좋하같많]네",
    f"[{_PAST}없같좋많싫않]음",
    "[것거건뿐문편]임",
    "[야못]함",
    "야 함",
    "[가-힣]됨",
    "[네해어아세에여]용",
    "[네세해]여",
    f"[{_PAST}]어여",
    f"[{_syllables('ㅆ', without='있겠')}][어냐]",
    f"[는{_PAST}]구[나만먼]",
    f"[는{_PAST}]군",
    f"[{_PAST}좋]소",
    "십시오",
    "[해려아어여] 보자",
    "해보자",
    "로 하자",
    "[어해]라",
]
_NOT_ENDINGS = ["르완다", "우간다", "판다", "아만다", "미란다", "혼다", "아사다", "사이다"]
_NOT_ENDINGS += ["거기다", "여기다"]
_LAST_OF_BARE = "다까당요죠쥬네음임함됨용여어냐나만먼군소오자라"
_QUESTIONS = [f"[{_syllables('ㄹ')}]까", "[는은]가", "것인가"]

# Who ends sentences with the nouns of verbs, such as 있음 and 것임, makes them of other verbs too.
_NOUN_STYLE = re.compile(rf"[음임함](?![가-힣])(?:(?<=[{_PAST}없]음)|(?<=[것거]임)|(?<=[야못]함))")
_NOUN_ENDINGS = ["[가-힣]임", "[가-힣]함", " 함", "[가-힣][짐줌김]"]
_NOUNS = ["[게모책취담선신부재전해사타퇴역위후상배]임", "[포결명군물]함", "[튀이]김"]
_LAST_OF_NOUNS = "짐줌김"

# Words that begin a sentence after an ending that would be too doubtful alone.
_BEGINNINGS = "하지만|그런데|근데|그래서|그러나|그치만|그렇지만|그러니까|왜냐|암튼|아무튼"
_BEFORE_BEGINNINGS = "어지음임함네군구용당듯해돼냐"

# What goes on with a clause that seems to be complete: it quotes it, doubts it or lets it be so.
_REPORTS = r"이?라(?:고|는|며|면서|던|지만)|[\"'”’]\s+(?:이?라|고 |는 |하)"
_QUOTES = (
    f"{_REPORTS}|하(?:고|며|면서|는|던|여 |더라|자 |니 )|했|하였|해서 |싶|(?:고|는|며|란|이란) "
)
_GOES_ON = (
    f"{_REPORTS}|하(?:고|며|면|는|던|여 |더|드라|기|자 |니 |다|겠)|했|합[니디]|한다|한들|"
    "해(?:도|서|야)|할 (?:수|만|것|정도|때)|싶|보(?:니|면|고|네)|치(?:고|자|면|더)|쳐도|"
    "(?:란|며|는|고) |말(?:하|했|한|할)|생각(?:하|했|한|된|되|돼|들|이 들)|믿|느[끼꼈낀]|"
    "밝[혔히힌]|덧붙|전했|카더|들었|못해|안 |가[고는]|오[고는]|올[ 까]|와서|왔|나[오왔]|"
    # Two that take turns: 껐다 켜니까, 갔다 온, 열었다 닫았다 하면서.
    "켜|켰|껐|뺏|놨다|갔다 |말았다|온 (?!가족|세상|국민|나라|동네|몸|마음)|"
    f"[가-힣]{{1,3}}(?<=[{_PAST}])다 (?:하|했|한|반복)|"
    # Brackets with a particle or a full stop behind them.
    r"\([^()]{1,80}\)\S"
)
_DOUBTS = (
    f"{_REPORTS}|봐|보[아는다네]|하[는고여며면다]|해|등 |싶|생각|걱정|고민|두려|의[문심]|우려|염려|"
    "말|궁금|기대|한다|합니다|했|(?:에|를|가) "
)

# Signs of mood belong to the sentence before them, whether or not a blank stands between.
_MOOD = "ㅋㅎㅠㅜㅡㅇㄷ^~☺☻♡♥★☆♪♬✨❤\ufe0f\u200d\U0001f000-\U0001faff"
_TAIL = rf"[{_MOOD};ㄱ-ㅎㅏ-ㅣ]*(?:\s+[{_MOOD};!?.]+(?!\S))*"
# A remark, such as (2021년 3월), too short to be a sentence and too long to be a label.
_REMARK = rf"(?:\s+\([^(),.!?]{{3,20}}(?<![다요죠음임함{_MOOD}])\)(?!\S))?"
# The last syllables of words that go on, even if signs of mood or an ellipsis follow.
_PARTICLES = "은는을를에의로도고며면만과와서이가"
# The last syllables of sentences, where no blank follows the punctuation.
_FINAL = "다요죠까네음임함됨"

_OPENING = "“‘\"'「『《〈<"
_CLOSING = "\"'”’)\\]」』》〉>"
# None of them may hold its own opening mark, so that openings without an end cost next to nothing.
# Straight ones are told apart by the blanks around them; their ends are often curly.
_QUOTATIONS = [
    "(?<=“)[^“”]{1,800}”",
    "(?<=‘)[^‘’]{1,400}’",
    r"""(?<=")(?<![^\s(\[{<“‘',:~·…]")(?=[^\s"])[^"“”]{1,600}(?<=\S)["”]""",
    r"""(?<=')(?<![^\s(\[{<“",:~·…]')(?=[^\s'])[^'‘’]{1,400}(?<=\S)['’]""",
    "(?<=「)[^「」]{1,400}」",
    "(?<=『)[^『』]{1,400}』",
    "(?<=《)[^《》]{1,400}》",
    "(?<=〈)[^〈〉]{1,400}〉",
    r"(?<=<)(?=\S)[^<>]{1,400}>",
]
_ROUND = r"[^()]{0,400}(?:\([^()]{0,200}\)[^()]{0,200}){0,10}\)"
_SQUARE = r"[^\[\]]{0,200}\]"

_ELLIPSIS, _NUMBERED, _BRACKETS = 1, 2, 3


def _after(patterns: Iterable[str]) -> str:
    return "(?:" + "|".join(f"(?<={pattern})" for pattern in patterns) + ")"


def _not_after(patterns: Iterable[str]) -> str:
    return "".join(f"(?<!{pattern})" for pattern in patterns)


def _boundary(goes_on: str) -> str:
    """A group where white space and a sentence follow that does not begin as `goes_on`.

    The pattern matches in any case: what came before it is never given back, and no text is looked
    at twice.
    """
    return rf"(?:(?=\s+(?!{goes_on})\S)()|)"


def _compile(endings: list[str], not_endings: list[str]) -> re.Pattern:
    """Makes the pattern whose matches are steps, and those with a group boundaries."""
    marks = [
        # An ellipsis, unless it stands after the ending of a sentence.
        rf"(?:(?<=…)|(?<=\.)(?=[.…]))(?<![{_FINAL}][.…])"
        rf"(?:(?<=[가-힣].)(?<![{_PARTICLES}].)[.…]*(?![!?.…]){_TAIL}{_boundary(_REPORTS)}"
        r"|[.…]*(?![!?.…]))",
        # A full stop after a digit or a Latin letter.
        rf"(?<=[0-9A-Za-z]\.)(?![.…!?])[{_CLOSING}]*{_boundary(_REPORTS)}",
        # Brackets.
        rf"(?<=[(\[])(?:(?<=\(){_ROUND}|(?<=\[){_SQUARE})()",
        # A label, such as that of a list.
        r"(?<=[가나다라마바사]\.)(?<![^\s][가-힣]\.)",
        # Final punctuation: no blank follows; a quotation without marks goes on; others.
        rf"(?<=[.!?…])(?:(?:(?<=[{_FINAL}].)|(?<=[가-힣][!?]))"
        rf"[.!?…]*[{_MOOD}]*(?=[가-힣])(?!{_QUOTES})()"
        rf"|[.!?…~]*(?:(?<=[!?])(?=\s+(?:{_QUOTES}))"
        rf"|[{_CLOSING}]*(?:\[[^\[\]]{{1,12}}\])*{_TAIL}{_REMARK}{_boundary(_REPORTS)}))",
        rf"(?<=[。！？])[。！？]*[{_CLOSING}]*(?:(?=\s*\S)()|)",
        # A quotation, and a boundary if it ends like a sentence.
        rf"(?<=[{_OPENING}])(?:{'|'.join(_QUOTATIONS)})"
        rf"(?:(?<=[.!?…。！？].)(?:\([^()]{{1,40}}\))?{_TAIL}{_boundary(_QUOTES)}|)",
        # Signs of mood.
        rf"(?<=[{_MOOD}])(?:(?<=[가-힣].)(?<![{_PARTICLES}].){_TAIL}{_boundary(_GOES_ON)}"
        rf"|[{_MOOD}]*)",
    ]
    syllables = [
        # An ending without punctuation.
        rf"{_after(endings)}{_not_after(not_endings)}"
        rf"(?:[{_MOOD}]+(?=[가-힣])(?!{_GOES_ON})()|{_TAIL}{_REMARK}{_boundary(_GOES_ON)})",
        rf"{_after(_QUESTIONS)}(?=\s){_boundary(_DOUBTS)}",
        rf"(?:(?<=[가-힣][{_BEFORE_BEGINNINGS}])|(?<=거야))(?=\s+(?:{_BEGINNINGS}))()",
    ]
    last = _LAST_OF_BARE + _LAST_OF_NOUNS + "가야" + _BEFORE_BEGINNINGS
    # The search is fast because the pattern begins with a set of characters, most of which fail at
    # the next.
    return re.compile(
        rf"[.!?…。！？{last}(\[{_OPENING}{_MOOD}]"
        rf"(?:(?<![가-힣])(?:{'|'.join(marks)})|(?<=[가-힣])(?=[\s{_MOOD}])(?:{'|'.join(syllables)}))"
    )


_STEP = _compile(_BARE_ENDINGS, _NOT_ENDINGS)
_STEP_IN_NOUN_STYLE = _compile(_BARE_ENDINGS + _NOUN_ENDINGS, _NOT_ENDINGS + _NOUNS)

_ABBREVIATIONS = frozenset(
    ["dr", "mr", "mrs", "ms", "prof", "st", "jr", "sr", "ph.d", "inc", "ltd", "co", "corp", "dept"]
    + ["vs", "etc", "al", "cf", "ca", "approx", "est", "ed", "eds", "no", "nos", "vol", "ch", "sec"]
    + ["art", "fig", "pp"]
)
_INITIALS = re.compile(r"(?:[a-z]\.)*[a-z]")
_END_IN_BRACKETS = re.compile(rf"[.!?…。！？다요죠{_MOOD}]\)")
# No token that counts is longer; a bound on what is looked at again.
_NEARBY = 40


def split(paragraph: str) -> list[str]:
    """Splits a paragraph into sentences.

    Args:
      paragraph: Text; a line feed in it always ends a sentence.

    Returns:
      The sentences in order, without white space around them, none empty. Joined, they are the
      paragraph but for white space.
    """
    if "\n" in paragraph:
        return [sentence for line in paragraph.split("\n") for sentence in split(line)]
    text = paragraph.strip()
    step = _STEP_IN_NOUN_STYLE if _NOUN_STYLE.search(text) else _STEP
    sentences = []
    start = 0
    for match in step.finditer(text):
        kind = match.lastindex
        if kind is None:
            continue
        end = match.end()
        if kind <= _BRACKETS and not _ends(kind, text, start, match.start(), end):
            continue
        sentences.append(text[start:end].strip())
        start = end
    if start < len(text):
        sentences.append(text[start:].strip())
    return sentences


def _ends(kind: int, text: str, start: int, mark: int, end: int) -> bool:
    """Tells whether the sentence from `start` ends at `end`, with what begins at `mark`."""
    if kind == _ELLIPSIS:
        # One word, such as 그런데..., is rather the beginning of one.
        return mark - start > _NEARBY or len(text[start:mark].split()) > 1
    if kind == _NUMBERED:
        return _is_full_stop(text, start, end)
    return (
        mark - start <= _NEARBY
        and not text[start:mark].strip()
        and text[end : end + 1].isspace()
        and _END_IN_BRACKETS.match(text, end - 2) is not None
    )


def _is_full_stop(text: str, start: int, end: int) -> bool:
    """Tells a full stop from that of a number in a list, a date, an initial, an abbreviation."""
    tokens = text[max(start, end - _NEARBY) : end].split()
    token = tokens[-1].rstrip(_CLOSING).rstrip(".").lstrip(f"([{_OPENING}").lower()
    following = text[end : end + _NEARBY].lstrip()[:1]
    if not token[-1:].isdigit():
        return not (token in _ABBREVIATIONS or _INITIALS.fullmatch(token) or following.islower())
    if following.isdigit() or len(tokens) == 1 and end - start <= _NEARBY:
        return False
    return not (token.isdigit() and tokens[-2:-1] and re.fullmatch(r"\d+\.", tokens[-2]))
