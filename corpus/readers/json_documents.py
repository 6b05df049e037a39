"""What of a JSON value is the text, the title and the name of a document."""

import itertools
from collections.abc import Iterable
from typing import Any

from deeq_bert.corpus.readers.base import SAMPLE_CHARACTERS, BrokenRecord, Document
from deeq_bert.corpus.readers.html_pages import html_to_paragraphs
from deeq_bert.corpus.readers.input_file import InputFile
from deeq_bert.corpus.readers.json_paths import Path, Paths, describe
from deeq_bert.tokenizers.errors import InputError

_CONTENTS = ("text", "html")
# So many records without text at their beginning, and the path is taken to be wrong.
_MAX_MISSING_AT_START = 100

# A text and who says it; None where nobody is named.
Utterance = tuple[str, str | None]


class DocumentFields:
    """Finds the parts of a document in a JSON value."""

    def __init__(
        self, *, text: str, title: str = "", id: str = "", speaker: str = "", content: str = "text"
    ):
        """Makes a finder; see the readers for the arguments.

        Raises:
          InputError: A path is none, `content` is unknown, or `speaker` does not go with `text`.
        """
        if content not in _CONTENTS:
            raise InputError(f"The content {content!r} is not known; expected text or html.")
        self._text = Paths(text)
        self._title = Path(title) if title else None
        self._id = Path(id) if id else None
        self._is_html = content == "html"
        self._speaker = Path(speaker) if speaker else None
        if speaker:
            self._holders, self._key = _split_last_key(text)

    def document(self, value: Any, place: str) -> Document | None:
        """Returns the document in `value`; None where there is no such path as its text's.

        Args:
          value: A decoded JSON value.
          place: Its place, for the name of a document that has none.
        """
        if self._speaker is None:
            texts = find_texts(self._text, value)
        else:
            utterances = self.utterances(value)
            texts = None if utterances is None else join_by_speaker(utterances)
        if texts is None:
            return None
        return Document(self.id(value) or place, self.title(value), self._without_markup(texts))

    def id(self, value: Any) -> str:
        return _as_line(self._id.first(value)) if self._id else ""

    def title(self, value: Any) -> str:
        return _as_line(self._title.first(value)) if self._title else ""

    def utterances(self, value: Any) -> list[Utterance] | None:
        """Returns the texts in `value`, and who says them; None where there is no such path."""
        if self._speaker is None:
            texts = find_texts(self._text, value)
            return None if texts is None else [(text, None) for text in texts]
        holders = self._holders.find(value)
        if not holders:
            return holders
        said = [(holder, find_texts(self._key, holder)) for holder in holders]
        if all(texts is None for _, texts in said):
            return None
        return [
            (text, _as_line(self._speaker.first(holder)) or None)
            for holder, texts in said
            for text in texts or ()
        ]

    def paragraphs(self, utterances: Iterable[Utterance]) -> list[str]:
        """Returns paragraphs: what one speaker says in a row is one."""
        return self._without_markup(join_by_speaker(utterances))

    def explain(self, value: Any) -> str:
        """Returns a clause on why no text is found in `value`."""
        return self._text.paths[0].explain(value)

    def _without_markup(self, texts: list[str]) -> list[str]:
        if not self._is_html:
            return texts
        return list(itertools.chain.from_iterable(map(html_to_paragraphs, texts)))

    def __str__(self) -> str:
        return ",".join(path.expression for path in self._text.paths)


class MissingTexts:
    """Tells a record without a text from paths that do not fit the file."""

    def __init__(self, file: InputFile, fields: DocumentFields):
        self._path = file.path
        self._fields = fields
        self._num_missing = 0
        self._first: Any = None
        # What a later range of a file has in it says nothing of the whole.
        self._any_found = file.begin > 0

    def found(self) -> None:
        self._any_found = True

    def missing(self, value: Any, place: str) -> BrokenRecord:
        """Returns what stands for a record without a text.

        Raises:
          InputError: There has been no text in many records.
        """
        if not self._num_missing:
            self._first = value
        self._num_missing += 1
        if self._num_missing >= _MAX_MISSING_AT_START:
            self.finish()
        sample = describe(value)[:SAMPLE_CHARACTERS]
        return BrokenRecord(place, f"no text at `{self._fields}`", sample)

    def finish(self) -> None:
        """Raises InputError where there were records, and no text in any of them."""
        if self._num_missing and not self._any_found:
            raise InputError(
                f"{self._path}: no text at `{self._fields}` in its documents: in the first, "
                f"{self._fields.explain(self._first)}. Give its reader "
                "another path, or choose another reader."
            )


def find_texts(paths: Path | Paths, value: Any) -> list[str] | None:
    """Returns the strings at the paths, and in lists there, that are not blank.

    Returns:
      None where the paths do not exist, or where all that is there are objects.
    """
    found = paths.find(value)
    if found is None:
        return None
    texts = []
    wrong = False
    for item in found:
        for text in item if type(item) is list else (item,):
            if type(text) is not str:
                wrong = wrong or text is not None
            elif text and not text.isspace():
                texts.append(clean(text))
    return None if wrong and not texts else texts


def join_by_speaker(utterances: Iterable[Utterance]) -> list[str]:
    """Joins with blanks what one speaker says in a row; the rest stays as it is."""
    paragraphs: list[str] = []
    for speaker, group in itertools.groupby(utterances, key=lambda utterance: utterance[1]):
        texts = [text for text, _ in group]
        paragraphs.extend(texts if speaker is None else [" ".join(texts)])
    return paragraphs


def clean(text: str) -> str:
    """Returns `text` without blanks around it, with "\\n" at line ends, fit to be written."""
    text = text.strip()
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    try:
        text.isascii() or text.encode()
    except UnicodeEncodeError:
        # An escape can name half of a character.
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _as_line(value: Any) -> str:
    return " ".join(clean(value).split()) if type(value) is str else ""


def _split_last_key(expression: str) -> tuple[Path, Path]:
    holders, _, key = expression.rpartition(".")
    if "," in expression or not key or key == "*" or key.endswith("[]"):
        raise InputError(
            f"With a speaker, the text is one path that ends with a key, not {expression!r}: the "
            "speaker is looked for beside that key."
        )
    return Path(holders), Path(key)
