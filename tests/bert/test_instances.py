"""Instances: how documents become pairs of segments, and pairs masked instances.

That every value is the original's is tested in test_instance_blocks.py, against its plain form, and
through the script, on the golden records.
"""

import random
from array import array

import numpy as np
import pytest
from instance_rows import TrainingInstance, UnmaskedInstance, rows_of

from deeq_bert.bert.documents import Documents
from deeq_bert.bert.instance_blocks import NEVER_MASKED, InstanceReader
from deeq_bert.bert.instances import Instances, make_instances
from deeq_bert.bert.masking import MaskingChoice
from deeq_bert.tokenizers.base import MORPHEME_START, WORD_START, TokenizedLines

SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PAD, UNK, CLS, SEP, MASK = range(5)


class LetterTokenizer:
    """Every word is a token; one that starts with "##" continues."""

    def __init__(self, words: str):
        self.vocab = {word: id_ for id_, word in enumerate([*SPECIAL_TOKENS, *words.split()])}
        self.continuation_ids = frozenset(
            id_ for word, id_ in self.vocab.items() if word.startswith("##")
        )

    def ids_of(self, text: str) -> list[int]:
        return [self.vocab[word] for word in text.split()]

    def text(self, ids) -> str:
        words = list(self.vocab)
        return " ".join(words[id_] for id_ in ids)

    def documents(self, lines: list[str], units: dict[int, bytes] | None = None) -> Documents:
        """Documents of lines, with the unit of each id where there are any."""
        documents = Documents(len(self.vocab), UNK, keep_units=units is not None)
        for line in lines:
            ids = self.ids_of(line)
            of_line = b"".join(units[id_] for id_ in ids) if units else b""
            tokenized = TokenizedLines(array("i", ids), array("i", [len(ids)]), of_line)
            documents.add_lines([line], tokenized)
        return documents


LETTERS = " ".join("abcdefghijklmnopqrstuvwxyz")


@pytest.fixture
def tokenizer() -> LetterTokenizer:
    return LetterTokenizer(LETTERS + " ##s ##t")


def make_text(rng: random.Random, document_count: int, words: str = LETTERS) -> list[str]:
    """Random documents of 1 to 12 sentences of 1 to 30 words."""
    lines = []
    for _ in range(document_count):
        for _ in range(rng.randint(1, 12)):
            lines.append(" ".join(rng.choices(words.split(), k=rng.randint(1, 30))))
        lines.append("")
    return lines


def create(
    tokenizer: LetterTokenizer,
    documents: Documents,
    masking: MaskingChoice | None,
    seed: int = 0,
    max_seq_length: int = 64,
    dupe_factor: int = 2,
    short_seq_prob: float = 0.1,
) -> list[TrainingInstance] | list[UnmaskedInstance]:
    """Instances in the order in which they are written."""
    made, order = make_instances(
        documents, tokenizer, masking, max_seq_length, dupe_factor, short_seq_prob, seed
    )
    numbers = np.frombuffer(order, np.int64)
    return rows_of(InstanceReader(documents, tokenizer, made).read(numbers))


def create_masked(
    tokenizer: LetterTokenizer,
    lines: list[str],
    masked_lm_prob: float = 0.15,
    max_predictions_per_seq: int = 10,
    mask_unit: str = "token",
    **choices,
) -> list[TrainingInstance]:
    masking = MaskingChoice(masked_lm_prob, max_predictions_per_seq, mask_unit)
    return create(tokenizer, tokenizer.documents(lines), masking, **choices)


def unmasked(instance: TrainingInstance) -> list[int]:
    """The ids as they were before masking."""
    ids = list(instance.input_ids)
    for position, id_ in zip(instance.masked_lm_positions, instance.masked_lm_ids):
        ids[position] = id_
    return ids


@pytest.mark.parametrize("max_seq_length", [5, 6, 16, 64])
@pytest.mark.parametrize("short_seq_prob", [0.0, 0.5, 1.0])
def test_every_instance_is_two_segments_that_fit(tokenizer, max_seq_length, short_seq_prob):
    lines = make_text(random.Random(1), 30)
    for instance in create_masked(
        tokenizer, lines, max_seq_length=max_seq_length, short_seq_prob=short_seq_prob
    ):
        ids = unmasked(instance)
        first, second = ids[: instance.first_segment_length], ids[instance.first_segment_length :]
        assert len(ids) <= max_seq_length
        assert first[0] == CLS and first[-1] == SEP and second[-1] == SEP
        assert len(first) >= 3 and len(second) >= 2
        assert not {CLS, SEP} & {*first[1:-1], *second[:-1]}


