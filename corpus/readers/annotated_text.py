"""Text with annotations for other ends: the transcripts of KsponSpeech, CoNLL-U treebanks."""

import re
from collections.abc import Iterator

from deeq_bert.corpus.readers.base import SAMPLE_CHARACTERS, BrokenRecord, Document, Reader
from deeq_bert.corpus.readers.document_parts import DocumentParts, overlong_line
from deeq_bert.corpus.readers.input_file import InputFile
from deeq_bert.tokenizers.errors import InputError

# Breath, laughter, other speech, noise, what cannot be understood.
_NOISE = re.compile("(?<![A-Za-z가-힣])[blonu]/")
# The spelling, and how it was pronounced.
_PAIR = re.compile(r"\(([^()]*)\)/\([^()]*\)")
_FILLER = re.compile("(?<=[가-힣])/")
# A repeated word, and one that was hard to understand.
_MARKS = re.compile(r"(?<![+*])[+*]+(?=[\s.,?!]|$)")


class KsponReader(Reader):
    """Reads the transcripts of KsponSpeech: `path.pcm :: b/ (3개)/(세 개) 그/ 있다+`.

    Each line is a document with the path as its id. The spelling of a pair is kept, fillers lose
    their slash, and the marks of noise, repetition and unclear speech go.
    """

    splits = True

    def read(self, file: InputFile) -> Iterator[Document | BrokenRecord]:
        for number, line in enumerate(file.lines(), 1):
            if file.past_end:
                return
            if type(line) is not str:
                yield overlong_line(file, number, line)
                continue
            path, separator, text = line.partition(" :: ")
            if separator:
                if text := _spelling(text):
                    yield Document(path.strip(), "", [text])
            elif line.strip():
                if number == 1 and not file.begin:
                    raise InputError(
                        f"{file.path}: begins with {line[:40]!r}; expected lines such as "
                        "`path.pcm :: text`. Choose another reader."
                    )
                yield BrokenRecord(file.place(number), "no ::", line[:SAMPLE_CHARACTERS])


def _spelling(text: str) -> str:
    if "/" in text:
        text = _NOISE.sub("", text)
        text = _PAIR.sub(r"\1", text)
        text = _FILLER.sub("", text)
    if "+" in text or "*" in text:
        text = _MARKS.sub("", text)
    return " ".join(text.split())


class ConlluReader(Reader):
    """Reads CoNLL-U treebanks: the `# text = …` of each sentence is a paragraph.

    `# newdoc` begins a document; a file without it is one document.
    """

    def read(self, file: InputFile) -> Iterator[Document | BrokenRecord]:
        parts = DocumentParts()
        parts.start(file.path)
        has_text, first_token = False, 0
        sample = ""
        for number, line in enumerate(file.lines(), 1):
            if line.startswith("#"):
                name, _, value = line[1:].partition("=")
                name, value = name.strip(), value.strip()
                if name == "text" and type(line) is str:
                    has_text = True
                    if value and (document := parts.add(value)):
                        yield document
                elif name.startswith("newdoc"):
                    if document := parts.finish():
                        yield document
                    parts.start(value or file.place(number))
            elif line.strip():
                if not first_token:
                    first_token, sample = number, line[:SAMPLE_CHARACTERS]
                    if "\t" not in line:
                        raise InputError(
                            f"{file.place(number)}: {line[:40]!r} is not CoNLL-U; expected the "
                            "columns of a token, separated by tabs. Choose another reader."
                        )
            else:
                if first_token and not has_text:
                    yield BrokenRecord(file.place(first_token), "no # text comment", sample)
                has_text, first_token = False, 0
        if first_token and not has_text:
            yield BrokenRecord(file.place(first_token), "no # text comment", sample)
        if document := parts.finish():
            yield document
