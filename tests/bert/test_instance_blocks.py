"""Instances put together: they are those of the plain form of the original, draw for draw.

What the original itself made is compared with in test_create_pretraining_data.py.
"""

import dataclasses
import functools
import random
from array import array

import numpy as np
import pytest
from instance_rows import Row, TrainingInstance, UnmaskedInstance, block_of, rows_of
from plain_instances import (
    MORPHEME,
    WORD,
    Document,
    PlainSettings,
    Sentence,
    Token,
    make_plain_instances,
    units_of,
)

from deeq_bert.bert import instances as instances_module
from deeq_bert.bert import random_words
from deeq_bert.bert.compiled_draws import is_compiled
from deeq_bert.bert.documents import Documents
from deeq_bert.bert.instance_blocks import InstanceReader
from deeq_bert.bert.instances import make_instances
from deeq_bert.bert.masking import MaskingChoice
from deeq_bert.tokenizers.base import TokenizedLines

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@dataclasses.dataclass
class Vocabulary:
    """What making instances needs of a tokenizer."""

    vocab: dict[str, int]

    @functools.cached_property
    def continuation_ids(self) -> frozenset[int]:
        return frozenset(id_ for token, id_ in self.vocab.items() if token.startswith("##"))


def vocabulary_of(lines: list[str]) -> Vocabulary:
    """A line an id, the last one where a line is repeated, as in `load_vocab`."""
    return Vocabulary({token: id_ for id_, token in enumerate(lines)})


VOCABULARIES = {
    "small": vocabulary_of([*SPECIAL_TOKENS, *"abcdefgh", "##i", "##j"]),
    # Of the draws of a random word half are refused.
    "16 words": vocabulary_of([*SPECIAL_TOKENS, *"abcdefgh", "##i", "##j", "##k"]),
    "repeated lines": vocabulary_of(
        ["[MASK]", "a", "##i", *SPECIAL_TOKENS, *"abc", "", "a", "##j", "##i", "[SEP]", "d", ""]
    ),
    "large": vocabulary_of(
        [*SPECIAL_TOKENS, *(f"{'##' * (number % 3 == 0)}{number}" for number in range(70_000))]
    ),
}


@dataclasses.dataclass
class Case:
    """Text, and how instances are made of it."""

    max_seq_length: int = 64
    dupe_factor: int = 2
    short_seq_prob: float = 0.1
    masked_lm_prob: float = 0.15
    max_predictions_per_seq: int = 20
    mask_unit: str | None = "token"
    has_units: bool = False
    vocabulary: str = "small"
    document_count: int = 8
    most_sentences: int = 12
    most_tokens: int = 25
    special_share: float = 0.0
    words_at_once: int = 1 << 16
    documents_at_once: int = 8192

    @property
    def settings(self) -> PlainSettings:
        fields = PlainSettings._fields
        return PlainSettings(*(getattr(self, field) for field in fields))

    def text(self, rng: random.Random) -> list[Document]:
        """Random documents."""
        words = [
            token
            for token in VOCABULARIES[self.vocabulary].vocab
            if token and token not in SPECIAL_TOKENS
        ]
        return [
            [self._sentence(rng, words) for _ in range(rng.randint(1, self.most_sentences))]
            for _ in range(self.document_count)
        ]

    def _sentence(self, rng: random.Random, words: list[str]) -> Sentence:
        texts = rng.choices(words, k=rng.randint(1, self.most_tokens))
        for place in range(len(texts)):
            if rng.random() < self.special_share:
                texts[place] = rng.choice(("[CLS]", "[SEP]", "[MASK]", "[UNK]"))
        units = (0, 0, MORPHEME, WORD | MORPHEME)
        return [Token(text, rng.choice(units) if self.has_units else None) for text in texts]


def plain_rows(case: Case, text: list[Document], seed: int) -> list[Row]:
    vocab = VOCABULARIES[case.vocabulary].vocab
    rows: list[Row] = []
    for made in make_plain_instances(text, vocab, case.settings, random.Random(seed)):
        ids = [vocab[token.text] for token in made.tokens]
        if case.mask_unit is None:
            units = bytes(units_of(made))
            rows.append(UnmaskedInstance(ids, units, made.first_length, made.is_random_next))
        else:
            labels = [vocab[label] for label in made.labels]
            rows.append(
                TrainingInstance(
                    ids, made.first_length, made.positions, labels, made.is_random_next
                )
            )
    return rows