def test_an_actual_next_sentence_follows_in_the_text(tokenizer):
    lines = make_text(random.Random(2), 20)
    text = " ".join(line for line in lines if line)
    found = 0
    for instance in create_masked(tokenizer, lines, max_seq_length=400):
        ids, middle = unmasked(instance), instance.first_segment_length
        if not instance.is_random_next:
            assert tokenizer.text(ids[1 : middle - 1] + ids[middle:-1]) in text
            found += 1
    assert found > 10


def test_a_random_next_sentence_is_from_another_document(tokenizer):
    lines = ["a a", "a a a", "a", "", "b b", "b b b", "", "c c c", "c"]
    for instance in create_masked(tokenizer, lines, dupe_factor=20):
        first, second = unmasked(instance)[1], unmasked(instance)[instance.first_segment_length]
        assert (first != second) == instance.is_random_next


def test_a_single_document_is_its_own_other(tokenizer):
    instances = create_masked(tokenizer, ["a b", "c d", "e f"], max_seq_length=7, dupe_factor=20)
    assert {instance.is_random_next for instance in instances} == {True, False}


def test_sentences_passed_over_for_a_random_one_are_used_after(tokenizer):
    # Every sentence of the document begins a segment A or stands in an actual next one.
    lines = [*LETTERS.split(), "", "##s", "##s"]
    seen = set()
    for instance in create_masked(
        tokenizer, lines, max_seq_length=8, dupe_factor=1, short_seq_prob=0
    ):
        ids = unmasked(instance)
        seen.update(ids[: None if not instance.is_random_next else instance.first_segment_length])
    assert set(tokenizer.ids_of(LETTERS)) <= seen


def test_the_same_seed_gives_the_same_instances(tokenizer):
    lines = make_text(random.Random(3), 10)
    assert create_masked(tokenizer, lines, seed=5) == create_masked(tokenizer, lines, seed=5)
    assert create_masked(tokenizer, lines, seed=5) != create_masked(tokenizer, lines, seed=6)


def make(tokenizer: LetterTokenizer, lines: list[str], **choices) -> tuple[Instances, array]:
    given = {
        "masking": MaskingChoice(0.15, 20, "token"),
        "max_seq_length": 16,
        "dupe_factor": 3,
        "short_seq_prob": 0.1,
        "seed": 0,
        **choices,
    }
    return make_instances(tokenizer.documents(lines), tokenizer, **given)


@pytest.mark.parametrize("count", [2, 85, 256, 300])
def test_progress_is_told_of_every_document_every_time(tokenizer, count):
    passed = []
    make(tokenizer, ["a", "b", ""] * count, progress=passed.append)
    assert sum(passed) == 3 * count
    assert len(passed) >= 3 * count // 1024


def test_the_order_has_every_instance_once(tokenizer):
    instances, order = make(tokenizer, make_text(random.Random(9), 20))
    assert sorted(order) == list(range(len(instances)))
    assert order.tolist() != sorted(order)


def test_lengths_count_what_stands_around_the_segments(tokenizer):
    lines = make_text(random.Random(9), 20)
    documents = tokenizer.documents(lines)
    instances, _ = make(tokenizer, lines)
    rows = rows_of(InstanceReader(documents, tokenizer, instances).read(np.arange(len(instances))))
    assert instances.lengths.tolist() == [len(row.input_ids) for row in rows]


@pytest.mark.parametrize("masking", [MaskingChoice(0.15, 20, "token"), None])
def test_an_instance_takes_little_room_until_it_is_read(tokenizer, masking):
    instances, order = make(
        tokenizer, make_text(random.Random(9), 100), masking=masking, max_seq_length=128
    )
    columns = [value for value in vars(instances).values() if isinstance(value, np.ndarray)]
    num_bytes = sum(column.nbytes for column in columns) + len(order) * order.itemsize
    assert len(columns) == 8
    assert num_bytes / len(instances) < (130 if masking else 60)


@pytest.fixture(params=["token", "word"])
def masked(request, tokenizer) -> list[TrainingInstance]:
    """Instances with masks of either kind."""
    lines = make_text(random.Random(4), 40, words=LETTERS + " ##s ##t ##s ##t")
    return create_masked(tokenizer, lines, mask_unit=request.param)


def test_positions_are_ascending_and_unique(masked):
    for instance in masked:
        assert instance.masked_lm_positions == sorted(set(instance.masked_lm_positions))


def test_separators_are_never_masked(masked):
    for instance in masked:
        assert not {CLS, SEP} & set(instance.masked_lm_ids)


def test_what_is_not_masked_is_left_alone(masked, tokenizer):
    words = set(tokenizer.vocab.values()) - {PAD, UNK, MASK}
    for instance in masked:
        assert set(unmasked(instance)) <= words


def test_four_of_five_masks_hide_and_one_of_ten_leaves_alone(masked):
    hidden = kept = total = 0
    for instance in masked:
        for position, id_ in zip(instance.masked_lm_positions, instance.masked_lm_ids):
            total += 1
            hidden += instance.input_ids[position] == MASK
            kept += instance.input_ids[position] == id_
    assert total > 1500
    # A random word, of 33, is now and then [MASK] or the word itself.
    assert hidden / total == pytest.approx(0.8, abs=0.03)
    assert kept / total == pytest.approx(0.1, abs=0.03)


