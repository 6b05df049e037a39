"""Text with [MASK] in it to a model's input, for any tokenizer, and predictions back to text.

The tokens around a mask are to be those that training has seen, where a tokenizer saw the word that
is masked here.

WordPiece gets what stands between the masks, since it would take "[MASK]" apart into brackets and a
word. What follows a mask without a blank, such as 입니다 in "[MASK]입니다", goes on with its word,
in pieces that begin with "##". Where the vocabulary has no such pieces it is a word of its own.

The deeq tokenizers get the whole text with a noun in the place of each mask that begins a word. By
itself 입니다 could be many things; after a noun it is the copula. What comes of the noun is then
replaced by the mask. Where the analysis does not keep the noun apart, inside words as in
"먹[MASK]다", and for all other tokenizers, the text is cut at the masks.
"""

import collections
from collections.abc import Sequence
from typing import NamedTuple

from deeq_bert.tokenizers.base import Tokenizer
from deeq_bert.tokenizers.deeq import MorphemeTokenizer
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.full_tokenizer import FullTokenizer
from deeq_bert.tokenizers.vocabulary import CLS, MASK, SEP
from deeq_bert.tokenizers.wordpiece import CONTINUATION

_SHOWN = 60
# Any letter would do: it stands for the masked part of a word.
_LETTER = "x"
# Nouns that are one morpheme to every analyser: "person", after which particles are those for a
# final consonant, and "school", where they are the others.
_CLOSED_NOUN, _OPEN_NOUN = "사람", "학교"
_AFTER_CONSONANT = frozenset("은이을과으")


class MaskedText(NamedTuple):
    """A text as a model reads it.

    Attributes:
      text: As it was given.
      ids: Of its tokens, between [CLS] and [SEP].
      mask_positions: Where the masks of the text stand among them.
    """

    text: str
    ids: tuple[int, ...]
    mask_positions: tuple[int, ...]


def encode_masked_text(text: str, tokenizer: Tokenizer, max_tokens: int) -> MaskedText:
    """Returns the tokens of a text in which [MASK] stands for what is to be found.

    Args:
      text: With at least one [MASK].
      tokenizer: Of the model.
      max_tokens: How many the model takes, [CLS] and [SEP] included.

    Raises:
      InputError: The text is empty, has no [MASK] or is too long.
    """
    if not text.strip():
        raise InputError(f"The text is empty; give a sentence with {MASK} in it.")
    parts = text.split(MASK)
    if len(parts) == 1:
        raise InputError(
            f"The text {_shortened(text)} has no {MASK}; put it, in capital letters, where a token "
            "is to be found."
        )
    ids = None
    if isinstance(tokenizer, MorphemeTokenizer):
        ids = _ids_around_nouns(parts, tokenizer)
    ids = [tokenizer.vocab[CLS], *(ids or _ids_of_parts(parts, tokenizer)), tokenizer.vocab[SEP]]
    if len(ids) > max_tokens:
        raise InputError(
            f"The text {_shortened(text)} has {len(ids)} tokens with {CLS} and {SEP}, and the "
            f"model takes {max_tokens}. Shorten it."
        )
    mask_id = tokenizer.vocab[MASK]
    positions = (position for position, index in enumerate(ids) if index == mask_id)
    return MaskedText(text, tuple(ids), tuple(positions))


def fill_mask(masked: MaskedText, mask: int, token_id: int, tokenizer: Tokenizer) -> str:
    """Returns the text with a token in the place of one mask; the others stay.

    With WordPiece it is the text as it was given, with the token in it; with other tokenizers it is
    what `Tokenizer.decode` makes of the tokens, since a morpheme may change with its neighbours.

    Args:
      masked: The text.
      mask: Which of its masks, counted from 0.
      token_id: What stands there.
      tokenizer: The one that the text was encoded with.
    """
    if not isinstance(tokenizer, FullTokenizer):
        ids = list(masked.ids)
        ids[masked.mask_positions[mask]] = token_id
        return tokenizer.decode(ids[1:-1])
    parts = masked.text.split(MASK)
    before, after = MASK.join(parts[: mask + 1]), MASK.join(parts[mask + 1 :])
    token = tokenizer.inv_vocab[token_id]
    if token.startswith(CONTINUATION) and len(token) > len(CONTINUATION):
        return before.rstrip() + token[len(CONTINUATION) :] + after
    # Two words, which would otherwise be read as one.
    is_apart = not before or len(tokenizer.basic_tokenizer.tokenize(before[-1] + token)) > 1
    return before + ("" if is_apart or before[-1].isspace() else " ") + token + after


def _ids_around_nouns(parts: Sequence[str], tokenizer: MorphemeTokenizer) -> list[int] | None:
    """Returns the ids of a text with nouns for masks, these replaced; None where that fails."""
    text, spans = parts[0], []
    for before, after in zip(parts, parts[1:]):
        if before[-1:].isalnum():
            text += MASK + after
            continue
        # Two nouns without a blank would be a compound.
        text += "" if before else " "
        noun = _CLOSED_NOUN if after[:1] in _AFTER_CONSONANT else _OPEN_NOUN
        spans.append((len(text), len(text) + len(noun)))
        text += noun + after
    encoding = tokenizer.encode(text)
    remaining = collections.deque(spans)
    ids = []
    for index, start, end in zip(encoding.ids, encoding.starts, encoding.ends):
        while remaining and start >= remaining[0][1]:
            remaining.popleft()
        if not remaining or end <= remaining[0][0]:
            ids.append(index)
        elif start < remaining[0][0] or end > remaining[0][1]:
            return None
        elif start == remaining[0][0]:
            ids.append(tokenizer.vocab[MASK])
    return ids if ids.count(tokenizer.vocab[MASK]) == len(parts) - 1 else None


def _ids_of_parts(parts: Sequence[str], tokenizer: Tokenizer) -> list[int]:
    """Returns the ids of the parts of a text, with masks between them."""
    ids = list(tokenizer.text_to_ids(parts[0])) if parts[0].strip() else []
    for part in parts[1:]:
        ids.append(tokenizer.vocab[MASK])
        if part.strip():
            ids += _ids_after_mask(part, tokenizer)
    return ids


def _ids_after_mask(part: str, tokenizer: Tokenizer) -> Sequence[int]:
    if not isinstance(tokenizer, FullTokenizer):
        return tokenizer.text_to_ids(part)
    first, *others = tokenizer.basic_tokenizer.tokenize(_LETTER + part)
    continued = _continuing_ids(first[len(_LETTER) :], tokenizer)
    if continued is None:
        return tokenizer.text_to_ids(part)
    ids = [index for word in others for index in tokenizer.wordpiece_tokenizer.ids_of(word)]
    return [*continued, *ids]


def _continuing_ids(end_of_word: str, tokenizer: FullTokenizer) -> list[int] | None:
    """Returns the longest pieces with "##" that make up the end of a word; None without such."""
    ids = []
    start = 0
    while start < len(end_of_word):
        for end in range(len(end_of_word), start, -1):
            index = tokenizer.vocab.get(CONTINUATION + end_of_word[start:end])
            if index is not None:
                break
        else:
            return None
        ids.append(index)
        start = end
    return ids


def _shortened(text: str) -> str:
    return f'"{text}"' if len(text) <= _SHOWN else f'"{text[:_SHOWN]}..."'
