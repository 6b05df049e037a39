"""Text to documents of sentences, as the original's create_pretraining_data.py reads them."""

import dataclasses
from array import array

from deeq_bert.tokenizers.base import TokenizedLine


@dataclasses.dataclass(slots=True)
class Document:
    """The sentences of a document, as ids, end to end.

    Flat arrays take a third of the memory of a list a sentence, and make a segment, which is a run
    of whole sentences, one slice.

    Attributes:
      ids: The ids of all sentences.
      starts: Where each sentence starts in `ids`; one more at the end, the length of `ids`.
      units: What starts with each token (see `Encoding.units`); empty where that is not needed or
        the ids tell.
    """

    ids: array
    starts: array
    units: bytearray = dataclasses.field(default_factory=bytearray)


@dataclasses.dataclass(slots=True)
class TextCounts:
    """What has been read.

    Attributes:
      documents: Those with a sentence.
      sentences: Those with a token.
      tokens: Of all sentences.
      unknown_tokens: Those of them that are [UNK].
      characters: Of all lines that are not blank, without their ends; whatever the tokenizer.
    """

    documents: int = 0
    sentences: int = 0
    tokens: int = 0
    unknown_tokens: int = 0
    characters: int = 0

    @property
    def unknown_share(self) -> float:
        """The share of [UNK] among the tokens, 0 to 1."""
        return self.unknown_tokens / self.tokens if self.tokens else 0.0


class DocumentReader:
    """Collects documents from lines: a sentence a line, a blank line between documents.

    As in the original, a line with blanks only also ends a document, the end of a file does not,
    and neither sentences without tokens nor documents without sentences are kept.

    Attributes:
      documents: The documents so far.
      counts: What has been read so far.
    """

    def __init__(self, unknown_id: int, keep_units: bool = False) -> None:
        """Starts with no documents.

        Args:
          unknown_id: The id of [UNK], for the counts.
          keep_units: Whether to keep what starts with each token, for masking.
        """
        self.documents: list[Document] = []
        self.counts = TextCounts()
        self._unknown_id = unknown_id
        self._keep_units = keep_units
        self._between_documents = True

    def add_line(self, line: str, tokenized: TokenizedLine) -> None:
        """Adds a line, with or without its end, of which a tokenizer has made `tokenized`."""
        if not line.strip():
            self._between_documents = True
            return
        self.counts.characters += len(line.rstrip("\r\n"))
        ids = tokenized.ids
        if not ids:
            return
        if self._between_documents:
            self.documents.append(Document(ids=array("i"), starts=array("i", [0])))
            self.counts.documents += 1
            self._between_documents = False
        document = self.documents[-1]
        document.ids.extend(ids)
        document.starts.append(len(document.ids))
        if self._keep_units:
            document.units += tokenized.units
        self.counts.sentences += 1
        self.counts.tokens += len(ids)
        self.counts.unknown_tokens += ids.count(self._unknown_id)
