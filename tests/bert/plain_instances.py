"""The original's way from text to instances in its plainest form, to compare the fast one with.

Documents are lists of sentences, sentences lists of tokens, and each random choice is made by
`random.Random` when its turn comes. Beside whole words told by "##" it knows units as
`Encoding.units` has them.
"""

import dataclasses
import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

WORD, MORPHEME, NEVER = 1, 2, 4


class Token(NamedTuple):
    """A token, and what starts with it: 0 or the sum of WORD and MORPHEME; None: "##" tells."""

    text: str
    unit: int | None = None


Sentence = list[Token]
Document = list[Sentence]

CLS, SEP = Token("[CLS]", NEVER), Token("[SEP]", NEVER)


class PlainSettings(NamedTuple):
    """How instances are made; without a mask unit they are not masked."""

    max_seq_length: int
    dupe_factor: int
    short_seq_prob: float
    masked_lm_prob: float
    max_predictions_per_seq: int
    mask_unit: str | None


@dataclasses.dataclass
class PlainInstance:
    """Two segments; the labels are the tokens that stood at the positions."""

    tokens: Sentence
    first_length: int
    is_random_next: bool
    positions: list[int] = dataclasses.field(default_factory=list)
    labels: list[str] = dataclasses.field(default_factory=list)


def make_plain_instances(
    documents: Sequence[Document],
    vocab: Mapping[str, int],
    settings: PlainSettings,
    rng: random.Random,
) -> list[PlainInstance]:
    """Returns all instances in the order in which they are written."""
    documents = list(documents)
    rng.shuffle(documents)
    words = list(vocab)
    instances = []
    for _ in range(settings.dupe_factor):
        for index in range(len(documents)):
            instances.extend(_of_document(documents, index, words, settings, rng))
    rng.shuffle(instances)
    return instances


def _of_document(
    documents: list[Document],
    index: int,
    words: list[str],
    settings: PlainSettings,
    rng: random.Random,
) -> list[PlainInstance]:
    document = documents[index]
    most = settings.max_seq_length - 3
    target = most
    if rng.random() < settings.short_seq_prob:
        target = rng.randint(2, most)
    instances = []
    chunk: list[Sentence] = []
    place = 0
    while place < len(document):
        chunk.append(document[place])
        if place == len(document) - 1 or len(_joined(chunk)) >= target:
            first_count = 1
            if len(chunk) >= 2:
                first_count = rng.randint(1, len(chunk) - 1)
            first = _joined(chunk[:first_count])
            is_random_next = False
            if len(chunk) == 1 or rng.random() < 0.5:
                is_random_next = True
                second = _random_next(documents, index, target - len(first), rng)
                # The sentences that are not used are put back.
                place -= len(chunk) - first_count
            else:
                second = _joined(chunk[first_count:])
            _truncate(first, second, most, rng)
            instance = _pair(first, second, is_random_next)
            if settings.mask_unit is not None:
                _mask(instance, words, settings, rng)
            instances.append(instance)
            chunk = []
        place += 1
    return instances


def _joined(sentences: list[Sentence]) -> Sentence:
    return [token for sentence in sentences for token in sentence]


def _random_next(
    documents: list[Document], index: int, length: int, rng: random.Random
) -> Sentence:
    for _ in range(10):
        other = rng.randint(0, len(documents) - 1)
        if other != index:
            break
    document = documents[other]
    tokens: Sentence = []
    for sentence in document[rng.randint(0, len(document) - 1) :]:
        tokens.extend(sentence)
        if len(tokens) >= length:
            break
    return tokens


def _truncate(first: Sentence, second: Sentence, most: int, rng: random.Random) -> None:
    while len(first) + len(second) > most:
        longer = first if len(first) > len(second) else second
        if rng.random() < 0.5:
            del longer[0]
        else:
            longer.pop()


def _pair(first: Sentence, second: Sentence, is_random_next: bool) -> PlainInstance:
    # What is left of a word that lost its front is a word of its own, where units are told.
    first, second = (
        [token._replace(unit=WORD | MORPHEME), *others] if token.unit is not None else [*segment]
        for segment in (first, second)
        for token, *others in [segment]
    )
    return PlainInstance([CLS, *first, SEP, *second, SEP], len(first) + 2, is_random_next)


def _mask(
    instance: PlainInstance, words: list[str], settings: PlainSettings, rng: random.Random
) -> None:
    tokens = instance.tokens
    candidates: list[list[int]] = []
    for position, token in enumerate(tokens):
        if token.text in ("[CLS]", "[SEP]"):
            continue
        if candidates and _continues(token, settings.mask_unit):
            candidates[-1].append(position)
        else:
            candidates.append([position])
    rng.shuffle(candidates)
    count = max(1, int(round(len(tokens) * settings.masked_lm_prob)))
    count = min(settings.max_predictions_per_seq, count)
    shown = list(tokens)
    predictions: list[tuple[int, str]] = []
    for candidate in candidates:
        if len(predictions) >= count:
            break
        if len(predictions) + len(candidate) > count:
            continue
        for position in candidate:
            predictions.append((position, tokens[position].text))
            if rng.random() < 0.8:
                shown[position] = Token("[MASK]")
            elif rng.random() < 0.5:
                pass
            else:
                shown[position] = Token(words[rng.randint(0, len(words) - 1)])
    predictions.sort()
    instance.tokens = shown
    instance.positions = [position for position, _ in predictions]
    instance.labels = [label for _, label in predictions]


def _continues(token: Token, mask_unit: str | None) -> bool:
    if mask_unit == "token":
        return False
    if token.unit is None:
        return token.text.startswith("##")
    return not token.unit & {"morpheme": MORPHEME, "word": WORD}[mask_unit]


def units_of(instance: PlainInstance) -> list[int]:
    """Returns what starts with each token of an instance that is not masked."""
    return [
        NEVER
        if token.text in ("[CLS]", "[SEP]")
        else WORD * (not token.text.startswith("##"))
        if token.unit is None
        else token.unit
        for token in instance.tokens
    ]
