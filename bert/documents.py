"""Text to documents of sentences, as the original's create_pretraining_data.py reads them."""

import dataclasses
from array import array
from collections.abc import Sequence

import numpy as np

from deeq_bert.tokenizers.base import TokenizedLines

# Ids below this are kept in two bytes.
_SHORT_IDS = 1 << 16


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


class Documents:
    """Collects documents from lines: a sentence a line, a blank line between documents.

    As in the original, a line with blanks only also ends a document, the end of a file does not,
    and neither sentences without tokens nor documents without sentences are kept. All ids stand end
    to end in one array: a segment of an instance, which is a run of whole sentences, is a slice.

    Attributes:
      ids: The ids of all sentences; an array of type "H" or, with a larger vocabulary, "i".
      units: What starts with each token (see `Encoding.units`); empty where that is not needed or
        the ids tell.
      sentence_starts: Where each sentence starts in `ids`; one more at the end, the length of
        `ids`.
      document_starts: Which sentence is the first of each document; one more at the end, the
        number of sentences.
      counts: What has been read so far.
    """

    def __init__(self, vocab_size: int, unknown_id: int, keep_units: bool = False) -> None:
        """Starts with no documents.

        Args:
          vocab_size: Every id is smaller.
          unknown_id: The id of [UNK], for the counts.
          keep_units: Whether to keep what starts with each token, for masking.
        """
        self.ids = array("H" if vocab_size <= _SHORT_IDS else "i")
        self.units = bytearray()
        self.sentence_starts = array("q", [0])
        self.document_starts = array("q", [0])
        self.counts = TextCounts()
        self._unknown_id = unknown_id
        self._keep_units = keep_units
        self._between_documents = True

    def __len__(self) -> int:
        return self.counts.documents

    def add_lines(self, lines: Sequence[str], tokenized: TokenizedLines) -> None:
        """Adds lines, without their ends, of which a tokenizer has made `tokenized`."""
        token_counts = np.frombuffer(tokenized.counts, np.int32)
        sentences = np.flatnonzero(token_counts)
        without_tokens = np.flatnonzero(token_counts == 0).tolist()
        blanks = [number for number in without_tokens if not lines[number].strip()]
        self.counts.characters += sum(map(len, lines)) - sum(len(lines[blank]) for blank in blanks)
        if len(sentences):
            # How many blank lines stand before each sentence; where that changes a document starts.
            blanks_before = np.searchsorted(blanks, sentences)
            starts_document = np.diff(blanks_before, prepend=0) > 0
            starts_document[0] |= self._between_documents
            self._between_documents = bool(blanks) and blanks[-1] > sentences[-1]
            self._add_sentences(token_counts[sentences], starts_document)
            self._add_tokens(tokenized)
        elif blanks:
            self._between_documents = True

    def _add_sentences(self, lengths: np.ndarray, starts_document: np.ndarray) -> None:
        first_sentence, first_token = self.document_starts.pop(), self.sentence_starts[-1]
        ends = np.cumsum(lengths, dtype=np.int64) + first_token
        starts = np.flatnonzero(starts_document) + first_sentence
        self.sentence_starts.frombytes(ends.tobytes())
        self.document_starts.frombytes(starts.astype(np.int64).tobytes())
        self.document_starts.append(first_sentence + len(lengths))
        self.counts.documents += len(starts)
        self.counts.sentences += len(lengths)

    def _add_tokens(self, tokenized: TokenizedLines) -> None:
        ids = np.frombuffer(tokenized.ids, np.int32)
        self.ids.frombytes(ids.astype(self.ids.typecode).tobytes())
        if self._keep_units:
            self.units += tokenized.units
        self.counts.tokens += len(ids)
        self.counts.unknown_tokens += int(np.count_nonzero(ids == self._unknown_id))
