"""Instances: how text becomes documents, documents pairs, and pairs masked instances.

That every value is the original's is tested through the script, on the golden records.
"""

import random

import pytest

from deeq_bert.bert.documents import Document, DocumentReader
from deeq_bert.bert.instances import (
    NEVER_MASKED,
    Masker,
    TrainingInstance,
    UnmaskedInstance,
    create_training_instances,
    create_unmasked_instances,
)
from deeq_bert.tokenizers.base import MORPHEME_START, WORD_START, TokenizedLine

SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PAD, UNK, CLS, SEP, MASK = range(5)


class LetterTokenizer:
    """Every word is a token; one that starts with "##" continues; those in capitals are unknown."""

    def __init__(self, words: str):
        self.vocab = {word: id_ for id_, word in enumerate([*SPECIAL_TOKENS, *words.split()])}
        self.continuation_ids = frozenset(
            id_ for word, id_ in self.vocab.items() if word.startswith("##")
        )

    def tokenized(self, text: str) -> TokenizedLine:
        ids = [self.vocab.get(word, UNK) for word in text.split() if word != "~"]
        return TokenizedLine(ids, b"")

    def text(self, ids) -> str:
        words = list(self.vocab)
        return " ".join(words[id_] for id_ in ids)


LETTERS = " ".join("abcdefghijklmnopqrstuvwxyz")


@pytest.fixture
def tokenizer() -> LetterTokenizer:
    return LetterTokenizer(LETTERS + " ##s ##t")


def sentences_of(document: Document) -> list[list[int]]:
    return [
        list(document.ids[start:end]) for start, end in zip(document.starts, document.starts[1:])
    ]


def read(tokenizer: LetterTokenizer, *lines: str) -> list[list[str]]:
    reader = DocumentReader(UNK)
    for line in lines:
        reader.add_line(line, tokenizer.tokenized(line))
    return [
        [tokenizer.text(sentence) for sentence in sentences_of(document)]
        for document in reader.documents
    ]


def test_a_blank_line_ends_a_document(tokenizer):
    assert read(tokenizer, "a b", "c", "", "d e") == [["a b", "c"], ["d e"]]


def test_a_line_of_whitespace_ends_a_document(tokenizer):
    assert read(tokenizer, "a", " \t\u3000", "b", "\x0c", "c") == [["a"], ["b"], ["c"]]


def test_a_zero_width_space_is_no_whitespace(tokenizer):
    assert read(tokenizer, "a", "\u200b", "b") == [["a", "[UNK]", "b"]]


def test_documents_without_sentences_are_dropped(tokenizer):
    assert read(tokenizer, "", "", "a", "", "~", "", "", "b", "") == [["a"], ["b"]]


def test_a_line_without_tokens_adds_nothing_and_ends_nothing(tokenizer):
    assert read(tokenizer, "a", "~", "b") == [["a", "b"]]


def test_reading_counts(tokenizer):
    reader = DocumentReader(UNK)
    for line in ("a b X", "Y", "", "c", "~"):
        reader.add_line(line, tokenizer.tokenized(line))
    counts = reader.counts
    assert (counts.documents, counts.sentences, counts.tokens, counts.unknown_tokens) == (
        2,
        3,
        5,
        2,
    )
    assert counts.unknown_share == pytest.approx(0.4)


def test_characters_are_counted_whatever_the_tokenizer_makes_of_them(tokenizer):
    reader = DocumentReader(UNK)
    # Blanks count; blank lines and line ends do not; what has no tokens does.
    for line in (" a  b", "\u3000", "가나\r\n", "~"):
        reader.add_line(line, tokenizer.tokenized(line))
    assert reader.counts.characters == 5 + 2 + 1


