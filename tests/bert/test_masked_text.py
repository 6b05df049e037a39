"""Masks in text: what the model reads around them, and how predictions are put in their place."""

import pathlib
from collections.abc import Iterator

import pytest

from deeq_bert.bert.masked_text import encode_masked_text, fill_mask
from deeq_bert.tokenizers.analyzers.base import AnalyzerSettings
from deeq_bert.tokenizers.base import Encoding, Tokenizer, TokenizerSettings
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.registry import make_tokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PIECES = ["서울", "##은", "수도", "##도", "##입", "##입니다", "입", "다", "좋", ".", "은", "big"]
MORPHEMES = ["서울", "은", "수도", "이", "ㅂ니다", ".", "먹", "었", "다", "를", "밥", "을"]


@pytest.fixture
def wordpiece(tmp_path) -> Tokenizer:
    return make_wordpiece(tmp_path, do_lower_case=False)


def make_wordpiece(folder: pathlib.Path, do_lower_case: bool) -> Tokenizer:
    vocab_file = write_vocabulary(folder, PIECES)
    return make_tokenizer(TokenizerSettings("wordpiece", vocab_file, do_lower_case))


# Once for the module: Kiwi takes a second to load.
@pytest.fixture(scope="module", params=["deeq", "deeq-wordpiece"])
def morphemes(request, tmp_path_factory) -> Iterator[Tokenizer]:
    yield from make_morpheme_tokenizer(request.param, tmp_path_factory.mktemp("morphemes"))


@pytest.fixture(scope="module")
def compatible(tmp_path_factory) -> Iterator[Tokenizer]:
    yield from make_morpheme_tokenizer("deeq", tmp_path_factory.mktemp("morphemes"), True)


def make_morpheme_tokenizer(
    name: str, folder: pathlib.Path, deeq_compat: bool = False
) -> Iterator[Tokenizer]:
    pytest.importorskip("kiwipiepy")
    settings = TokenizerSettings(
        name,
        write_vocabulary(folder, MORPHEMES),
        deeq_compat=deeq_compat,
        analyzer=AnalyzerSettings("kiwi"),
    )
    tokenizer = make_tokenizer(settings)
    yield tokenizer
    tokenizer.close()


def write_vocabulary(folder: pathlib.Path, tokens: list[str]) -> str:
    path = folder / "vocab.txt"
    path.write_text("\n".join([*SPECIAL, *tokens]) + "\n", encoding="utf-8")
    return str(path)


def tokens_of(text: str, tokenizer: Tokenizer) -> list[str]:
    masked = encode_masked_text(text, tokenizer, 100)
    tokens = tokenizer.convert_ids_to_tokens(masked.ids)
    assert [tokens[position] for position in masked.mask_positions] == ["[MASK]"] * text.count(
        "[MASK]"
    )
    assert (tokens[0], tokens[-1]) == ("[CLS]", "[SEP]")
    return tokens[1:-1]


@pytest.mark.parametrize(
    "text, tokens",
    [
        ("서울은 [MASK]입니다.", "서울 ##은 [MASK] ##입니다 ."),
        ("서울은 [MASK] 입다.", "서울 ##은 [MASK] [UNK] ."),
        ("[MASK]. 좋", "[MASK] . 좋"),
        ("[MASK][MASK]은", "[MASK] [MASK] ##은"),
        ("수도[MASK] 다", "수도 [MASK] 다"),
        ("[MASK]", "[MASK]"),
        # A control character vanishes, and does not end the word.
        ("[MASK]\u200b은 은", "[MASK] ##은 은"),
    ],
)
def test_with_wordpiece_a_word_goes_on_after_a_mask(wordpiece, text, tokens):
    assert tokens_of(text, wordpiece) == tokens.split()


def test_what_no_pieces_continue_is_a_word_of_its_own(wordpiece):
    assert tokens_of("[MASK]다 좋", wordpiece) == ["[MASK]", "다", "좋"]


def test_what_stands_around_a_mask_is_lower_cased(tmp_path):
    tokenizer = make_wordpiece(tmp_path, do_lower_case=True)
    assert tokens_of("BIG [MASK]", tokenizer) == ["big", "[MASK]"]