def documents_of(case: Case, text: list[Document]) -> Documents:
    vocab = VOCABULARIES[case.vocabulary].vocab
    keeps_units = case.mask_unit != "token" and case.has_units
    documents = Documents(max(vocab.values()) + 1, vocab["[UNK]"], keeps_units)
    for document in text:
        # With the blank line behind it.
        sentences: list[Sentence] = [*document, []]
        tokens = [token for sentence in sentences for token in sentence]
        tokenized = TokenizedLines(
            array("i", [vocab[token.text] for token in tokens]),
            array("i", map(len, sentences)),
            bytes(token.unit for token in tokens) if keeps_units else b"",
        )
        lines = [" ".join(token.text for token in sentence) for sentence in sentences]
        documents.add_lines(lines, tokenized)
    return documents


def our_rows(case: Case, text: list[Document], seed: int, at_once: int = 1000) -> list[Row]:
    vocabulary = VOCABULARIES[case.vocabulary]
    documents = documents_of(case, text)
    masking = None
    if case.mask_unit is not None:
        masking = MaskingChoice(case.masked_lm_prob, case.max_predictions_per_seq, case.mask_unit)
    made, order = make_instances(
        documents,
        vocabulary,
        masking,
        case.max_seq_length,
        case.dupe_factor,
        case.short_seq_prob,
        seed,
    )
    reader = InstanceReader(documents, vocabulary, made)
    numbers = np.frombuffer(order, np.int64)
    rows: list[Row] = []
    for start in range(0, len(numbers), at_once):
        rows += rows_of(reader.read(numbers[start : start + at_once]))
    return rows


@pytest.fixture
def check(monkeypatch):
    """Compares the two ways, for a seed of both text and choices; returns how many instances."""

    def run(case: Case, seed: int) -> int:
        monkeypatch.setattr(random_words, "_WORDS_AT_ONCE", case.words_at_once)
        monkeypatch.setattr(instances_module, "_DOCUMENTS_AT_ONCE", case.documents_at_once)
        text = case.text(random.Random(f"text {seed}"))
        expected = plain_rows(case, text, seed)
        for compiled in {False, is_compiled()}:
            monkeypatch.setattr(instances_module, "is_compiled", lambda: compiled)  # noqa: B023
            rows = our_rows(case, text, seed)
            # Told apart where they are first, not as two long lists.
            for number, (row, expected_row) in enumerate(zip(rows, expected)):
                assert row == expected_row, f"instance {number} of seed {seed}, {compiled=}: {case}"
            assert len(rows) == len(expected)
        return len(expected)

    return run


CASES = {
    "as by default": Case(),
    "many words": Case(document_count=60, most_sentences=30, max_seq_length=128),
    "length 5": Case(max_seq_length=5),
    "length 6": Case(max_seq_length=6, short_seq_prob=0.5),
    "length 16": Case(max_seq_length=16, short_seq_prob=0.5),
    "length 512": Case(max_seq_length=512, most_sentences=60, max_predictions_per_seq=77),
    "length 1000": Case(max_seq_length=1000, most_sentences=120, max_predictions_per_seq=200),
    "one document": Case(document_count=1),
    "one sentence": Case(document_count=1, most_sentences=1),
    "documents of one sentence": Case(most_sentences=1, document_count=30),
    "sentences of one token": Case(most_tokens=1, most_sentences=40),
    "long sentences": Case(most_tokens=2000, most_sentences=3, max_seq_length=128),
    "long sentences, few ids": Case(most_tokens=2000, most_sentences=3, max_seq_length=6),
    "never short": Case(short_seq_prob=0.0),
    "always short": Case(short_seq_prob=1.0),
    "no share of masks": Case(masked_lm_prob=0.0),
    "everything masked": Case(masked_lm_prob=1.0, max_predictions_per_seq=200),
    "one prediction": Case(max_predictions_per_seq=1),
    "once": Case(dupe_factor=1),
    "three times": Case(dupe_factor=3),
    "half of the random words refused": Case(vocabulary="16 words", masked_lm_prob=1.0),
    "repeated lines": Case(vocabulary="repeated lines", masked_lm_prob=0.5),
    "ids of more than two bytes": Case(vocabulary="large", masked_lm_prob=0.5),
    "specials in the text": Case(special_share=0.2),
    "little but specials": Case(special_share=0.9, most_tokens=4, max_seq_length=10),
    "few words at once": Case(words_at_once=64),
    "few words at once, long sentences": Case(
        words_at_once=64, most_tokens=1500, most_sentences=3, max_seq_length=512
    ),
    "few documents at once": Case(documents_at_once=3),
    "one document at once": Case(documents_at_once=1),
}


