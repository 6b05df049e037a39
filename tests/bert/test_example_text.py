"""Examples as text: what the model is shown and what it is to answer."""

import pytest

from deeq_bert.bert.example_text import HIDDEN, SPECIAL, describe_example

TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "서울", "##은", "가방", "좋", "다", "\x1b"]
MASKED = {
    "input_ids": [2, 4, 6, 3, 7, 9, 3, 0],
    "input_mask": [1, 1, 1, 1, 1, 1, 1, 0],
    "segment_ids": [0, 0, 0, 0, 1, 1, 1, 0],
    "masked_lm_positions": [1, 4, 5, 0],
    "masked_lm_ids": [5, 8, 9, 0],
    "masked_lm_weights": [1.0, 1.0, 1.0, 0.0],
    "next_sentence_labels": [0],
}
UNMASKED = {
    "input_ids": [2, 5, 6, 3, 8, 9, 3, 0],
    "input_mask": [1, 1, 1, 1, 1, 1, 1, 0],
    "segment_ids": [0, 0, 0, 0, 1, 1, 1, 0],
    "token_units": [4, 3, 0, 4, 3, 2, 4, 0],
    "next_sentence_labels": [1],
}


def test_masks_show_what_is_shown_and_what_is_to_be_predicted():
    text = describe_example(MASKED, TOKENS)
    assert text.segments == ["[CLS] [MASK→서울] ##은 [SEP]", "가방→좋 다= [SEP]"]


def test_the_label_and_the_counts_are_told_in_words():
    text = describe_example(MASKED, TOKENS)
    assert text.summary == "B follows A; 7 tokens and 1 of padding; 3 masks"


def test_unmasked_examples_show_where_words_and_morphemes_begin():
    text = describe_example(UNMASKED, TOKENS)
    assert text.segments == ["[CLS] 서울·##은 [SEP]", "좋+다 [SEP]"]
    assert text.summary.startswith("B is from a random place;")


def test_without_a_vocabulary_ids_are_shown():
    text = describe_example(MASKED, None)
    assert text.segments == ["2 4→5 6 3", "7→8 9= 3"]


def test_ids_beyond_the_vocabulary_and_what_moves_the_cursor_are_shown_by_number():
    ids = [2, 10, 999, 3, 8, 9, 3, 0]
    assert describe_example(UNMASKED | {"input_ids": ids}, TOKENS).segments[0] == (
        "[CLS] \\u001b·999 [SEP]"
    )


def test_colours_are_the_callers_choice():
    text = describe_example(MASKED, TOKENS, lambda kind, text: f"<{kind} {text}>")
    assert text.segments[0] == f"<{SPECIAL} [CLS]> <{HIDDEN} [MASK→서울]> ##은 <{SPECIAL} [SEP]>"


@pytest.mark.parametrize(
    "change",
    [
        {"segment_ids": [0, 0, 0, 7, 1, 1, 1, 0]},
        {"masked_lm_ids": [5]},
        {"next_sentence_labels": []},
        {"input_ids": [2]},
        {"input_mask": [b"1"]},
    ],
    ids=str,
)
def test_what_cannot_be_shown_is_an_error(change):
    with pytest.raises(ValueError):
        describe_example(MASKED | change, TOKENS)
