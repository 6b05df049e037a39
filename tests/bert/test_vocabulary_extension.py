import json

import numpy as np
import pytest

from deeq_bert.bert.vocabulary_extension import (
    extend_rows,
    load_vocabulary,
    match_tokens,
    vocabulary_beside,
)
from deeq_bert.tokenizers.errors import InputError

WORDPIECES = ["[PAD]", "[UNK]", "[unused0]", "학교", "학", "##교", "##에서", "가", "##가"]
MORPHEMES = ["[PAD]", "[UNK]", "학교", "학", "교", "에서"]


def rows_of(old: list[str], token: str) -> tuple[int, ...]:
    return match_tokens(old, [token]).rows[0]


def test_a_token_of_both_vocabularies_keeps_its_row():
    assert match_tokens(WORDPIECES, ["##가", "학교", "[PAD]"]).rows == [(8,), (3,), (0,)]


def test_unused_slots_match_by_name():
    assert rows_of(WORDPIECES, "[unused0]") == (2,)


def test_a_new_word_starts_from_its_pieces_the_longest_first():
    assert rows_of(WORDPIECES, "학교에서") == (3, 6)


def test_what_goes_on_with_a_word_is_made_of_pieces_that_do():
    assert rows_of(WORDPIECES, "##교에서") == (5, 6)
    assert rows_of(WORDPIECES, "##학교") == ()


def test_a_word_that_wordpiece_cannot_cut_starts_from_nothing():
    assert rows_of(WORDPIECES, "학생") == ()


def test_a_morpheme_vocabulary_passes_over_what_is_unknown_in_between():
    assert rows_of(MORPHEMES, "학생교에서") == (3, 4, 5)


def test_a_continuation_finds_its_morpheme_without_the_mark():
    assert rows_of(MORPHEMES, "##에서") == (5,)


@pytest.mark.parametrize("token", ["[MASK]", "[unused7]", ""])
def test_a_placeholder_has_no_pieces(token):
    assert rows_of([*MORPHEMES, "[", "M", "]"], token) == ()


def test_a_repeated_token_has_its_last_row():
    assert rows_of(["가", "나", "가"], "가") == (2,)


def test_all_tokens_are_counted_once():
    sources = match_tokens(WORDPIECES, ["[PAD]", "[UNK]", "학교", "학교에서", "새", "", "[MASK]"])

    counts = (sources.kept, sources.from_pieces, sources.from_nothing, sources.dropped)
    assert counts == (3, 1, 2, 6)


def test_rows_are_kept_averaged_or_left():
    old = np.arange(18, dtype=np.float32).reshape(9, 2)
    initial = np.full((4, 2), -1, np.float32)
    sources = match_tokens(WORDPIECES, ["가", "학교에서", "새"])

    extended = extend_rows(sources, old, initial)

    # Row 7; the mean of rows 3 and 6; nothing; a row beyond the vocabulary.
    assert extended.tolist() == [[14, 15], [9, 10], [-1, -1], [-1, -1]]
    assert extended.dtype == np.float32


def test_biases_go_the_way_of_the_rows():
    old = np.arange(9, dtype=np.float32)

    extended = extend_rows(
        match_tokens(WORDPIECES, ["학교에서", "가"]), old, np.zeros(2, np.float32)
    )

    assert extended.tolist() == [4.5, 7]


def test_kept_rows_are_bit_for_bit_the_same():
    tokens = [f"t{number}" for number in range(50)]
    old = np.random.default_rng(1).normal(size=(50, 7)).astype(np.float32)
    order = np.random.default_rng(2).permutation(50)

    sources = match_tokens(tokens, [tokens[row] for row in order])

    np.testing.assert_array_equal(extend_rows(sources, old, np.zeros_like(old)), old[order])


def test_the_vocabulary_beside_a_checkpoint(tmp_path):
    (tmp_path / "vocab.txt").write_text("가\n")

    assert vocabulary_beside(f"{tmp_path}/model.ckpt-7") == f"{tmp_path}/vocab.txt"
    assert vocabulary_beside(str(tmp_path)) == f"{tmp_path}/vocab.txt"


def test_the_contract_says_what_the_vocabulary_is_called(tmp_path):
    (tmp_path / "words.txt").write_text("가\n")
    (tmp_path / "vocab.txt").write_text("나\n")
    contract = {"contract_version": 1, "vocab_file": "../words.txt"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(contract))

    assert vocabulary_beside(str(tmp_path)) == f"{tmp_path}/words.txt"


def test_no_vocabulary_beside_a_checkpoint(tmp_path):
    assert vocabulary_beside(f"{tmp_path}/model.ckpt-7") is None


def test_lines_have_their_numbers_as_ids(tmp_path):
    (tmp_path / "vocab.txt").write_text("가\n나\n\n가\n")

    # Of a repeated token the last line counts.
    assert load_vocabulary(f"{tmp_path}/vocab.txt") == ["", "나", "", "가"]


def write_tokenizer(folder, model: object, added: object = None) -> str:
    path = folder / "tokenizer.json"
    path.write_text(json.dumps({"model": model, "added_tokens": added}))
    return str(path)


def test_transformers_5_leaves_a_tokenizer_json_only(tmp_path):
    model = {"type": "WordPiece", "vocab": {"[PAD]": 0, "나": 2, "가": 1}}
    path = write_tokenizer(tmp_path, model, [{"content": "새", "id": 4}])

    assert vocabulary_beside(str(tmp_path)) == path
    assert load_vocabulary(path) == ["[PAD]", "가", "나", "", "새"]


def test_a_vocabulary_of_another_kind_is_left_alone(tmp_path):
    path = write_tokenizer(tmp_path, {"type": "Unigram", "vocab": [["가", -1.5]]})

    assert vocabulary_beside(str(tmp_path)) is None
    with pytest.raises(InputError, match="holds no WordPiece vocabulary"):
        load_vocabulary(path)


@pytest.mark.parametrize("index", [-1, 10**12, "1", None, True, [1]])
def test_an_absurd_id_is_refused(tmp_path, index):
    path = write_tokenizer(tmp_path, {"type": "WordPiece", "vocab": {"가": index}})

    with pytest.raises(InputError, match="expected ids from 0 to"):
        load_vocabulary(path)


def test_an_absurd_added_token_is_refused(tmp_path):
    model = {"type": "WordPiece", "vocab": {"가": 0}}

    with pytest.raises(InputError, match="expected ids from 0 to"):
        load_vocabulary(write_tokenizer(tmp_path, model, [{"content": ["나"], "id": 1}]))
