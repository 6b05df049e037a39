"""The report on text a vocabulary was not made from."""

import pytest

from deeq_bert.tokenizers.coverage_report import Coverage, measure_coverage, most_frequent_left_out
from deeq_bert.tokenizers.full_tokenizer import FullTokenizer


@pytest.fixture
def tokenizer(tmp_path):
    """WordPiece with a few tokens."""
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "봄", "##이", "왔다", "."]
    (tmp_path / "vocab.txt").write_text("\n".join(tokens))
    return FullTokenizer(str(tmp_path / "vocab.txt"), do_lower_case=False)


def test_tokens_are_counted_by_kind(tokenizer):
    # 봄 ##이 왔다 . and [UNK] 왔다
    coverage = measure_coverage(tokenizer, ["봄이 왔다.", "꽃이 왔다"])
    assert coverage == Coverage(lines=2, eojeols=4, tokens=6, unknown=1, single_characters=3)


def test_shares_are_of_tokens():
    coverage = Coverage(lines=1, eojeols=4, tokens=8, unknown=1, single_characters=2)
    assert coverage.unknown_share == 0.125
    assert coverage.single_character_share == 0.25
    assert coverage.tokens_per_eojeol == 2


def test_nothing_has_no_shares(tokenizer):
    coverage = measure_coverage(tokenizer, [])
    assert (coverage.unknown_share, coverage.tokens_per_eojeol) == (0, 0)


def test_the_most_frequent_words_that_are_no_tokens_are_told():
    counts = [("가나", 5), ("가다", 7), ("나가", 5), ("나라", 9), ("다", 99), ("다가", 1)]
    left_out = most_frequent_left_out(counts, ["나라"], 3)
    assert left_out == [("가다", 7), ("가나", 5), ("나가", 5)]
