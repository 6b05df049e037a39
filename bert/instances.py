"""Documents to training instances: the algorithm of the original's create_pretraining_data.py.

Every random draw of the original is made, in the same order, so that one seed gives the same
instances. Where `random.Random` costs more than the draw itself, in the shuffle of the candidates
of each instance, its method is written out over `getrandbits`; the stream of numbers is the same
in Python 3.10 to 3.13.
"""

import random
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from deeq_bert.bert.documents import Document
from deeq_bert.tokenizers.base import MORPHEME_START, WORD_START, Tokenizer

# Beside WORD_START and MORPHEME_START, in the units of an instance to be masked when it is read.
NEVER_MASKED = 4

_NEW_WORD = bytes([WORD_START | MORPHEME_START])


class TrainingInstance(NamedTuple):
    """Two segments, [CLS] A [SEP] B [SEP], some of whose tokens are to be predicted.

    Attributes:
      input_ids: The ids with the masks in place, without padding.
      first_segment_length: How many of them belong to segment A: [CLS] and the first [SEP] too.
      masked_lm_positions: Ascending indexes in `input_ids` of the tokens to predict.
      masked_lm_ids: What stood at these positions.
      is_random_next: Whether B was taken from a random place instead of following A.
    """

    input_ids: list[int]
    first_segment_length: int
    masked_lm_positions: list[int]
    masked_lm_ids: list[int]
    is_random_next: bool


class UnmaskedInstance(NamedTuple):
    """Two segments, [CLS] A [SEP] B [SEP], that are masked when they are read.

    Attributes:
      input_ids: The ids, without padding.
      token_units: For each of them a byte, the sum of WORD_START and MORPHEME_START where a word or
        a morpheme starts with it, and of NEVER_MASKED for [CLS] and [SEP].
      first_segment_length: How many of them belong to segment A: [CLS] and the first [SEP] too.
      is_random_next: Whether B was taken from a random place instead of following A.
    """

    input_ids: list[int]
    token_units: bytes
    first_segment_length: int
    is_random_next: bool