@pytest.mark.parametrize(
    "text, tokens",
    [
        ("서울은 [MASK]입니다.", "서울 은 [MASK] 이 ㅂ니다 ."),
        ("[MASK]를 먹었다.", "[MASK] 를 먹 었 다 ."),
        ("[MASK]은 [MASK]이다", "[MASK] 은 [MASK] 이 다"),
        ("밥을 먹[MASK]다", "밥 을 먹 [MASK] 다"),
        ("[MASK] [MASK] [MASK]", "[MASK] [MASK] [MASK]"),
    ],
)
def test_morphemes_are_those_that_stand_beside_a_noun(morphemes, text, tokens):
    assert tokens_of(text, morphemes) == tokens.split()


@pytest.mark.parametrize("text", ["[MASK]은 밥을 먹[MASK]다", "먹[MASK]다 먹[MASK]다"])
def test_every_mask_is_one_with_the_quirks_of_the_first_deeq_tokenizer(compatible, text):
    assert tokens_of(text, compatible).count("[MASK]") == 2


class WordTokenizer(Tokenizer):
    """What a plug-in may be: whole words, and nothing known of special tokens."""

    def encode(self, text: str) -> Encoding:
        tokens = [word if word in self.vocab else "[UNK]" for word in text.split()]
        ids = self.convert_tokens_to_ids(tokens)
        return Encoding(tokens, ids, [0] * len(ids), [0] * len(ids), bytes(len(ids)))


def test_for_other_tokenizers_the_text_is_cut_at_the_masks(tmp_path):
    tokenizer = WordTokenizer(write_vocabulary(tmp_path, ["서울", "입니다"]))
    masked = encode_masked_text("서울 [MASK]입니다", tokenizer, 10)
    assert tokenizer.convert_ids_to_tokens(masked.ids)[1:-1] == ["서울", "[MASK]", "입니다"]
    assert fill_mask(masked, 0, tokenizer.vocab["서울"], tokenizer) == "서울 서울 입니다"


@pytest.mark.parametrize("text", ["", "  \t"])
def test_an_empty_text_is_refused(wordpiece, text):
    with pytest.raises(InputError, match="The text is empty"):
        encode_masked_text(text, wordpiece, 10)


def test_a_text_without_a_mask_is_refused(wordpiece):
    with pytest.raises(InputError, match=r'"서울은 \[mask\]" has no \[MASK\]; put it, in capital'):
        encode_masked_text("서울은 [mask]", wordpiece, 10)


def test_a_text_that_the_model_has_no_positions_for_is_refused(wordpiece):
    assert encode_masked_text("[MASK] 좋 좋", wordpiece, 5)
    with pytest.raises(InputError, match="has 5 tokens with .* takes 4. Shorten it."):
        encode_masked_text("[MASK] 좋 좋", wordpiece, 4)


@pytest.mark.parametrize(
    "text, mask, token, filled",
    [
        ("서울은 [MASK]입니다.", 0, "수도", "서울은 수도입니다."),
        ("서울 [MASK] 좋", 0, "##은", "서울은 좋"),
        ("서울[MASK] 좋", 0, "##은", "서울은 좋"),
        ("서울[MASK] 좋", 0, "좋", "서울 좋 좋"),
        ("서울[MASK]", 0, ".", "서울."),
        ("[MASK] [MASK]", 1, "좋", "[MASK] 좋"),
        ("[MASK]", 0, "##도", "도"),
    ],
)
def test_with_wordpiece_a_prediction_stands_in_the_text_as_it_was(
    wordpiece, text, mask, token, filled
):
    masked = encode_masked_text(text, wordpiece, 100)
    assert fill_mask(masked, mask, wordpiece.vocab[token], wordpiece) == filled


def test_a_predicted_morpheme_is_joined_with_its_neighbours(morphemes):
    masked = encode_masked_text("서울은 [MASK]입니다.", morphemes, 100)
    assert fill_mask(masked, 0, morphemes.vocab["수도"], morphemes) == "서울은 수도입니다."
    masked = encode_masked_text("밥을 먹[MASK]다.", morphemes, 100)
    assert fill_mask(masked, 0, morphemes.vocab["었"], morphemes) == "밥을 먹었다."
