"""Text to the inputs of BERT as TensorFlow operations, for a SavedModel that takes strings.

What this does is exactly what `FullTokenizer` does without lower-casing, followed by the original's
way to put two texts together. Lower-casing is left out on purpose: Python's depends on the
neighbours of a character, and normalization on their order.
"""

import functools
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from deeq_bert.tokenizers.characters import CLEANED_AND_SPLIT
from deeq_bert.tokenizers.vocabulary import CLS, SEP, UNK
from deeq_bert.tokenizers.wordpiece import CONTINUATION

_CODE_POINTS = 0x110000
_SURROGATES = range(0xD800, 0xE000)
# What becomes of a character: it is part of a word, a word of its own, the end of one, or nothing.
_PART, _ALONE, _BLANK, _DROPPED = range(4)
_MAX_CHARS_PER_WORD = 200
_ROOT, _LATER_ROOT, _NOWHERE = 0, 1, -1
_NO_PIECE = -1


class TextInputs(NamedTuple):
    """What the model takes, int32 [batch, length of the longest], padded with 0.

    Attributes:
      input_ids: [CLS] text [SEP], or [CLS] text [SEP] second text [SEP].
      input_mask: 1 for a token, 0 for padding.
      segment_ids: 1 from the second text on.
    """

    input_ids: tf.Tensor
    input_mask: tf.Tensor
    segment_ids: tf.Tensor