def test_nothing_read_has_no_unknown_tokens(tokenizer):
    assert DocumentReader(UNK).counts.unknown_share == 0


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
    lines: list[str],
    seed: int = 0,
    max_seq_length: int = 64,
    dupe_factor: int = 2,
    short_seq_prob: float = 0.1,
    masked_lm_prob: float = 0.15,
    max_predictions_per_seq: int = 10,
    mask_unit: str = "token",
) -> list[TrainingInstance]:
    reader = DocumentReader(UNK)
    for line in lines:
        reader.add_line(line, tokenizer.tokenized(line))
    rng = random.Random(seed)
    masker = Masker(tokenizer, masked_lm_prob, max_predictions_per_seq, mask_unit, rng)
    return list(
        create_training_instances(
            reader.documents, tokenizer, masker, max_seq_length, dupe_factor, short_seq_prob, rng
        )
    )


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
    for instance in create(
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
    for instance in create(tokenizer, lines, max_seq_length=400):
        ids, middle = unmasked(instance), instance.first_segment_length
        if not instance.is_random_next:
            assert tokenizer.text(ids[1 : middle - 1] + ids[middle:-1]) in text
            found += 1
    assert found > 10


def test_a_random_next_sentence_is_from_another_document(tokenizer):
    lines = ["a a", "a a a", "a", "", "b b", "b b b", "", "c c c", "c"]
    for instance in create(tokenizer, lines, dupe_factor=20):
        first, second = unmasked(instance)[1], unmasked(instance)[instance.first_segment_length]
        assert (first != second) == instance.is_random_next


def test_sentences_passed_over_for_a_random_one_are_used_after(tokenizer):
    # Every sentence of the document begins a segment A or stands in an actual next one.
    lines = [*LETTERS.split(), "", "##s", "##s"]
    seen = set()
    for instance in create(tokenizer, lines, max_seq_length=8, dupe_factor=1, short_seq_prob=0):
        ids = unmasked(instance)
        seen.update(ids[: None if not instance.is_random_next else instance.first_segment_length])
    assert set(tokenizer.tokenized(LETTERS).ids) <= seen


def test_the_same_seed_gives_the_same_instances(tokenizer):
    lines = make_text(random.Random(3), 10)
    assert create(tokenizer, lines, seed=5) == create(tokenizer, lines, seed=5)
    assert create(tokenizer, lines, seed=5) != create(tokenizer, lines, seed=6)


def test_progress_is_told_of_every_document_every_time(tokenizer):
    reader = DocumentReader(UNK)
    for line in ("a", "b", "", "c", "d"):
        reader.add_line(line, tokenizer.tokenized(line))
    rng, passed = random.Random(0), []
    masker = Masker(tokenizer, 0.15, 20, "token", rng)
    list(
        create_training_instances(
            reader.documents, tokenizer, masker, 16, 3, 0.1, rng, passed.append
        )
    )
    assert passed == [1] * 6


@pytest.fixture(params=["token", "word"])
def masked(request, tokenizer) -> list[TrainingInstance]:
    """Instances with masks of either kind."""
    lines = make_text(random.Random(4), 40, words=LETTERS + " ##s ##t ##s ##t")
    return create(tokenizer, lines, mask_unit=request.param)


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
    for instance in create(
        tokenizer, lines, masked_lm_prob=probability, max_predictions_per_seq=most
    ):
        length = len(instance.input_ids)
        wanted = min(most, max(1, round(length * probability)), length - 3)
        assert len(instance.masked_lm_positions) == wanted


def test_whole_words_are_masked_whole(tokenizer):
    lines = make_text(random.Random(6), 40, words=LETTERS + " ##s ##t ##s ##t")
    for instance in create(tokenizer, lines, mask_unit="word"):
        ids, chosen = unmasked(instance), set(instance.masked_lm_positions)
        # A word does not end at the [SEP] where the second segment begins with a continuation.
        candidates = [place for place, id_ in enumerate(ids) if id_ not in (CLS, SEP)]
        for before, place in zip(candidates, candidates[1:]):
            if ids[place] in tokenizer.continuation_ids:
                assert (before in chosen) == (place in chosen)


def mask_whole_words(tokenizer, text: str, limit: int, seed: int) -> list[int]:
    ids = [tokenizer.vocab[word] for word in text.split()]
    return Masker(tokenizer, 1.0, limit, "word", random.Random(seed)).mask(ids)[0]


def test_a_word_goes_on_across_a_separator_as_in_the_original(tokenizer):
    outcomes = {
        tuple(mask_whole_words(tokenizer, "[CLS] a [SEP] ##s b [SEP]", 2, seed))
        for seed in range(50)
    }
    assert outcomes == {(1, 3), (4,)}


def test_a_word_that_does_not_fit_is_passed_over(tokenizer):
    for seed in range(50):
        positions = mask_whole_words(tokenizer, "[CLS] a ##s ##t [SEP] b c [SEP]", 2, seed)
        assert positions == [5, 6]


def test_nothing_is_masked_where_no_word_fits(tokenizer):
    assert mask_whole_words(tokenizer, "[CLS] a ##s [SEP] ##t ##t [SEP]", 3, 0) == []


W, M, P = bytes([WORD_START | MORPHEME_START]), bytes([MORPHEME_START]), b"\0"


def chosen_together(mask_unit: str) -> set[tuple[int, ...]]:
    """What is masked of two tokens at most, with any seed: [CLS] a+b c [SEP] d e [SEP]."""
    tokenizer = LetterTokenizer("a b c d e")
    units = W + W + P + M + W + W + M + W
    outcomes = set()
    for seed in range(100):
        masker = Masker(tokenizer, 1.0, 2, mask_unit, random.Random(seed))
        outcomes.add(tuple(masker.mask([CLS, 5, 6, 7, SEP, 8, 9, SEP], units)[0]))
    return outcomes


def test_the_mask_unit_morpheme_keeps_its_pieces_together():
    # a+b is one morpheme of two tokens; c, d and e are one token each.
    assert chosen_together("morpheme") == {(1, 2), (3, 5), (3, 6), (5, 6)}


def test_the_mask_unit_word_keeps_its_morphemes_together():
    # a+b and c are a word of three tokens, which does not fit.
    assert chosen_together("word") == {(5, 6)}


def test_the_mask_unit_token_takes_any_two():
    assert (1, 3) in chosen_together("token")
    assert (2, 5) in chosen_together("token")


def test_what_is_left_of_a_word_at_the_start_of_a_segment_is_a_word():
    """Where units are kept, a word that lost its front does not join the segment before it."""
    tokenizer = LetterTokenizer(LETTERS)
    reader = DocumentReader(UNK, keep_units=True)
    for line in ("a b c d e f g h", "i j k l m n o p"):
        reader.add_line(line, TokenizedLine(tokenizer.tokenized(line).ids, W + P * 7))
    rng = random.Random(1)
    masker = Masker(tokenizer, 1.0, 20, "word", rng)
    instances = list(
        create_training_instances(reader.documents, tokenizer, masker, 12, 30, 0.0, rng)
    )
    truncated = [instance for instance in instances if 5 not in unmasked(instance)]
    assert truncated
    # All words are chosen one after the other: the two segments, whole.
    assert all(len(instance.masked_lm_positions) == 9 for instance in instances)


def create_unmasked(tokenizer: LetterTokenizer, reader: DocumentReader) -> list[UnmaskedInstance]:
    rng = random.Random(3)
    return list(create_unmasked_instances(reader.documents, tokenizer, 24, 2, 0.2, rng))


def test_unmasked_instances_tell_continuations_by_their_ids(tokenizer):
    reader = DocumentReader(UNK, keep_units=True)
    words = LETTERS + " ##s ##t ##s ##t [SEP]"
    for line in make_text(random.Random(7), 30, words=words):
        reader.add_line(line, tokenizer.tokenized(line))
    instances = create_unmasked(tokenizer, reader)
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
    reader = DocumentReader(UNK, keep_units=True)
    units = {5: W, 6: M, 7: P}
    rng = random.Random(8)
    for _ in range(60):
        ids = [5, *rng.choices([5, 6, 7], k=rng.randint(0, 9))]
        reader.add_line("text", TokenizedLine(ids, b"".join(units[id_] for id_ in ids)))
        if rng.random() < 0.3:
            reader.add_line("", TokenizedLine([], b""))
    for instance in create_unmasked(tokenizer, reader):
        first = {1, instance.first_segment_length}
        for place, (id_, unit) in enumerate(zip(instance.input_ids, instance.token_units)):
            # What is left of a word at the start of a segment is a word.
            expected = (
                W[0] if place in first else NEVER_MASKED if id_ in (CLS, SEP) else units[id_][0]
            )
            assert unit == expected


def test_unmasked_instances_are_pairs_as_any(tokenizer):
    lines = make_text(random.Random(1), 30)
    reader = DocumentReader(UNK)
    for line in lines:
        reader.add_line(line, tokenizer.tokenized(line))
    text = [" ".join(lines).replace("  ", " ")]
    for instance in create_unmasked(tokenizer, reader):
        first = instance.input_ids[1 : instance.first_segment_length - 1]
        second = instance.input_ids[instance.first_segment_length : -1]
        assert len(instance.input_ids) <= 24
        assert tokenizer.text(first) in text[0] and tokenizer.text(second) in text[0]
        if not instance.is_random_next:
            assert tokenizer.text(first + second) in text[0] or len(instance.input_ids) == 24


@pytest.mark.parametrize("count", [0, 1, 2, 3, 64, 65, 509])
@pytest.mark.parametrize("count_before", [1, 300])
def test_the_order_of_candidates_is_that_of_the_standard_shuffle(tokenizer, count, count_before):
    # Where everything may be masked, the limit takes the first in the shuffled order.
    rng = random.Random()
    masker = Masker(tokenizer, 1.0, 20, "token", rng)
    masker.mask([CLS, *[10] * count_before, SEP])
    rng.seed(7)
    positions, _ = masker.mask([CLS, *[10] * count, SEP])
    expected = list(range(1, count + 1))
    random.Random(7).shuffle(expected)
    assert positions == sorted(expected[:20])
