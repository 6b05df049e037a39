"""Dynamic masking: what the static code draws, drawn from a key."""

import collections
import math
import random

import numpy as np
import pytest
from instance_rows import Masked, mask_pair

from deeq_bert.bert.dynamic_masking import DynamicMasking
from deeq_bert.bert.instance_blocks import NEVER_MASKED
from deeq_bert.bert.masking import MaskingChoice
from deeq_bert.tokenizers.base import MORPHEME_START, WORD_START
from deeq_bert.tokenizers.errors import InputError

CLS, SEP, MASK = 2, 3, 4
# The last ids continue a word.
NUM_IDS, FIRST_CONTINUATION = 60, 40
LENGTH = 32
# How often each sequence is masked for a statistic.
DRAWS = 3000


class Vocabulary:
    """What masking needs of a tokenizer."""

    vocab = {f"token {id_}": id_ for id_ in range(NUM_IDS)} | {
        "[CLS]": CLS,
        "[SEP]": SEP,
        "[MASK]": MASK,
    }
    vocab = {token: id_ for token, id_ in vocab.items() if token not in ("token 2", "token 3")}
    continuation_ids = frozenset(range(FIRST_CONTINUATION, NUM_IDS))


def sequences_of(rng: random.Random) -> list[list[int]]:
    """Sequences of several lengths; in one, segment B begins with a continuation."""
    sequences = []
    for length in (5, 10, 23, 32):
        ids = [rng.randrange(5, NUM_IDS) for _ in range(length)]
        ids[0], ids[length // 2], ids[-1] = CLS, SEP, SEP
        sequences.append(ids)
    sequences[-1][17] = FIRST_CONTINUATION
    return sequences


SEQUENCES = sequences_of(random.Random(1))


def units_of(ids: list[int]) -> list[int]:
    """The units of a tokenizer whose ids tell which of them continue a word."""
    return [
        NEVER_MASKED if id_ in (CLS, SEP) else WORD_START * (id_ < FIRST_CONTINUATION)
        for id_ in ids
    ]


def padded(rows: list[list[int]], length: int = LENGTH) -> np.ndarray:
    return np.array([row + [0] * (length - len(row)) for row in rows], np.int32)


def arrays_of(sequences: list[list[int]], length: int = LENGTH) -> tuple[np.ndarray, ...]:
    """input_ids, input_mask and token_units."""
    ones = [[1] * len(ids) for ids in sequences]
    units = [units_of(ids) for ids in sequences]
    return padded(sequences, length), padded(ones, length), padded(units, length)


def masking(
    mask_unit: str = "token",
    masked_lm_prob: float = 0.3,
    max_predictions_per_seq: int = 8,
    seed: int = 7,
    num_ids: int = NUM_IDS,
) -> DynamicMasking:
    return DynamicMasking(MASK, num_ids, mask_unit, masked_lm_prob, max_predictions_per_seq, seed)


def ours(ids: list[int], mask_unit: str, draws: int = DRAWS) -> list[Masked]:
    """The outcomes of so many epochs."""
    arrays = (np.repeat(array, draws, axis=0) for array in arrays_of([ids]))
    records, epochs = np.full(draws, 3), np.arange(draws)
    masked, *predictions, weights = masking(mask_unit).mask(*arrays, records, epochs)
    counts = weights.sum(axis=1).astype(int)
    return [
        (row[: len(ids)].tolist(), *(values[index, :count].tolist() for values in predictions))
        for index, (row, count) in enumerate(zip(masked, counts))
    ]


def theirs(ids: list[int], mask_unit: str, draws: int = DRAWS) -> list[Masked]:
    """The outcomes of so many draws of the static code."""
    return statically(ids, MaskingChoice(0.3, 8, mask_unit), 11, draws)


def statically(ids: list[int], choice: MaskingChoice, seed: int, draws: int = 1) -> list[Masked]:
    middle = ids.index(SEP)
    return mask_pair(Vocabulary, ids[1:middle], ids[middle + 1 : -1], choice, seed, draws)


def is_the_same_distribution(counts: collections.Counter, others: collections.Counter) -> bool:
    """Whether two tallies are of one distribution: chi-square of homogeneity, at 1 in 10,000."""
    names = [name for name in counts | others if counts[name] + others[name] >= 10]
    total, other_total = counts.total(), others.total()
    statistic = sum(
        (
            counts[name] * math.sqrt(other_total / total)
            - others[name] * math.sqrt(total / other_total)
        )
        ** 2
        / (counts[name] + others[name])
        for name in names
    )
    return statistic < largest_chi_square(max(1, len(names) - 1))


def largest_chi_square(degrees: int) -> float:
    """What chi-square stays under in 9,999 of 10,000 cases (Wilson and Hilferty, 1931)."""
    part = 2 / (9 * degrees)
    return degrees * (1 - part + 3.719 * math.sqrt(part)) ** 3


def units_in(ids: list[int]) -> list[tuple[int, ...]]:
    """The positions of each unit of the ids, by the plain reading of the original."""
    units: list[tuple[int, ...]] = []
    for position, id_ in enumerate(ids):
        if id_ in (CLS, SEP):
            continue
        if units and id_ >= FIRST_CONTINUATION:
            units[-1] += (position,)
        else:
            units.append((position,))
    return units


@pytest.fixture(params=["token", "word"])
def mask_unit(request) -> str:
    return request.param


@pytest.fixture(params=range(len(SEQUENCES)), ids=[f"{len(ids)} ids" for ids in SEQUENCES])
def ids(request) -> list[int]:
    return SEQUENCES[request.param]


def tally(outcomes: list[Masked], tell) -> collections.Counter:
    return collections.Counter(name for outcome in outcomes for name in tell(*outcome))


def test_the_statistic_tells_distributions_apart():
    # Or the tests below would prove nothing. 3,000 draws, a share of 15% or 20%.
    few, many = ({"chosen": chosen, "left": DRAWS - chosen} for chosen in (450, 600))
    assert is_the_same_distribution(collections.Counter(few), collections.Counter(few))
    assert not is_the_same_distribution(collections.Counter(few), collections.Counter(many))


def test_positions_are_masked_as_often_as_by_the_static_code(ids, mask_unit):
    # A unit is counted once, at its start: its tokens are not independent of each other.
    starts = {unit[0] for unit in units_in(ids)} if mask_unit == "word" else set(range(LENGTH))

    def starts_of(_, positions, __):
        return [position for position in positions if position in starts]

    assert is_the_same_distribution(
        tally(ours(ids, mask_unit), starts_of), tally(theirs(ids, mask_unit), starts_of)
    )


def test_as_many_tokens_are_predicted_as_by_the_static_code(ids, mask_unit):
    def count(_, positions, __):
        return [len(positions)]

    counts = [tally(made(ids, mask_unit), count) for made in (ours, theirs)]
    assert is_the_same_distribution(*counts)
    assert counts[0].keys() == counts[1].keys()
    assert mask_unit == "word" or len(counts[0]) == 1


def test_units_of_each_length_are_as_frequent_as_in_the_static_code(ids):
    length_at = {unit[0]: len(unit) for unit in units_in(ids)}

    def lengths(_, positions, __):
        return [length_at[position] for position in positions if position in length_at]

    assert is_the_same_distribution(
        tally(ours(ids, "word"), lengths), tally(theirs(ids, "word"), lengths)
    )


def test_pairs_of_positions_are_as_frequent_as_in_the_static_code(mask_unit):
    ids = SEQUENCES[1]

    def pairs(_, positions, __):
        return zip(positions, positions[1:])

    assert is_the_same_distribution(
        tally(ours(ids, mask_unit), pairs), tally(theirs(ids, mask_unit), pairs)
    )


def test_chosen_tokens_become_what_they_become_in_the_static_code(ids, mask_unit):
    def changes(masked, positions, labels):
        for position, label in zip(positions, labels):
            stands = masked[position]
            yield "hidden" if stands == MASK else "kept" if stands == label else "random"

    tallies = [tally(made(ids, mask_unit), changes) for made in (ours, theirs)]
    assert is_the_same_distribution(*tallies)
    assert tallies[0]["hidden"] / tallies[0].total() == pytest.approx(0.8, abs=0.02)
    assert tallies[0]["kept"] / tallies[0].total() == pytest.approx(0.1, abs=0.02)


def test_random_words_are_any_of_the_vocabulary_equally_often():
    masked = np.full((40_000, 12), 50, np.int64)
    ones = np.ones_like(masked)
    result, *_ = masking(masked_lm_prob=1.0, max_predictions_per_seq=12).mask(
        masked, ones, ones, np.arange(40_000), np.zeros(40_000, int)
    )
    counts = np.bincount(result.ravel(), minlength=NUM_IDS)
    # Where a mask or what stood there is drawn cannot be told from those that are meant.
    random_counts = np.delete(counts, [MASK, 50])
    expected = random_counts.mean()
    assert expected == pytest.approx(480_000 * 0.1 / NUM_IDS, rel=0.05)
    statistic = ((random_counts - expected) ** 2 / expected).sum()
    assert statistic < largest_chi_square(len(random_counts) - 1)
    assert len(counts) == NUM_IDS


@pytest.mark.parametrize(
    "probability, most", [(0.0, 20), (0.15, 20), (0.15, 3), (0.5, 20), (0.25, 20), (1.0, 40)]
)
def test_the_number_of_predictions_is_that_of_the_static_code(probability, most):
    sequences = [[CLS, 7, SEP] + [7] * (length - 4) + [SEP] for length in range(5, LENGTH + 1)]
    *_, weights = masking(masked_lm_prob=probability, max_predictions_per_seq=most).mask(
        *arrays_of(sequences), np.arange(len(sequences)), np.zeros(len(sequences), int)
    )
    choice = MaskingChoice(probability, most, "token")
    expected = [len(statically(ids, choice, seed=0)[0][1]) for ids in sequences]
    assert weights.sum(axis=1).tolist() == expected


def test_units_are_masked_whole_until_none_that_fits_is_left(ids):
    limit = min(8, max(1, round(len(ids) * 0.3)))
    for _, positions, _ in ours(ids, "word", 300):
        chosen = [unit for unit in units_in(ids) if unit[0] in positions]
        left = [unit for unit in units_in(ids) if unit[0] not in positions]
        assert sorted(position for unit in chosen for position in unit) == positions
        assert len(positions) <= limit
        assert all(len(positions) + len(unit) > limit for unit in left)


def test_a_continuation_joins_the_word_before_the_separator():
    ids = SEQUENCES[-1]
    assert ids[16] == SEP and ids[17] == FIRST_CONTINUATION
    outcomes = ours(ids, "word", 300)
    assert any(17 in positions for _, positions, _ in outcomes)
    assert all((15 in positions) == (17 in positions) for _, positions, _ in outcomes)


def test_only_continuations_are_one_word():
    ids = [CLS, 41, 42, SEP, 43, SEP]
    arrays = arrays_of([ids])
    _, positions, labels, weights = masking("word", 1.0, 3).mask(*arrays, *np.zeros((2, 1), int))
    assert positions.tolist() == [[1, 2, 4]] and labels.tolist() == [[41, 42, 43]]
    # In two predictions it does not fit.
    *_, weights = masking("word", 1.0, 2).mask(*arrays, *np.zeros((2, 1), int))
    assert not weights.any()


def test_morphemes_and_words_are_told_apart():
    units = np.array([[NEVER_MASKED, 3, MORPHEME_START, 0, 3, NEVER_MASKED]])
    ids, ones = np.full((1, 6), 9), np.ones((1, 6), int)
    outcomes = {
        name: {
            tuple(masking(name, 1.0, 2).mask(ids, ones, units, *np.array([[0], [epoch]]))[1][0])
            for epoch in range(60)
        }
        for name in ("morpheme", "word")
    }
    # The morphemes are 1, 2+3 and 4; the words 1+2+3, which does not fit, and 4.
    assert outcomes == {"morpheme": {(1, 4), (2, 3)}, "word": {(4, 0)}}


def test_what_is_not_chosen_is_left_alone(mask_unit):
    input_ids, ones, units = arrays_of(SEQUENCES)
    before = input_ids.copy()
    count = len(SEQUENCES)
    masked, positions, labels, weights = masking(mask_unit).mask(
        input_ids, ones, units, np.arange(count), np.zeros(count, int)
    )
    np.testing.assert_array_equal(input_ids, before)
    for row, (place, label, weight) in enumerate(zip(positions, labels, weights)):
        chosen = weight == 1.0
        assert chosen.any() and set(weight.tolist()) <= {0.0, 1.0}
        assert not (place[~chosen].any() or label[~chosen].any())
        assert place[chosen].tolist() == sorted(set(place[chosen].tolist()))
        np.testing.assert_array_equal(label[chosen], before[row, place[chosen]])
        assert not {CLS, SEP, 0} & set(label[chosen].tolist())
        others = np.delete(np.arange(LENGTH), place[chosen])
        np.testing.assert_array_equal(masked[row, others], before[row, others])
    assert masked.dtype == positions.dtype == labels.dtype == np.int32
    assert weights.dtype == np.float32


@pytest.fixture
def keys() -> tuple[np.ndarray, np.ndarray]:
    """Records and epochs of 400 rows, the numbers large ones among them."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 2**40, 400), rng.integers(0, 1000, 400)


def mask_rows(mask_unit, rows, records, epochs, length=LENGTH, **options) -> list[np.ndarray]:
    sequences = [SEQUENCES[row % len(SEQUENCES)] for row in rows]
    made = masking(mask_unit, **options).mask(*arrays_of(sequences, length), records, epochs)
    return [made[0][:, :LENGTH], *made[1:]]


def test_the_masks_do_not_depend_on_the_batch(mask_unit, keys):
    records, epochs = keys
    rows = np.arange(400)
    whole = mask_rows(mask_unit, rows, records, epochs)
    for part in (slice(0, 1), slice(37, 61), slice(399, None, -7)):
        alone = mask_rows(mask_unit, rows[part], records[part], epochs[part])
        longer = mask_rows(mask_unit, rows[part], records[part], epochs[part], length=100)
        for expected, value, value_of_longer in zip(whole, alone, longer):
            np.testing.assert_array_equal(value, expected[part])
            np.testing.assert_array_equal(value_of_longer, expected[part])


@pytest.mark.parametrize("changed", ["records", "epochs", "seed"])
def test_the_masks_depend_on_all_of_the_key(mask_unit, keys, changed):
    records, epochs = keys
    rows = np.full(400, 2)
    before = mask_rows(mask_unit, rows, records, epochs)[1]
    after = mask_rows(
        mask_unit,
        rows,
        records + (changed == "records"),
        epochs + (changed == "epochs"),
        seed=8 if changed == "seed" else 7,
    )[1]
    assert (before == after).all(axis=1).mean() < 0.05


@pytest.mark.parametrize("step", [(1, 0), (0, 1), (1, -1)], ids=["record", "epoch", "both"])
def test_neighbours_share_no_more_masks_than_chance_has_it(step):
    count = 4000
    sequence = [CLS] + [9] * 20 + [SEP] + [9] * 9 + [SEP]
    arrays = [np.repeat(array, count, axis=0) for array in arrays_of([sequence])]
    chosen = []
    for times in (1, 2):
        records = np.arange(count) + times * step[0]
        epochs = np.full(count, 5 + times * step[1])
        positions = masking().mask(*arrays, records, epochs)[1]
        chosen.append((positions[:, :, np.newaxis] == np.arange(LENGTH)).any(axis=1))
    # Of 29 candidates 8 are chosen.
    shared = (chosen[0] & chosen[1]).sum(axis=1)
    deviation = math.sqrt(8 * (8 / 29) * (21 / 29) * (21 / 28) / count)
    assert shared.mean() == pytest.approx(64 / 29, abs=4 * deviation)


# The positions that record 123,456,789 masks in its third epoch.
GOLDEN_TOKENS = [[9, 10, 13, 15, 23, 24, 25, 27]]
GOLDEN_WORDS = [[12, 13, 14, 21, 22, 23, 29, 30]]


def test_masks_stay_what_they_are():
    # Another version of this code must go on with a run of this one.
    made = mask_rows("token", [3], np.array([123_456_789]), np.array([2]))
    assert made[1].tolist() == GOLDEN_TOKENS
    made = mask_rows("word", [3], np.array([123_456_789]), np.array([2]))
    assert made[1].tolist() == GOLDEN_WORDS


def test_a_unit_that_the_tokenizer_does_not_tell_is_refused():
    info = {"mask_id": 4, "num_ids": 60, "mask_units": ["token", "word"]}
    with pytest.raises(InputError, match="--mask_unit=morpheme .* only token and word"):
        DynamicMasking.from_info(info, "morpheme", 0.15, 20, 1)
    assert DynamicMasking.from_info(info, "word", 0.15, 20, 1).num_ids == 60