class ServingText(tf.Module):
    """Cuts text into WordPieces and puts it into BERT's form."""

    def __init__(self, vocab: Mapping[str, int], max_length: int):
        """Lays out the tables.

        Args:
          vocab: The id of each token; [UNK], [CLS] and [SEP] among them.
          max_length: The most tokens that the model takes.
        """
        super().__init__(name="serving_text")
        self._max_length = max_length
        self._special = {token: vocab[token] for token in (CLS, SEP, UNK)}
        keys, nodes, pieces, self._longest = _trie(vocab)
        with tf.device("/CPU:0"):
            self._classes = tf.Variable(_character_classes(), trainable=False, name="classes")
            self._pieces = tf.Variable(pieces, trainable=False, name="pieces")
            self._steps = tf.lookup.StaticHashTable(
                tf.lookup.KeyValueTensorInitializer(
                    tf.constant(keys, tf.int64), tf.constant(nodes, tf.int64)
                ),
                default_value=_NOWHERE,
            )

    def __call__(self, texts: tf.Tensor, second_texts: tf.Tensor) -> TextInputs:
        """Makes inputs of strings; what is too long is cut as the original does it.

        Args:
          texts: UTF-8 strings [batch]; what is not UTF-8 in them is left out.
          second_texts: Likewise; "" where there is none.
        """
        with tf.device("/CPU:0"):
            first, second = self.text_to_ids(texts), self.text_to_ids(second_texts)
            has_second = second.row_lengths() > 0
            sizes = _truncated_sizes(
                first.row_lengths(), second.row_lengths(), has_second, self._max_length
            )
            first, second = _cut(first, sizes[0]), _cut(second, sizes[1])
            cls = tf.fill([tf.size(texts), 1], self._special[CLS])
            sep = tf.fill([tf.size(texts), 1], self._special[SEP])
            head = tf.concat([cls, first, sep], 1)
            tail = tf.concat([second, tf.ragged.boolean_mask(sep, has_second[:, None])], 1)
            ids = tf.concat([head, tail], 1)
            segments = tf.concat([tf.zeros_like(head), tf.ones_like(tail)], 1)
            return TextInputs(ids.to_tensor(), tf.ones_like(ids).to_tensor(), segments.to_tensor())

    def text_to_ids(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Returns the ids of the tokens of strings [batch], int32 [batch, (tokens)]."""
        chars = tf.strings.unicode_decode(texts, "UTF-8", errors="ignore")
        is_kept = tf.gather(self._classes, chars.flat_values) != _DROPPED
        chars = tf.ragged.boolean_mask(chars, chars.with_flat_values(is_kept))
        values = chars.flat_values
        size = tf.size(values)
        classes = tf.gather(self._classes, values)
        # A word begins at the start of a text, behind a blank, and at and behind what is alone.
        text_starts = _marked(tf.cast(chars.row_starts(), tf.int32), size + 1)[:size]
        follows_end = tf.concat([[True], classes[:-1] != _PART], 0)[:size]
        is_blank = classes == _BLANK
        begins = (text_starts | follows_end | (classes == _ALONE)) & ~is_blank
        stops = tf.concat([tf.where(text_starts | begins | is_blank)[:, 0], [size]], 0)
        # Behind the last character of the word that each is in.
        ends = tf.gather(
            tf.cast(stops, tf.int32),
            tf.searchsorted(stops, tf.range(tf.cast(size, tf.int64)), side="right"),
        )
        ids, is_piece = self._cut_words(values, begins, ends)
        return tf.ragged.boolean_mask(chars.with_flat_values(ids), chars.with_flat_values(is_piece))

    def _cut_words(
        self, values: tf.Tensor, begins: tf.Tensor, ends: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the id of the piece that starts at each character, and where one does."""
        size = tf.size(values)
        first_sizes, first_ids = self._longest_pieces(values, ends, _ROOT)
        later_sizes, later_ids = self._longest_pieces(values, ends, _LATER_ROOT)
        sizes = tf.where(begins, first_sizes, later_sizes)
        words = tf.boolean_mask(tf.range(size), begins)
        word_ends = tf.gather(ends, words)

        def is_going_on(at: tf.Tensor, is_unknown: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
            return tf.reduce_any(~is_unknown & (at < word_ends))

        def take_pieces(
            at: tf.Tensor, is_unknown: tf.Tensor, is_piece: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            """Takes the next piece of every word that is neither at its end nor unknown."""
            is_active = ~is_unknown & (at < word_ends)
            taken = tf.gather(sizes, tf.where(is_active, at, 0)) * tf.cast(is_active, tf.int32)
            is_piece |= _marked(tf.boolean_mask(at, taken > 0), size)
            return at + taken, is_unknown | (is_active & (taken == 0)), is_piece

        is_too_long = word_ends - words > _MAX_CHARS_PER_WORD
        _, is_unknown, is_piece = tf.while_loop(
            is_going_on, take_pieces, [words, is_too_long, tf.zeros_like(begins)]
        )
        # An unknown word is one token, at its start.
        starts_unknown = _marked(tf.boolean_mask(words, is_unknown), size)
        word_numbers = tf.maximum(tf.cumsum(tf.cast(begins, tf.int32)) - 1, 0)
        in_unknown = tf.gather(tf.concat([is_unknown, [False]], 0), word_numbers)
        ids = tf.where(begins, first_ids, later_ids)
        return (
            tf.where(starts_unknown, self._special[UNK], ids),
            tf.where(in_unknown, starts_unknown, is_piece),
        )

    def _longest_pieces(
        self, values: tf.Tensor, ends: tf.Tensor, root: int
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns size and id of the longest piece from each character on, within its word."""
        count = tf.size(values)
        padded = tf.concat([values, [0]], 0)
        positions = tf.range(count)

        def is_going_on(length: tf.Tensor, nodes: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
            return (length < self._longest) & tf.reduce_any(nodes != _NOWHERE)

        def go_on(
            length: tf.Tensor, nodes: tf.Tensor, sizes: tf.Tensor, ids: tf.Tensor
        ) -> tuple[tf.Tensor, ...]:
            at = positions + length
            inside = (at < ends) & (nodes != _NOWHERE)
            chars = tf.gather(padded, tf.minimum(at, count))
            keys = nodes * _CODE_POINTS + tf.cast(chars, tf.int64)
            nodes = self._steps.lookup(tf.where(inside, keys, -1))
            pieces = tf.gather(self._pieces, tf.maximum(nodes, 0))
            found = (nodes != _NOWHERE) & (pieces != _NO_PIECE)
            return (
                length + 1,
                nodes,
                tf.where(found, length + 1, sizes),
                tf.where(found, pieces, ids),
            )

        start = [0, tf.fill([count], tf.constant(root, tf.int64))]
        start += [tf.zeros([count], tf.int32), tf.zeros([count], tf.int32)]
        _, _, sizes, ids = tf.while_loop(is_going_on, go_on, start)
        return sizes, ids


@functools.cache
def _character_classes() -> np.ndarray:
    classes = np.zeros(_CODE_POINTS, np.uint8)
    for code_point in range(_CODE_POINTS):
        if code_point in _SURROGATES:
            continue
        made = chr(code_point).translate(CLEANED_AND_SPLIT)
        if not made:
            classes[code_point] = _DROPPED
        elif made.isspace():
            classes[code_point] = _BLANK
        elif made.startswith(" "):
            classes[code_point] = _ALONE
    return classes


def _trie(vocab: Mapping[str, int]) -> tuple[list[int], list[int], np.ndarray, int]:
    """Lays the vocabulary out as a tree of characters with two roots.

    Returns:
      Node times code points plus character, for each step there is; the node it leads to; the id
      of the piece that ends at each node, _NO_PIECE for none; the size of the longest piece.
    """
    steps: dict[int, int] = {}
    pieces = [_NO_PIECE, _NO_PIECE]
    longest = 1

    def add(root: int, piece: str, index: int) -> int:
        node = root
        for char in piece:
            key = node * _CODE_POINTS + ord(char)
            if key not in steps:
                steps[key] = len(pieces)
                pieces.append(_NO_PIECE)
            node = steps[key]
        pieces[node] = index
        return len(piece)

    for token, index in vocab.items():
        if token:
            longest = max(longest, add(_ROOT, token, index))
        if len(token) > len(CONTINUATION) and token.startswith(CONTINUATION):
            add(_LATER_ROOT, token[len(CONTINUATION) :], index)
    return list(steps), list(steps.values()), np.array(pieces, np.int32), longest


def _marked(positions: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Returns booleans [size], true at the positions."""
    return tf.scatter_nd(positions[:, None], tf.ones_like(positions), [size]) > 0


def _truncated_sizes(
    first: tf.Tensor, second: tf.Tensor, has_second: tf.Tensor, max_length: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns how many tokens of each text remain.

    The original takes them one by one from the end of the longer text, of two as long from that of
    the second (_truncate_seq_pair); this counts what it comes to.
    """
    room = max_length - 2 - tf.cast(has_second, first.dtype)
    excess = tf.maximum(first + second - room, 0)
    is_longer = first > second
    halved = excess > tf.abs(first - second)
    half = room // 2
    return (
        tf.where(halved, room - half, tf.where(is_longer, first - excess, first)),
        tf.where(halved, half, tf.where(is_longer, second, second - excess)),
    )


def _cut(ids: tf.RaggedTensor, sizes: tf.Tensor) -> tf.RaggedTensor:
    """Returns the first tokens of each row, `sizes` of them."""
    lengths = ids.row_lengths()
    is_within = tf.ragged.range(lengths).flat_values < tf.repeat(sizes, lengths)
    return tf.ragged.boolean_mask(ids, ids.with_flat_values(is_within))
