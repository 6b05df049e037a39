"""모두의 말뭉치, the corpora of the National Institute of Korean Language (NIKL)."""

import os
import re
from collections.abc import Iterator
from typing import Any

from deeq_bert.corpus.readers.base import BrokenRecord, Document, Reader
from deeq_bert.corpus.readers.input_file import InputFile
from deeq_bert.corpus.readers.json_documents import DocumentFields, MissingTexts
from deeq_bert.corpus.readers.json_paths import Path
from deeq_bert.corpus.readers.json_stream import JsonElements
from deeq_bert.corpus.readers.xml_files import XmlReader

# Of national, local, professional, internet and other newspapers, as in NWRW1900000001.
_NEWSPAPERS = ("NWRW", "NLRW", "NPRW", "NIRW", "NZRW")
_PARAGRAPH_TAG = re.compile(r"</?p>")
_NO_TITLE = ("", "NA")


class NiklReader(Reader):
    """Reads every corpus of the NIKL; which it is shows in the file.

    - Written, web: the paragraphs, under the title of the text.
    - Newspaper: the same, but that the first paragraph is the headline, so the title.
    - Spoken, dialogue, messenger, parliament: what one speaker says in a row is a paragraph.
    - Annotated: the sentences.
    - Non-published writing (.sjml): XML, a file a document.
    """

    def __init__(self):
        self._paragraphs = DocumentFields(text="paragraph[].form", title="metadata.title", id="id")
        self._utterances = DocumentFields(text="utterance[].form", id="id", speaker="speaker_id")
        self._sentences = DocumentFields(text="sentence[].form", id="id")
        self._xml = XmlReader(
            document="SJML",
            text="text/p",
            title="header/sourceInfo/title",
            id="header/fileInfo/fileId",
        )

    def read(self, file: InputFile) -> Iterator[Document | BrokenRecord]:
        if next(file.text_blocks(), "").lstrip()[:1] == "<":
            yield from self._xml.read(file)
            return
        # In the records of parliament, a single document takes the place of the list.
        elements = JsonElements(file, Path("document[]"), or_single=True)
        texts = MissingTexts(file, self._paragraphs)
        name = os.path.basename(file.path)
        for value in elements:
            if isinstance(value, BrokenRecord):
                yield value
                continue
            place = elements.place()
            document = self._document(value, place, name)
            if document is None:
                yield texts.missing(value, place)
                continue
            texts.found()
            yield document
        texts.finish()

    def _document(self, value: Any, place: str, name: str) -> Document | None:
        document = self._paragraphs.document(value, place)
        if document is None:
            for fields in (self._utterances, self._sentences):
                if document := fields.document(value, place):
                    break
            return document
        if any("<p>" in paragraph for paragraph in document.paragraphs):
            document.paragraphs = _without_tags(document.paragraphs)
        if document.title in _NO_TITLE:
            document.title = ""
        # The title of an article names the paper and the year only.
        if document.id.startswith(_NEWSPAPERS) or name.startswith(_NEWSPAPERS):
            document.title = document.paragraphs[0] if document.paragraphs else ""
            del document.paragraphs[:1]
        return document


def _without_tags(paragraphs: list[str]) -> list[str]:
    parts = [part.strip() for text in paragraphs for part in _PARAGRAPH_TAG.split(text)]
    return [part for part in parts if part]
