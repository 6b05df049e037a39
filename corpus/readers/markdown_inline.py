"""What stands inside the lines of Markdown: links, emphasis, code, formulas, tags."""

import re

from deeq_bert.corpus.readers.html_pages import decode_entities

# Code and formulas stand aside while the rest is cleaned; marks that no text has stand for them,
# and other ones for punctuation behind a backslash. All are Unicode noncharacters.
_ASIDE = "\ufffe"
_ASIDE_AGAIN = re.compile(f"{_ASIDE}([0-9]{{1,9}}){_ASIDE}")
_PUNCTUATION = r"""!"#$%&'()*+,-./:;<=>?@[\]^_`{|}~"""
_ESCAPED = {mark: chr(0xFDD0 + index) for index, mark in enumerate(_PUNCTUATION)}
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_UNESCAPED = str.maketrans({chr(0xFDD0 + i): mark for i, mark in enumerate(_PUNCTUATION)})
_NONCHARACTERS = re.compile("[\ufdd0-\ufdef\ufffe]")

# A reference to a section, figure, formula or book: only the rendered page has its number.
_LABEL = re.compile(r":(?:label|eqlabel|numref|ref|eqref|cite[a-z:]*|width|height):`[^`]*`")
_ROLE = re.compile(r":[a-z][a-z:-]{0,30}:(?=`)")
_CODE = re.compile("(?<!`)`(?!`)([^`]+)`(?!`)|(?<!`)``(?!`)(.{1,1000}?)(?<!`)``(?!`)")
_FORMULA = re.compile(r"\$\$([^$]+)\$\$|(?<![\\$])\$(?![\s$])([^$]*[^\s$\\])\$(?![\d$])")
_PARENTHESES_FORMULA = re.compile(r"\\\\?\(([^()]*?)\\\\?\)")

_TARGET = r"\([^()]*(?:\([^()]*\)[^()]*)*\)"
_IMAGE = re.compile(rf"!\[[^\[\]]*\](?:{_TARGET}|\[[^\[\]]*\])")
_LINK = re.compile(rf"\[([^\[\]]*)\](?:{_TARGET}|\[[^\[\]]*\])")
_FOOTNOTE = re.compile(r"\[\^[^\[\]\s]*\]")
_DOCS_EXTENSION = re.compile(r"\[![A-Za-z][\w-]*[^\[\]]*(?:\[[^\[\]]*\](?:\([^()]*\))?[^\[\]]*)?\]")
# Slide marks of d2l: `[**shown**]` and `(**shown**)`.
_SLIDE = re.compile(r"\[\*\*([^*\[\]]*)\*\*\](?![(\[])|\(\*\*([^*()]*)\*\*\)")
_BRACKETS = re.compile(r"\[([^\[\]]+)\]")
_LIQUID = re.compile(r"\{%[^%]*%\}|\{\{[^{}]*\}\}")
_ATTRIBUTES = re.compile(r"\{[:#.][^{}]*\}")
_AUTOLINK = re.compile(r"<((?:https?://|mailto:)[^<>\s]*|[^<>\s@]{1,64}@[^<>\s@]{1,200})>")
_LINE_BREAK = re.compile("</?br[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"</?[A-Za-z](?:[^<>]*)>")
_ASTERISKS = re.compile(r"(?<!\*)\*{1,3}(?![\s*])([^*]*[^\s*])\*{1,3}")
_ASTERISK_PAIR = re.compile(r"\*\*([^*]+)\*\*")
_UNDERSCORES = re.compile(r"(?<![\w_])_{1,3}(?![\s_])([^_]*[^\s_])_{1,3}(?![A-Za-z0-9_])")
_STRUCK = re.compile("~~([^~]+)~~")
_WORD = re.compile(r"\w")


class InlineCleaner:
    """Takes the markup out of the paragraphs of one page."""

    def __init__(self, formulas: bool, references: frozenset[str] | set[str] = frozenset()):
        """Makes a cleaner.

        Args:
          formulas: Whether formulas inside a sentence stay, without their dollar signs.
          references: The names of links that are defined elsewhere on the page, in lower case.
        """
        self._formulas = formulas
        self._references = references

    def clean(self, text: str) -> str:
        """Returns the text of a paragraph, of which line breaks that were meant are "\\n"."""
        if not text.isascii():
            text = _NONCHARACTERS.sub("", text)
        aside: list[str] = []

        def put_aside(kept: str) -> str:
            aside.append(kept)
            return f"{_ASIDE}{len(aside) - 1}{_ASIDE}"

        if "`" in text:
            if ":`" in text:
                text = _ROLE.sub("", _LABEL.sub("", text))
            text = _CODE.sub(lambda code: put_aside(code[1] or code[2]), text)
        if "$" in text or "\\(" in text:
            without = self._clean_formulas(text, put_aside)
            if without is not text and not _WORD.search(_ASIDE_AGAIN.sub("", without)):
                # A formula on a line of its own.
                return ""
            text = without
        if "\\" in text:
            text = _ESCAPE.sub(lambda escape: _ESCAPED[escape[1]], text)
        if "{" in text:
            text = _ATTRIBUTES.sub("", _LIQUID.sub("", text))
        if "<" in text:
            text = _AUTOLINK.sub(r"\1", text)
            text = _LINE_BREAK.sub("\n", text)
            text = _TAG.sub("", text)
        if "[" in text:
            text = self._clean_brackets(text)
        if "*" in text:
            # Twice, for what stands in another; then marks that are set wrongly.
            text = _ASTERISKS.sub(r"\1", _ASTERISKS.sub(r"\1", text))
            text = _ASTERISK_PAIR.sub(r"\1", text)
        if "_" in text:
            text = _UNDERSCORES.sub(r"\1", text)
        if "~~" in text:
            text = _STRUCK.sub(r"\1", text)
        text = decode_entities(text)
        if not text.isascii():
            text = text.translate(_UNESCAPED) if _NONCHARACTERS.search(text) else text
        if aside:
            text = _ASIDE_AGAIN.sub(lambda place: aside[int(place[1])], text)
        return text

    def _clean_formulas(self, text: str, put_aside) -> str:
        def replace(formula: re.Match) -> str:
            inside = next(filter(None, formula.groups()), "")
            return put_aside(_ASIDE_AGAIN.sub("", inside)) if self._formulas else ""

        text = _FORMULA.sub(replace, text)
        return _PARENTHESES_FORMULA.sub(replace, text) if "\\(" in text else text

    def _clean_brackets(self, text: str) -> str:
        text = _SLIDE.sub(lambda slide: slide[1] or slide[2] or "", text)
        if "[!" in text:
            text = _DOCS_EXTENSION.sub("", text)
        if "![" in text:
            text = _IMAGE.sub("", text)
        text = _FOOTNOTE.sub("", text)
        if "](" in text or "][" in text:
            text = _LINK.sub(r"\1", text)
            if "](" in text:
                text = _LINK.sub(r"\1", text)
        if self._references and "[" in text:
            text = _BRACKETS.sub(self._without_reference_brackets, text)
        return text

    def _without_reference_brackets(self, brackets: re.Match) -> str:
        return brackets[1] if brackets[1].lower() in self._references else brackets[0]
