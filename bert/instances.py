"""Documents to training instances: the algorithm of the original's create_pretraining_data.py.

Every random draw of the original is made, in the same order, so that one seed gives the same
instances. What an instance is made of is noted in some 100 bytes; its ids are put together when it
is written.
"""

import dataclasses
from array import array
from collections.abc import Callable

import numpy as np

from deeq_bert.bert.compiled_draws import CompiledDraws, is_compiled
from deeq_bert.bert.documents import Documents
from deeq_bert.bert.masking import MaskingChoice, Predictions, masking_facts
from deeq_bert.bert.plain_draws import DrawnInstances, PlainDraws
from deeq_bert.tokenizers.base import Tokenizer
from deeq_bert.tokenizers.vocabulary import MASK

# [CLS] and twice [SEP].
SPECIAL_TOKENS = 3
# So many documents are gone through at once.
_DOCUMENTS_AT_ONCE = 1024


@dataclasses.dataclass
class Instances:
    """The instances of documents, each as what it takes to put it together.

    Attributes:
      is_masked: Whether tokens were chosen to be predicted.
      first_starts: Where segment A starts in the ids of the documents; int64.
      first_lengths: How many tokens it has; int32.
      second_starts: Where segment B starts.
      second_lengths: How many tokens it has.
      random_next: Whether B is from a random place.
      prediction_ends: Where the predictions of each instance end; int64.
      positions: Of all predictions, ascending within each instance.
      shown_ids: The ids that stand there.
    """

    is_masked: bool
    first_starts: np.ndarray
    first_lengths: np.ndarray
    second_starts: np.ndarray
    second_lengths: np.ndarray
    random_next: np.ndarray
    prediction_ends: np.ndarray
    positions: np.ndarray
    shown_ids: np.ndarray

    def __len__(self) -> int:
        return len(self.first_starts)

    @property
    def lengths(self) -> np.ndarray:
        """How many tokens each has, [CLS] and both [SEP] included."""
        return self.first_lengths + self.second_lengths + SPECIAL_TOKENS


def make_instances(
    documents: Documents,
    tokenizer: Tokenizer,
    masking: MaskingChoice | None,
    max_seq_length: int,
    dupe_factor: int,
    short_seq_prob: float,
    seed: int | str,
    progress: Callable[[int], object] | None = None,
) -> tuple[Instances, array]:
    """Makes the instances of all documents, `dupe_factor` times with other choices.

    The original's create_training_instances.

    Args:
      documents: What was read; complete.
      tokenizer: Gives the vocabulary.
      masking: How tokens are chosen to be predicted; None where instances are masked when they are
        read. Then there are no draws for masks in between.
      max_seq_length: How many ids an instance has at most, 5 or more.
      dupe_factor: How many times to go through the documents.
      short_seq_prob: The share of documents that are cut into shorter instances, 0 to 1.
      seed: Of all choices, as for `random.Random`.
      progress: Called with the number of documents done since the last call.

    Returns:
      The instances, and the order in which the original writes them.
    """
    max_tokens = max_seq_length - SPECIAL_TOKENS
    facts = masking_facts(tokenizer, documents, masking, max_tokens) if masking else None
    kind = CompiledDraws if is_compiled() else PlainDraws
    draws = kind(documents, max_tokens, short_seq_prob, facts, seed)
    order = array("q", range(len(documents)))
    draws.shuffle(order)
    columns = _Columns(documents, tokenizer.vocab[MASK], max_seq_length, facts is not None)
    for _ in range(dupe_factor):
        for begin in range(0, len(order), _DOCUMENTS_AT_ONCE):
            end = min(begin + _DOCUMENTS_AT_ONCE, len(order))
            columns.add(draws.make(order, begin, end))
            if progress:
                progress(end - begin)
    instances = columns.finish()
    written_order = array("q", range(len(instances)))
    draws.shuffle(written_order)
    return instances, written_order


class _Columns:
    """Keeps instances in compact arrays."""

    def __init__(
        self, documents: Documents, mask_id: int, max_seq_length: int, is_masked: bool
    ) -> None:
        self._ids = np.frombuffer(documents.ids, documents.ids.typecode)
        self._mask_id = mask_id
        self._is_masked = is_masked
        # Those of `Instances`, but how many predictions each has in the place of where they end.
        self._columns = [array(typecode) for typecode in ("q", "i", "q", "i", "B", "i")]
        self._columns += [array("H" if max_seq_length <= 1 << 16 else "i")]
        self._columns += [array(documents.ids.typecode)]

    def add(self, drawn: DrawnInstances) -> None:
        """Adds instances."""
        first_starts, first_stops, second_starts, second_stops = drawn.segments.T
        first_lengths = first_stops - first_starts
        values = [
            first_starts,
            first_lengths,
            second_starts,
            second_stops - second_starts,
            drawn.random_next,
        ]
        if drawn.predictions is None:
            values.append(np.zeros(len(drawn.segments), np.int32))
        else:
            values += self._shown(drawn.predictions, first_starts, first_lengths, second_starts)
        for column, more in zip(self._columns, values):
            column.frombytes(more.astype(column.typecode).tobytes())

    def finish(self) -> Instances:
        """Returns all."""
        *columns, random_next, counts, positions, shown_ids = (
            np.frombuffer(column, column.typecode) for column in self._columns
        )
        return Instances(
            self._is_masked,
            *columns,
            random_next.view(np.bool_),
            np.cumsum(counts, dtype=np.int64),
            positions,
            shown_ids,
        )

    def _shown(
        self,
        predictions: Predictions,
        first_starts: np.ndarray,
        first_lengths: np.ndarray,
        second_starts: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns how many each instance has, and of each the position and the id shown there."""
        counts, places, unchanged, replaced, replacements = predictions
        rows = np.repeat(np.arange(len(counts)), counts)
        in_second = places >= first_lengths[rows]
        # [CLS] comes before the first segment, [SEP] before the second.
        positions = places + 1 + in_second
        shown = np.full(len(places), self._mask_id, self._ids.dtype)
        kept_rows = rows[unchanged]
        kept_offsets = np.where(
            in_second[unchanged],
            second_starts[kept_rows] - first_lengths[kept_rows],
            first_starts[kept_rows],
        )
        shown[unchanged] = self._ids[kept_offsets + places[unchanged]]
        shown[replaced] = replacements
        ascending = np.argsort(rows << 32 | positions)
        return counts, positions[ascending], shown[ascending]