class Masker:
    """Chooses the tokens to predict and hides them (section 3.1, task 1, of the BERT paper).

    The original's create_masked_lm_predictions: of the chosen tokens 80% become [MASK], 10% stay,
    10% become a random word of the vocabulary, its special tokens included.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        masked_lm_prob: float,
        max_predictions_per_seq: int,
        mask_unit: str,
        rng: random.Random,
    ) -> None:
        """Sets up masking.

        Args:
          tokenizer: Gives the vocabulary, and the ids that continue a word.
          masked_lm_prob: The share of all tokens to predict, 0 to 1.
          max_predictions_per_seq: How many tokens to predict at most; one is predicted at least.
          mask_unit: What is chosen as a whole: "token", "morpheme" or "word".
          rng: Where the draws come from.
        """
        vocab = tokenizer.vocab
        self._mask_id = vocab["[MASK]"]
        self._special_ids = frozenset((vocab["[CLS]"], vocab["[SEP]"]))
        self._continuation_ids = tokenizer.continuation_ids
        # The order of the keys, not of the ids: they differ where a vocabulary repeats a line.
        self._word_ids = list(vocab.values())
        self._masked_lm_prob = masked_lm_prob
        self._max_predictions = max_predictions_per_seq
        self._start_bit = {"token": 0, "morpheme": MORPHEME_START, "word": WORD_START}[mask_unit]
        self._rng = rng
        self._shuffle_steps: list[tuple[int, int]] = []

    def mask(self, input_ids: list[int], units: bytes = b"") -> tuple[list[int], list[int]]:
        """Hides some of `input_ids`, in place.

        Args:
          input_ids: The ids of an instance.
          units: What starts with each of them; empty where the ids tell, or for mask_unit "token".

        Returns:
          The positions to predict, ascending, and the ids that stood there.
        """
        limit = min(
            self._max_predictions, max(1, int(round(len(input_ids) * self._masked_lm_prob)))
        )
        if self._start_bit:
            chosen = self._choose_units(input_ids, units, limit)
        else:
            chosen = self._choose_pieces(input_ids, limit)
        uniform, random_index = self._rng.random, self._rng.randrange
        originals = {}
        for position in chosen:
            originals[position] = input_ids[position]
            if uniform() < 0.8:
                input_ids[position] = self._mask_id
            elif uniform() >= 0.5:
                input_ids[position] = self._word_ids[random_index(len(self._word_ids))]
        positions = sorted(originals)
        return positions, [originals[position] for position in positions]

    def _choose_pieces(self, input_ids: list[int], limit: int) -> list[int]:
        special_ids = self._special_ids
        candidates = [position for position, id_ in enumerate(input_ids) if id_ not in special_ids]
        self._shuffle(candidates)
        return candidates[:limit]

    def _choose_units(self, input_ids: list[int], units: bytes, limit: int) -> list[int]:
        special_ids, continuation_ids = self._special_ids, self._continuation_ids
        start_bit = self._start_bit
        words: list[list[int]] = []
        for position, id_ in enumerate(input_ids):
            if id_ in special_ids:
                continue
            continues = not units[position] & start_bit if units else id_ in continuation_ids
            # A segment that lost its front may start with a continuation, which, where the ids
            # tell, joins the word before the [SEP], as in the original.
            if words and continues:
                words[-1].append(position)
            else:
                words.append([position])
        self._shuffle(words)
        chosen: list[int] = []
        for word in words:
            if len(chosen) >= limit:
                break
            # A word that does not fit is passed over; a shorter one further on may.
            if len(chosen) + len(word) <= limit:
                chosen.extend(word)
        return chosen

    def _shuffle(self, items: list) -> None:
        """Does what `rng.shuffle(items)` does, draw for draw, in under half the time."""
        steps = self._shuffle_steps
        if len(steps) < len(items) - 1:
            # A place and the bits of its number plus one: what `rng` draws to find its partner.
            steps = [(last, (last + 1).bit_length()) for last in range(len(items) - 1, 0, -1)]
            self._shuffle_steps = steps
        getrandbits = self._rng.getrandbits
        for last, bits in steps[len(steps) + 1 - len(items) :]:
            other = getrandbits(bits)
            while other > last:
                other = getrandbits(bits)
            items[last], items[other] = items[other], items[last]


def create_training_instances(
    documents: list[Document],
    tokenizer: Tokenizer,
    masker: Masker,
    max_seq_length: int,
    dupe_factor: int,
    short_seq_prob: float,
    rng: random.Random,
    progress: Callable[[int], object] | None = None,
) -> Iterator[TrainingInstance]:
    """Yields the instances of all documents, `dupe_factor` times with other choices.

    The original's create_training_instances, up to its last step: the caller shuffles what it
    makes of the instances, by `rng.shuffle`, when all are there.

    Args:
      documents: Shuffled in place.
      tokenizer: Gives the ids of [CLS] and [SEP].
      masker: Draws from the same `rng`.
      max_seq_length: How many ids an instance has at most, 5 or more.
      dupe_factor: How many times to go through the documents.
      short_seq_prob: The share of documents that are cut into shorter instances, 0 to 1.
      rng: Where the draws come from.
      progress: Called with 1 after each document.
    """
    for input_ids, first_length, units, is_random_next in _unmasked(
        documents, tokenizer, max_seq_length, dupe_factor, short_seq_prob, rng, progress
    ):
        positions, labels = masker.mask(input_ids, units)
        yield TrainingInstance(input_ids, first_length, positions, labels, is_random_next)


def create_unmasked_instances(
    documents: list[Document],
    tokenizer: Tokenizer,
    max_seq_length: int,
    dupe_factor: int,
    short_seq_prob: float,
    rng: random.Random,
    progress: Callable[[int], object] | None = None,
) -> Iterator[UnmaskedInstance]:
    """Yields the instances of all documents, to be masked when they are read.

    They are made as those of `create_training_instances`, which has the arguments too, but with no
    draws for masks in between.
    """
    id_count = max(tokenizer.vocab.values()) + 1
    units_by_id = bytearray([WORD_START]) * id_count
    for id_ in tokenizer.continuation_ids:
        units_by_id[id_] = 0
    special_ids = tokenizer.vocab["[CLS]"], tokenizer.vocab["[SEP]"]
    for id_ in special_ids:
        units_by_id[id_] = NEVER_MASKED
    for input_ids, first_length, units, is_random_next in _unmasked(
        documents, tokenizer, max_seq_length, dupe_factor, short_seq_prob, rng, progress
    ):
        if units:
            token_units = bytes(
                [
                    NEVER_MASKED if id_ in special_ids else unit
                    for id_, unit in zip(input_ids, units)
                ]
            )
        else:
            token_units = bytes(map(units_by_id.__getitem__, input_ids))
        yield UnmaskedInstance(input_ids, token_units, first_length, is_random_next)


def _unmasked(
    documents: list[Document],
    tokenizer: Tokenizer,
    max_seq_length: int,
    dupe_factor: int,
    short_seq_prob: float,
    rng: random.Random,
    progress: Callable[[int], object] | None,
) -> Iterator[tuple[list[int], int, bytes, bool]]:
    """Yields (ids, length of the first segment, units, whether B is from a random place)."""
    rng.shuffle(documents)
    class_id, separator_id = tokenizer.vocab["[CLS]"], tokenizer.vocab["[SEP]"]
    for _ in range(dupe_factor):
        for index in range(len(documents)):
            pairs = _segment_pairs(documents, index, max_seq_length - 3, short_seq_prob, rng)
            for first, second, units, is_random_next in pairs:
                input_ids = [class_id, *first, separator_id, *second, separator_id]
                yield input_ids, len(first) + 2, units, is_random_next
            if progress:
                progress(1)


def _segment_pairs(
    documents: Sequence[Document],
    index: int,
    max_tokens: int,
    short_seq_prob: float,
    rng: random.Random,
) -> Iterator[tuple[array, array, bytes, bool]]:
    """Yields (segment A, segment B, units, whether B is from a random place) of one document.

    The units are those of the whole instance, special tokens included; empty where not kept.

    The original's create_instances_from_document. Each pair has at most `max_tokens` tokens.
    """
    document = documents[index]
    starts = document.starts
    sentence_count = len(starts) - 1
    target_length = max_tokens
    if rng.random() < short_seq_prob:
        target_length = rng.randint(2, max_tokens)
    chunk = 0
    while chunk < sentence_count:
        # Whole sentences until the target is reached or the document ends.
        chunk_end = _sentence_reaching(starts, chunk, target_length)
        first_end = chunk + 1
        if chunk_end - chunk >= 2:
            first_end = chunk + rng.randint(1, chunk_end - chunk - 1)
        first_start, first_stop = starts[chunk], starts[first_end]
        is_random_next = chunk_end - chunk == 1 or rng.random() < 0.5
        if is_random_next:
            other = documents[_other_document(len(documents), index, rng)]
            sentence = rng.randint(0, len(other.starts) - 2)
            length_left = target_length - (first_stop - first_start)
            last_sentence = _sentence_reaching(other.starts, sentence, length_left)
            second_start, second_stop = other.starts[sentence], other.starts[last_sentence]
            # The sentences that were to be B are put back.
            chunk = first_end
        else:
            other = document
            second_start, second_stop = first_stop, starts[chunk_end]
            chunk = chunk_end
        first_start, first_stop, second_start, second_stop = _truncate(
            first_start, first_stop, second_start, second_stop, max_tokens, rng
        )
        yield (
            document.ids[first_start:first_stop],
            other.ids[second_start:second_stop],
            _instance_units(
                document.units[first_start:first_stop], other.units[second_start:second_stop]
            ),
            is_random_next,
        )


def _instance_units(first: bytearray, second: bytearray) -> bytes:
    if not first:
        return b""
    # What is left of a word that lost its front is a word of its own.
    segments = (_NEW_WORD + segment[1:] for segment in (first, second))
    return b"".join((_NEW_WORD, _NEW_WORD.join(segments), _NEW_WORD))


def _sentence_reaching(starts: array, sentence: int, length: int) -> int:
    """Returns the end of the fewest sentences, at least one, that have `length` tokens."""
    end = bisect_left(starts, starts[sentence] + length, sentence + 1)
    return min(end, len(starts) - 1)


def _other_document(count: int, index: int, rng: random.Random) -> int:
    # With many documents one try nearly always does; with one, all ten end at itself.
    for _ in range(10):
        other = rng.randint(0, count - 1)
        if other != index:
            break
    return other


def _truncate(
    first_start: int,
    first_stop: int,
    second_start: int,
    second_stop: int,
    max_tokens: int,
    rng: random.Random,
) -> tuple[int, int, int, int]:
    """Takes tokens off the longer segment, at a random end each, until both fit.

    The original's truncate_seq_pair, one draw per token, on the bounds instead of the tokens.
    """
    first_length, second_length = first_stop - first_start, second_stop - second_start
    uniform = rng.random
    while first_length + second_length > max_tokens:
        if first_length > second_length:
            first_length -= 1
            first_start += uniform() < 0.5
        else:
            second_length -= 1
            second_start += uniform() < 0.5
    return first_start, first_start + first_length, second_start, second_start + second_length
