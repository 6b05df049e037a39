"""Templates of wikitext: the few that show text which stands in the page itself."""

# The names of templates of the Korean Wikipedia, and of those it shares with the English one, by
# the number of the argument that is the text; without blanks, in lower case.
_FIRST = (
    "한자 한문 한글 윗주 루비 ruby 후리가나 nihongo nowrap 줄바꿈금지 줄바꿈없음 nobr small 작게 "
    "big 크게 sub sup 아래첨자 위첨자 국기 국기나라 나라 임시링크 ill 링크번역 abbr 밑줄 val num "
    "formatnum lc uc lcfirst ucfirst"
)
_SECOND = "lang llang 언어 색 글자색 글씨색 color 폰트색 font"
# These are paragraphs of their own.
_QUOTATIONS = frozenset(("인용문", "인용문2", "인용", "quote", "blockquote", "cquote", "큰따옴표"))
_TEXT_ARGUMENTS = {
    **dict.fromkeys(_FIRST.split(), 1),
    **dict.fromkeys(_SECOND.split(), 2),
    **dict.fromkeys(_QUOTATIONS, 1),
}
_NAMED_TEXTS = frozenset(("글", "text", "인용문", "내용", "본문", "quote"))
_CHARACTERS = {
    "!": "|",
    "=": "=",
    "·": " · ",
    "dot": " · ",
    "가운뎃점": " · ",
    "–": " – ",
    "snd": " – ",
    "spacedndash": " – ",
    "nbsp": " ",
}
_UNITS = frozenset(("convert", "cvt", "단위변환", "변환"))


def template_text(content: str) -> str | None:
    """Returns the text that a template shows.

    Args:
      content: What stands between its braces, without templates in it.

    Returns:
      The text, or None for a template that shows none, or none that is in the page.
    """
    name, _, rest = content.partition("|")
    if len(name) > 40:
        return None
    name = "".join(name.replace("_", " ").split()).lower()
    name = name.removeprefix("틀:").removeprefix("template:")
    if ":" in name:
        # A function such as {{formatnum:12345}}.
        name, _, rest = content.partition(":")
        name = name.strip().lower()
    if name in _CHARACTERS:
        return _CHARACTERS[name]
    if name in _UNITS:
        return " ".join(argument.strip() for argument in rest.split("|", 2)[:2])
    number = _TEXT_ARGUMENTS.get(name)
    text = None if number is None else _argument(rest, number)
    return f"\n\n{text}\n\n" if text and name in _QUOTATIONS else text


def _argument(arguments: str, number: int) -> str | None:
    position = 0
    for argument in arguments.split("|"):
        key, equals, value = argument.partition("=")
        key = key.strip()
        if not equals:
            position += 1
            if position == number:
                return argument.strip()
        elif key == str(number) or key in _NAMED_TEXTS:
            return value.strip()
    return None
