"""Namuwiki's dumps: one JSON array of pages."""

import re
from collections.abc import Iterator

from deeq_bert.corpus.readers.base import SAMPLE_CHARACTERS, BrokenRecord, Document, Reader
from deeq_bert.corpus.readers.input_file import InputFile
from deeq_bert.corpus.readers.json_paths import Path
from deeq_bert.corpus.readers.json_stream import JsonElements
from deeq_bert.corpus.readers.namumark import strip_namumark
from deeq_bert.tokenizers.errors import InputError

_PAGE_KEYS = frozenset(("title", "text"))
# Old dumps have the number as a string; articles are of namespace 0 or of none.
_ARTICLE = ("", "0", "None")
_IS_REDIRECT = re.compile(r"\s*#(?:redirect|넘겨주기)\s", re.IGNORECASE)


class NamuwikiReader(Reader):
    """Reads the articles of a dump, `{namespace, title, text, contributors}`, without redirects.

    A file with a single page is read too.
    """

    def __init__(self, headings: bool = False):
        """Makes a reader.

        Args:
          headings: Whether headings are paragraphs.

        Raises:
          InputError: A value is not as described.
        """
        if not isinstance(headings, bool):
            raise InputError(f"headings={headings}: expected true or false.")
        self._headings = headings

    def read(self, file: InputFile) -> Iterator[Document | BrokenRecord]:
        elements = JsonElements(file, Path("[]"), or_single=True)
        is_first = True
        for page in elements:
            if isinstance(page, BrokenRecord):
                yield page
                continue
            place = elements.place()
            is_page = isinstance(page, dict) and all(
                isinstance(page.get(key), str) for key in _PAGE_KEYS
            )
            if is_first and not is_page:
                raise InputError(
                    f"{file.path}: not a dump of Namuwiki, whose pages have a title and a text. "
                    "Choose the reader for its format."
                )
            is_first = False
            if not is_page:
                yield BrokenRecord(place, "no title and text", str(page)[:SAMPLE_CHARACTERS])
            elif str(page.get("namespace", "")) in _ARTICLE and not _IS_REDIRECT.match(
                page["text"]
            ):
                paragraphs = strip_namumark(page["text"], self._headings)
                yield Document(page["title"] or place, page["title"], paragraphs)
