"""What a reader is: it turns one input file into documents."""

import abc
import dataclasses
from collections.abc import Iterator
from typing import ClassVar

from deeq_bert.corpus.readers.input_file import InputFile


@dataclasses.dataclass(slots=True)
class Document:
    """A text that belongs together.

    Attributes:
      id: What the file calls it, or its place in the file; need not be unique.
      title: Its title, or "".
      paragraphs: Its text in order, without markup; each may hold several sentences. A line feed
        inside a paragraph is a line break that the source meant, as in a poem or a list.
      metadata: What else the file says of it, such as the speaker, the rating or the date.
    """

    id: str
    title: str
    paragraphs: list[str]
    metadata: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class BrokenRecord:
    """A record that could not be read and is left out.

    Attributes:
      place: Where it is, such as "posts.csv, line 17".
      problem: What is wrong with it, in a few words that are the same for records with the same
        fault, such as "not JSON", so that they can be counted.
      sample: How it begins; at most SAMPLE_CHARACTERS characters.
    """

    place: str
    problem: str
    sample: str


SAMPLE_CHARACTERS = 200


class Reader(abc.ABC):
    """Reads the files of one format, a document at a time, in bounded memory.

    A reader has no state that outlives a call of `read`; it can be used for many files.

    Attributes:
      splits: Whether `read` understands a file that is opened for a range of bytes: then it yields
        the documents that begin in the range, and every document of a file comes exactly once in
        ranges that cover it.
    """

    splits: ClassVar[bool] = False

    @abc.abstractmethod
    def read(self, file: InputFile) -> Iterator[Document | BrokenRecord]:
        """Yields the documents of `file`, and in their place the records that are broken.

        Raises:
          InputError: The file as a whole cannot be read: it is of another format, a column is
            missing, a byte cannot be decoded.
        """