@pytest.mark.parametrize(
    ("mask_unit", "has_units"),
    [
        ("token", False),
        ("word", False),
        ("word", True),
        ("morpheme", True),
        (None, False),
        (None, True),
    ],
    ids=["token", "word by ##", "word", "morpheme", "unmasked by ##", "unmasked"],
)
@pytest.mark.parametrize("name", CASES)
def test_instances_are_those_of_the_plain_form(check, name, mask_unit, has_units):
    case = dataclasses.replace(CASES[name], mask_unit=mask_unit, has_units=has_units)
    assert sum(check(case, seed) for seed in range(2))


def random_case(rng: random.Random) -> Case:
    has_units = rng.random() < 0.5
    return Case(
        max_seq_length=rng.choice((5, 6, 7, 16, 64, 128, 300, 512, 1000)),
        dupe_factor=rng.randint(1, 3),
        short_seq_prob=rng.choice((0.0, 0.1, 0.5, 1.0)),
        masked_lm_prob=rng.choice((0.0, 0.15, 0.15, 0.5, 1.0)),
        max_predictions_per_seq=rng.choice((1, 2, 20, 77, 200)),
        mask_unit=rng.choice(("token", "word", "morpheme" if has_units else "word", None)),
        has_units=has_units,
        vocabulary=rng.choice(tuple(VOCABULARIES)),
        document_count=rng.choice((1, 2, 3, 10)),
        most_sentences=rng.choice((1, 2, 10, 50)),
        most_tokens=rng.choice((1, 5, 25, 100, 700)),
        special_share=rng.choice((0.0, 0.0, 0.01, 0.3)),
        words_at_once=rng.choice((64, 65, 700, 1 << 16)),
        documents_at_once=rng.choice((1, 7, 8192)),
    )


@pytest.mark.parametrize("start", range(0, 40, 10))
def test_instances_are_those_of_the_plain_form_whatever_the_settings(check, start):
    for seed in range(start, start + 10):
        check(random_case(random.Random(f"case {seed}")), seed)


@pytest.mark.slow
@pytest.mark.parametrize("start", range(1000, 3000, 100))
def test_instances_are_those_of_the_plain_form_for_many_seeds(check, start):
    for seed in range(start, start + 100):
        check(random_case(random.Random(f"case {seed}")), seed)


@pytest.mark.parametrize("mask_unit", ["token", None])
def test_how_many_are_read_at_once_changes_nothing(mask_unit):
    case = Case(mask_unit=mask_unit)
    text = case.text(random.Random(1))
    rows = our_rows(case, text, 1)
    assert our_rows(case, text, 1, at_once=1) == our_rows(case, text, 1, at_once=7) == rows


def test_the_order_is_anew_for_every_seed():
    case = Case()
    text = case.text(random.Random(1))
    assert our_rows(case, text, 5) == our_rows(case, text, 5)
    assert our_rows(case, text, 5) != our_rows(case, text, 6)


@pytest.mark.parametrize("mask_unit", ["word", None])
def test_a_block_is_its_rows(mask_unit):
    case = Case(mask_unit=mask_unit)
    rows = our_rows(case, case.text(random.Random(1)), 1)
    assert rows_of(block_of(rows)) == rows