@pytest.mark.parametrize(
    "probability, most", [(0.0, 20), (0.15, 20), (0.15, 3), (0.5, 20), (1, 99)]
)
def test_the_number_of_predictions(tokenizer, probability, most):
    lines = make_text(random.Random(5), 10)
    for instance in create_masked(
        tokenizer, lines, masked_lm_prob=probability, max_predictions_per_seq=most
    ):
        length = len(instance.input_ids)
        wanted = min(most, max(1, round(length * probability)), length - 3)
        assert len(instance.masked_lm_positions) == wanted


def test_whole_words_are_masked_whole(tokenizer):
    lines = make_text(random.Random(6), 40, words=LETTERS + " ##s ##t ##s ##t")
    for instance in create_masked(tokenizer, lines, mask_unit="word"):
        ids, chosen = unmasked(instance), set(instance.masked_lm_positions)
        # A word does not end at the [SEP] where the second segment begins with a continuation.
        candidates = [place for place, id_ in enumerate(ids) if id_ not in (CLS, SEP)]
        for before, place in zip(candidates, candidates[1:]):
            if ids[place] in tokenizer.continuation_ids:
                assert (before in chosen) == (place in chosen)


W, M, P = bytes([WORD_START | MORPHEME_START]), bytes([MORPHEME_START]), b"\0"


def test_what_is_left_of_a_word_at_the_start_of_a_segment_is_a_word():
    """Where units are kept, a word that lost its front does not join the segment before it."""
    tokenizer = LetterTokenizer(LETTERS)
    first_ids = tokenizer.ids_of("a i")
    units = {id_: W if id_ in first_ids else P for id_ in tokenizer.vocab.values()}
    documents = tokenizer.documents(["a b c d e f g h", "i j k l m n o p"], units)
    instances = create(
        tokenizer,
        documents,
        MaskingChoice(1.0, 20, "word"),
        seed=1,
        max_seq_length=12,
        dupe_factor=30,
        short_seq_prob=0.0,
    )
    truncated = [instance for instance in instances if 5 not in unmasked(instance)]
    assert truncated
    # All words are chosen one after the other: the two segments, whole.
    assert all(len(instance.masked_lm_positions) == 9 for instance in instances)


def create_unmasked(tokenizer: LetterTokenizer, documents: Documents) -> list[UnmaskedInstance]:
    return create(tokenizer, documents, None, seed=3, max_seq_length=24, short_seq_prob=0.2)


def test_unmasked_instances_tell_continuations_by_their_ids(tokenizer):
    words = LETTERS + " ##s ##t ##s ##t [SEP]"
    instances = create_unmasked(
        tokenizer, tokenizer.documents(make_text(random.Random(7), 30, words=words))
    )
    assert len(instances) > 100
    for instance in instances:
        for id_, unit in zip(instance.input_ids, instance.token_units, strict=True):
            # Also where the text itself holds a separator.
            special = id_ in (CLS, SEP)
            starts = id_ not in tokenizer.continuation_ids
            assert unit == (NEVER_MASKED if special else WORD_START * starts)
    assert any(instance.input_ids.count(SEP) > 2 for instance in instances)


def test_unmasked_instances_keep_the_units_of_the_tokenizer():
    tokenizer = LetterTokenizer("w m p")
    units = {5: W, 6: M, 7: P}
    rng = random.Random(8)
    lines = []
    for _ in range(60):
        lines.append(" ".join(["w", *rng.choices("wmp", k=rng.randint(0, 9))]))
        if rng.random() < 0.3:
            lines.append("")
    for instance in create_unmasked(tokenizer, tokenizer.documents(lines, units)):
        first = {1, instance.first_segment_length}
        for place, (id_, unit) in enumerate(
            zip(instance.input_ids, instance.token_units, strict=True)
        ):
            # What is left of a word at the start of a segment is a word.
            expected = (
                W[0] if place in first else NEVER_MASKED if id_ in (CLS, SEP) else units[id_][0]
            )
            assert unit == expected


def test_unmasked_instances_are_pairs_as_any(tokenizer):
    lines = make_text(random.Random(1), 30)
    text = " ".join(lines).replace("  ", " ")
    for instance in create_unmasked(tokenizer, tokenizer.documents(lines)):
        first = instance.input_ids[1 : instance.first_segment_length - 1]
        second = instance.input_ids[instance.first_segment_length : -1]
        assert len(instance.input_ids) <= 24
        assert tokenizer.text(first) in text and tokenizer.text(second) in text
        if not instance.is_random_next:
            assert tokenizer.text(first + second) in text or len(instance.input_ids) == 24
