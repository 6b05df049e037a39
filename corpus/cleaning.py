"""The way of documents through the rules: text rules, sentence splitting, filters."""

import re
from collections.abc import Sequence

from deeq_bert.corpus.accounting import Account
from deeq_bert.corpus.readers.base import Document
from deeq_bert.corpus.rules import catalogue
from deeq_bert.corpus.rules.base import DocumentFilter, LineFilter, TextRule, uncommon_characters
from deeq_bert.corpus.settings import SourceSettings
from deeq_bert.corpus.splitters import make_splitter

# What ends a line for some programs, beside "\n".
_LINE_BREAKS = re.compile("[\r\v\f\x1c-\x1e\x85\u2028\u2029]+")

# The name under which documents stand that lost their last line.
NOTHING_LEFT = "nothing_left"


class Cleaner:
    """Cleans the documents of one source, and enters in an account what it does."""

    def __init__(
        self,
        settings: SourceSettings,
        more_filters: Sequence[tuple[str, LineFilter]] = (),
    ):
        """Makes the rules.

        Args:
          settings: Which rules, with which options.
          more_filters: Line filters, with their names, that come after those of the settings.

        Raises:
          InputError: A rule or an option is not known, or has a value it cannot have.
        """
        make = catalogue.make_rules
        self._text_rules: list[tuple[str, TextRule]] = make(catalogue.TEXT_RULES, settings.rules)
        self._line_filters: list[tuple[str, LineFilter]] = [
            *make(catalogue.LINE_FILTERS, settings.rules),
            *more_filters,
        ]
        self._document_filters: list[tuple[str, DocumentFilter]] = make(
            catalogue.DOCUMENT_FILTERS, settings.rules
        )
        self._split = make_splitter(settings.sentence_splitter)
        self._keep_titles = settings.keep_titles

    def clean(self, documents: Sequence[Document], account: Account) -> list[list[str]]:
        """Returns the sentences of each document; none for one that is dropped.

        The text rules go over all of the documents at once, which for short ones, such as reviews,
        is several times as fast as one by one. They do not look across lines.
        """
        texts = [self._text(document, account) for document in documents]
        block = _LINE_BREAKS.sub(" ", self._apply_text_rules("\n".join(texts), account))
        lines = block.split("\n")
        cleaned = []
        end = 0
        for text in texts:
            begin, end = end, end + text.count("\n") + 1
            cleaned.append(self._finish(lines[begin:end], account))
        return cleaned

    def _text(self, document: Document, account: Account) -> str:
        """Returns what the rules get of a document, and enters what was read."""
        paragraphs = document.paragraphs
        if self._keep_titles and document.title:
            paragraphs = [document.title, *paragraphs]
        text = paragraphs[0] if len(paragraphs) == 1 else "\n".join(paragraphs)
        try:
            num_bytes = len(text.encode("utf-8"))
        except UnicodeEncodeError:
            # Half a surrogate pair, as JSON can have it, is no character and cannot be written.
            text = text.encode("utf-8", "replace").decode("utf-8")
            num_bytes = len(text.encode("utf-8"))
        account.documents_in += 1
        account.bytes_in += num_bytes - text.count("\n")
        account.lines_in += sum(1 for line in text.split("\n") if line and not line.isspace())
        return text

    def _apply_text_rules(self, text: str, account: Account) -> str:
        uncommon = uncommon_characters(text)
        for name, rule in self._text_rules:
            changed = rule(text, uncommon)
            if changed is text or changed == text:
                continue
            account.enter_changes(name, text.split("\n"), changed.split("\n"))
            text = changed
            uncommon = uncommon_characters(text)
        return text

    def _finish(self, lines: list[str], account: Account) -> list[str]:
        """Splits the lines of a document into sentences, and filters these and the document."""
        sentences = []
        for line in lines:
            if line and not line.isspace():
                sentences += self._split(line)
        account.sentences += len(sentences)
        sentences = self._apply_line_filters(sentences, account)
        if not sentences:
            account.rule(NOTHING_LEFT).removed_documents += 1
            return sentences
        for name, drops in self._document_filters:
            if drops(sentences):
                account.enter_removed_document(name, sentences)
                return []
        return sentences

    def _apply_line_filters(self, sentences: list[str], account: Account) -> list[str]:
        kept = []
        filters = self._line_filters
        for sentence in sentences:
            uncommon = uncommon_characters(sentence)
            for name, drops in filters:
                if drops(sentence, uncommon):
                    account.enter_removed_line(name, sentence)
                    break
            else:
                kept.append(sentence)
        return kept
