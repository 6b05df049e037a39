"""Comments and tags in wikitext: what they hold goes, stays, or stays as it is written."""

import re

from deeq_bert.corpus.readers.nested_markup import REMOVED

# Stands for a line break, which a line feed in wikitext is not.
LINE_BREAK = "\1"

_TAG = re.compile(r"<(?:!--|(/?)([A-Za-z][A-Za-z0-9]*)(/?|\s[^<>]*)>)")
# Elements that hold no text of the article.
_REMOVED = (
    "ce chem gallery graph hiero imagemap includeonly indicator inputbox mapframe math pre ref "
    "references rp rt rtc score source style syntaxhighlight templatedata templatestyles timeline"
)
_BLOCKS = (
    "blockquote /blockquote center /center dd dl dt /dl div /div h1 /h1 h2 /h2 h3 /h3 h4 /h4 "
    "h5 /h5 h6 /h6 hr ol /ol p /p ul /ul"
)
_OTHERS = (
    "abbr b bdi bdo big caption cite code data /dd del dfn /dt em font i ins kbd /li maplink mark "
    "nobr noinclude nowiki onlyinclude poem q rb ruby s samp section small span strike strong sub "
    "sup tbody td th thead time tr tt u var wbr"
)
# By name, with the slash of an end tag.
_REPLACEMENTS = {
    **dict.fromkeys(f"{_REMOVED} {_OTHERS}".split(), ""),
    **dict.fromkeys(_BLOCKS.split(), "\n\n"),
    "br": LINE_BREAK,
    "li": "\n* ",
    "table": "\n{|\n",
    "/table": "\n|}\n",
}
# Character references, which are decoded at the very end, keep nowiki text from being taken for
# markup.
_AS_WRITTEN = str.maketrans({mark: f"&#{ord(mark)};" for mark in "&<>[]{}|'=*#:;_-!~"})
_END_TAGS = {
    name: re.compile(rf"</{name}\s*>", re.IGNORECASE)
    for name in [*_REMOVED.split(), "nowiki", "poem"]
}


def strip_tags(text: str) -> str:
    """Returns wikitext without comments and tags.

    HTML tables become wikitext's, `<li>` a list mark. A tag that is none of HTML's or MediaWiki's
    is text, as in 영화 <기생충>.
    """
    done: list[str] = []
    position = 0
    # Elements that are not closed from here on; their end is not sought again.
    unclosed: set[str] = set()
    while match := _TAG.search(text, position):
        done.append(text[position : match.start()])
        position = match.end()
        if match[2] is None:
            position = _end_of_comment(text, match)
            continue
        slash, name, rest = match[1], match[2].lower(), match[3].rstrip()
        end_tag = None if slash or rest.endswith("/") or name in unclosed else _END_TAGS.get(name)
        if end_tag is None:
            done.append(_replacement(match, slash + name))
            continue
        end = end_tag.search(text, position)
        if end is None:
            unclosed.add(name)
            continue
        done.append(_content(name, text[position : end.start()]))
        position = end.end()
    done.append(text[position:])
    return "".join(done)


def _end_of_comment(text: str, match: re.Match[str]) -> int:
    """Returns where the text goes on; a comment that has a line for itself takes its end along."""
    end = text.find("-->", match.end())
    if end < 0:
        return len(text)
    end += 3
    begins_line = match.start() == 0 or text[match.start() - 1] == "\n"
    return end + 1 if begins_line and text.startswith("\n", end) else end


def _replacement(tag: re.Match[str], name: str) -> str:
    replacement = _REPLACEMENTS.get(name)
    if replacement is None:
        replacement = _REPLACEMENTS.get(name.removeprefix("/"), tag[0])
    if len(tag[2]) == 1 and "=" not in tag[3] and tag[3].strip(" /"):
        # <I can only imagine> is the name of a song.
        return tag[0]
    return replacement


def _content(name: str, content: str) -> str:
    if name == "nowiki":
        return content.translate(_AS_WRITTEN)
    if name == "poem":
        return f"\n\n{content.strip()}\n\n".replace("\n", LINE_BREAK + "\n")
    # A reference stands at the end of a word or sentence and leaves no gap.
    return "" if name == "ref" else REMOVED
