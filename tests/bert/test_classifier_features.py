"""Features of examples, equal to the original's."""

import gzip
import json
import random

import numpy as np
import pytest

from deeq_bert.bert import classifier_features
from deeq_bert.bert.classifier_features import convert_examples, convert_single_example
from deeq_bert.bert.task_examples import InputExample
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.full_tokenizer import FullTokenizer

NLI = ("contradiction", "entailment", "neutral")
PARTS = ("input_ids", "input_mask", "segment_ids")


@pytest.fixture
def tokenizer(own):
    return FullTokenizer(str(own / "vocab.txt"), do_lower_case=False)


def example_of(row):
    return InputExample("x", row["text_a"], row["text_b"], row["label"])


def test_features_are_those_of_the_original(golden):
    with gzip.open(golden / "classifier" / "features.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = list(map(json.loads, file))
    assert len(rows) == 312
    vocab = str(golden / "pretraining_data" / "vocab-bert.txt")
    for lower in (False, True):
        tokenizer = FullTokenizer(vocab, do_lower_case=lower)
        for length in sorted({row["max_seq_length"] for row in rows}):
            some = [
                row
                for row in rows
                if (row["do_lower_case"], row["max_seq_length"]) == (lower, length)
            ]
            features = convert_examples(list(map(example_of, some)), NLI, length, tokenizer)
            for index, row in enumerate(some):
                for name in PARTS:
                    assert features[name][index].tolist() == row[name]
                assert features["label_ids"][index] == row["label_id"]
                single = convert_single_example(example_of(row), NLI, length, tokenizer)
                assert single._asdict() == {name: row[name] for name in (*PARTS, "label_id")}


def test_shapes_and_types(tokenizer):
    features = convert_examples([InputExample("0", "서울")], NLI, 16, tokenizer)
    assert list(features) == [*PARTS, "label_ids"]
    assert all(array.dtype == np.int32 for array in features.values())
    assert features["input_ids"].shape == (1, 16) and features["label_ids"].shape == (1,)


def test_scores_are_floats(tokenizer):
    examples = [InputExample("0", "서울", "부산", 2.5), InputExample("1", "서울", "부산", None)]
    labels = convert_examples(examples, (), 16, tokenizer)["labels"]
    assert labels.dtype == np.float32 and labels.tolist() == [2.5, 0.0]


def test_an_example_without_a_label_has_the_first(tokenizer):
    features = convert_examples([InputExample("0", "서울")], NLI, 16, tokenizer)
    assert features["label_ids"].tolist() == [0]


def test_a_second_text_without_tokens_is_none(tokenizer):
    examples = [InputExample("0", "서울", text) for text in (None, "", " ")]
    features = convert_examples(examples, (), 16, tokenizer)
    assert (features["input_ids"] == features["input_ids"][0]).all()


class LineByLine(FullTokenizer):
    """Takes its texts through one stream of lines, as the server of an analyser does."""

    def tokenize_lines(self, lines):
        return super().tokenize_lines("\n".join(lines).splitlines())


def test_line_breaks_in_a_text_do_not_shift_the_others(own, tokenizer):
    examples = [InputExample("0", "서울\n부산\r\n대구", "서\r울"), InputExample("1", "서울")]
    expected = convert_examples(examples, (), 24, tokenizer)
    by_line = LineByLine(str(own / "vocab.txt"), do_lower_case=False)
    found = convert_examples(examples, (), 24, by_line)
    assert (found["input_ids"] == expected["input_ids"]).all()


@pytest.mark.parametrize("seed", range(20))
def test_the_longer_text_is_cut_token_by_token(seed):
    rng = random.Random(seed)
    for _ in range(200):
        a, b, space = rng.randrange(1, 40), rng.randrange(1, 40), rng.randrange(2, 50)
        left, right = a, b
        while left + right > space:
            if left > right:
                left -= 1
            else:
                right -= 1
        assert classifier_features._cut_lengths(a, b, space) == (left, right)


def test_a_vocabulary_that_does_not_fit_is_warned_of(tokenizer, caplog):
    examples = [InputExample("0", "☃ ☃ ☃ 서울")] * 3
    with caplog.at_level("WARNING", logger="absl"):
        convert_examples(examples, (), 16, tokenizer)
    assert "of all tokens are [UNK]" in caplog.text


def test_how_many_were_cut_is_told(tokenizer, caplog):
    examples = [InputExample("0", "서울 " * 30), InputExample("1", "서울")]
    with caplog.at_level("INFO", logger="absl"):
        convert_examples(examples, (), 16, tokenizer)
    assert "1 of 2 examples are longer than 16 tokens" in caplog.text


def test_a_length_without_room_for_text_is_refused(tokenizer):
    with pytest.raises(InputError, match="max_seq_length=4: too short"):
        convert_examples([], NLI, 4, tokenizer)


def test_a_vocabulary_that_was_not_made_for_bert_is_refused(tmp_path):
    (tmp_path / "vocab.txt").write_text("[UNK]\n[CLS]\n가\n")
    with pytest.raises(InputError, match=r"vocab.txt has no \[SEP\]"):
        convert_examples([], NLI, 16, FullTokenizer(str(tmp_path / "vocab.txt")))
