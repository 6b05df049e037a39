"""What is wrong with examples, and what they sum up to."""

import numpy as np
import pytest
from example_bytes import MASKED, UNMASKED

from deeq_bert.bert.example_checks import (
    ExampleSums,
    Expectations,
    KnownIds,
    check_examples,
    sum_up,
)

MASK_ID = 4
EXPECTED = Expectations(100, KnownIds(2, 3, MASK_ID), 0.3, "token")


def arrays(*examples: dict) -> dict[str, np.ndarray]:
    return {name: np.array([example[name] for example in examples]) for name in examples[0]}


def kinds(*examples: dict, expected: Expectations = EXPECTED) -> list[tuple[str, list[int]]]:
    faults = check_examples(arrays(*examples), expected)
    # What a row shows can be told of each.
    assert all(fault.detail(row) for fault in faults for row in fault.rows)
    return [(fault.kind, fault.rows.tolist()) for fault in faults]


@pytest.mark.parametrize("example", [MASKED, UNMASKED], ids=["masked", "unmasked"])
@pytest.mark.parametrize("expected", [EXPECTED, Expectations()], ids=["known", "unknown"])
def test_sound_examples_have_no_fault(example, expected):
    assert kinds(example, example, expected=expected) == []


@pytest.mark.parametrize("kind", [np.uint8, np.int64])
def test_the_type_of_the_arrays_does_not_matter(kind):
    values = {name: values.astype(kind) for name, values in arrays(MASKED).items()}
    assert check_examples(values, EXPECTED) == []
    values["masked_lm_positions"][0] = [4, 1, 0]
    assert [fault.kind for fault in check_examples(values, EXPECTED)] == [
        "masked_lm_positions must ascend"
    ]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"input_mask": [1, 1, 0, 1, 1, 1, 0, 0]}, "input_mask must be 1s and then 0s"),
        ({"input_mask": [1, 1, 2, 1, 1, 1, 0, 0]}, "input_mask must be 1s and then 0s"),
        ({"input_mask": [0] * 8}, "input_mask must be 1s and then 0s"),
        ({"segment_ids": [0, 0, 1, 0, 1, 1, 0, 0]}, "segment_ids must be 0s, then 1s"),
        ({"segment_ids": [0, 0, 0, 1, 1, 1, 1, 0]}, "segment_ids must be 0s, then 1s"),
        ({"segment_ids": [0, 0, 0, 2, 2, 2, 0, 0]}, "segment_ids must be 0s, then 1s"),
        ({"input_ids": [2, 10, 3, 11, 4, 3, 0, 1]}, "input_ids must be 0 in the padding"),
        ({"input_ids": [2, 100, 3, 11, 4, 3, 0, 0]}, "input_ids must not be negative and below"),
        ({"input_ids": [2, -1, 3, 11, 4, 3, 0, 0]}, "input_ids must not be negative and below"),
        ({"input_ids": [5, 10, 3, 11, 4, 3, 0, 0]}, "[CLS] must be first"),
        ({"input_ids": [2, 10, 5, 11, 4, 3, 0, 0]}, "[CLS] must be first"),
        ({"input_ids": [2, 10, 3, 11, 4, 5, 0, 0]}, "[CLS] must be first"),
        ({"next_sentence_labels": [2]}, "next_sentence_labels must be 0 or 1"),
        ({"masked_lm_weights": [1.0, 0.5, 0.0]}, "masked_lm_weights must be 1.0s"),
        ({"masked_lm_weights": [1.0, 0.0, 1.0]}, "masked_lm_weights must be 1.0s"),
        ({"masked_lm_weights": [1.0, float("nan"), 0.0]}, "masked_lm_weights must be 1.0s"),
        ({"masked_lm_ids": [10, 12, 7]}, "masked_lm_positions and masked_lm_ids must be 0"),
        ({"masked_lm_positions": [1, 4, 7]}, "masked_lm_positions and masked_lm_ids must be 0"),
        ({"masked_lm_positions": [4, 1, 0]}, "masked_lm_positions must ascend"),
        ({"masked_lm_positions": [4, 4, 0]}, "masked_lm_positions must ascend"),
        ({"masked_lm_positions": [1, 6, 0]}, "masked_lm_positions must not be in the padding"),
        ({"masked_lm_positions": [1, 99, 0]}, "masked_lm_positions must not be in the padding"),
        ({"masked_lm_positions": [-1, 4, 0]}, "masked_lm_positions must not be in the padding"),
        ({"masked_lm_positions": [0, 4, 0]}, "masked_lm_positions must not be those of [CLS]"),
        ({"masked_lm_positions": [1, 2, 0]}, "masked_lm_positions must not be those of [CLS]"),
        ({"masked_lm_positions": [1, 5, 0]}, "masked_lm_positions must not be those of [CLS]"),
        ({"masked_lm_ids": [10, 100, 0]}, "masked_lm_ids must not be negative and below 100"),
        ({"masked_lm_ids": [10, 3, 0]}, "masked_lm_ids must not be those of [CLS]"),
        (
            {
                "masked_lm_positions": [1, 3, 4],
                "masked_lm_ids": [10, 11, 12],
                "masked_lm_weights": [1.0] * 3,
            },
            "there must be no more masks than masked_lm_prob 0.3 gives",
        ),
        (
            {
                "masked_lm_positions": [0] * 3,
                "masked_lm_ids": [0] * 3,
                "masked_lm_weights": [0.0] * 3,
            },
            "there must be a mask",
        ),
    ],
    ids=str,
)
def test_each_fault_is_found_in_its_row_only(change, kind):
    ((found, rows),) = kinds(MASKED, MASKED | change, MASKED)
    assert found.startswith(kind)
    assert rows == [1]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"token_units": [4, 8, 4, 3, 2, 4, 0, 0]}, "token_units must be from 0 to 7"),
        ({"token_units": [4, 3, 4, 3, 2, 4, 1, 0]}, "token_units must be 0 in the padding"),
        ({"token_units": [4, 3, 3, 3, 2, 4, 0, 0]}, "token_units must say that [CLS] and [SEP]"),
        ({"input_mask": [1, 1, 1, 1, 1, 1, 0, 1]}, "input_mask must be 1s and then 0s"),
    ],
    ids=str,
)
def test_faults_of_unmasked_examples_are_found(change, kind):
    ((found, rows),) = kinds(UNMASKED, UNMASKED | change, UNMASKED)
    assert found.startswith(kind)
    assert rows == [1]


