"""A training example as text that people read: its segments, its masks and what they hide."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from deeq_bert.bert.instance_blocks import NEVER_MASKED
from deeq_bert.tokenizers.base import MORPHEME_START, WORD_START

# What a token is, for those who choose colours.
SPECIAL, HIDDEN, REPLACED, KEPT = "special", "hidden", "replaced", "kept"

_MASK = "[MASK]"
_SPECIAL_TOKENS = ("[CLS]", "[SEP]", "[PAD]")


class ExampleText(NamedTuple):
    """An example as text.

    Attributes:
      summary: Its lengths, its masks and its label, in words.
      segments: The text of segment A, and of B if there is one.
    """

    summary: str
    segments: list[str]


def legend(unmasked: bool) -> str:
    """Returns what the signs in the segments mean."""
    if unmasked:
        return "A blank: a word begins. +: a morpheme begins in it. ·: the token goes on with it."
    return (
        "[MASK→x]: hidden, and x is to be predicted. y→x: y was put in the place of x. x=: kept, "
        "and to be predicted."
    )


def describe_example(
    features: Mapping[str, list],
    tokens: Sequence[str] | None,
    paint: Callable[[str, str], str] = lambda kind, text: text,
) -> ExampleText:
    """Returns an example, masked or not, as text.

    Args:
      features: As `examples.decode_example` returns them.
      tokens: The vocabulary; None to show ids.
      paint: Given what a token is (SPECIAL, HIDDEN, REPLACED or KEPT) and its text, returns the
        text as it is to be shown.

    Raises:
      ValueError: The example lacks what there is to show.
    """
    try:
        return _describe(features, tokens, paint)
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError("it is no example of pre-training") from error


def _describe(
    features: Mapping[str, list],
    tokens: Sequence[str] | None,
    paint: Callable[[str, str], str],
) -> ExampleText:
    places = len(features["input_ids"])
    length = sum(features["input_mask"])
    labels = {}
    if "masked_lm_positions" in features:
        labels = {
            position: id_
            for position, id_, weight in zip(
                features["masked_lm_positions"],
                features["masked_lm_ids"],
                features["masked_lm_weights"],
                strict=True,
            )
            if weight
        }
    units = features.get("token_units")
    segments = {0: "", 1: ""}
    for position in range(length):
        shown = _token(features["input_ids"][position], tokens)
        if position in labels:
            text = _masked(shown, _token(labels[position], tokens), paint)
        elif shown in _SPECIAL_TOKENS:
            text = paint(SPECIAL, shown)
        else:
            text = shown
        segment = features["segment_ids"][position]
        join = _join(units[position]) if units else " "
        segments[segment] += (join if segments[segment] else "") + text
    masks = "to be masked when it is read" if units else f"{len(labels)} masks"
    (is_random_next,) = features["next_sentence_labels"]
    label = "B is from a random place" if is_random_next else "B follows A"
    return ExampleText(
        f"{label}; {length} tokens and {places - length} of padding; {masks}",
        [text for text in segments.values() if text],
    )


def _masked(shown: str, label: str, paint: Callable[[str, str], str]) -> str:
    if shown == _MASK:
        return paint(HIDDEN, f"[MASK→{label}]")
    if shown == label:
        return paint(KEPT, f"{label}=")
    return paint(REPLACED, f"{shown}→{label}")


def _join(unit: int) -> str:
    if unit & (WORD_START | NEVER_MASKED):
        return " "
    return "+" if unit & MORPHEME_START else "·"


def _token(id_: int, tokens: Sequence[str] | None) -> str:
    if tokens is None or not 0 <= id_ < len(tokens):
        return str(id_)
    # What would move the cursor is shown by its number.
    return "".join(
        character if character.isprintable() else f"\\u{ord(character):04x}"
        for character in tokens[id_]
    )