def test_where_words_are_masked_whole_there_may_be_no_mask():
    none = {name: [0] * 3 for name in MASKED if name.startswith("masked")}
    assert kinds(MASKED | none, expected=EXPECTED._replace(mask_unit="word")) == []
    assert kinds(MASKED | none, expected=Expectations()) == []


def test_of_an_example_the_first_fault_is_told():
    assert len(kinds(MASKED | {"input_mask": [0] * 8, "next_sentence_labels": [7]})) == 1


def test_sums_tell_lengths_masks_and_what_they_show():
    replaced = MASKED | {"input_ids": [2, 10, 3, 11, 99, 3, 0, 0], "next_sentence_labels": [0]}

    sums = sum_up(arrays(MASKED, replaced), MASK_ID)

    assert sums == ExampleSums(
        records=2,
        instance_tokens=12,
        padding=4,
        lengths=[0, 0, 0, 0, 0, 0, 2, 0, 0],
        random_next=1,
        predictions=4,
        without_masks=0,
        hidden=1,
        kept=2,
        replaced=1,
    )


def test_sums_add_up_whatever_their_lengths():
    values = arrays(MASKED)
    total = ExampleSums()
    for _ in range(3):
        total.add(sum_up(values, MASK_ID))
    assert total == sum_up(arrays(MASKED, MASKED, MASKED), MASK_ID)
