"""The door to tokenizers: equal to Google's on its recorded outputs, and consistent in itself."""

import gzip
import json
import pathlib
import pickle
import random
import subprocess
import sys
import unicodedata
from collections.abc import Iterator

import pytest

from deeq_bert.bert import tokenization
from deeq_bert.bert.tokenization import FullTokenizer, validate_case_matches_checkpoint
from deeq_bert.tokenizers import characters
from deeq_bert.tokenizers.errors import InputError

PREDICATES = {
    "whitespace": characters.is_whitespace,
    "control": characters.is_control,
    "punctuation": characters.is_punctuation,
    "chinese": lambda char: characters.is_chinese_char(ord(char)),
    "str_isspace": str.isspace,
    "Mn": lambda char: unicodedata.category(char) == "Mn",
}


@pytest.fixture
def write_vocabulary(tmp_path):
    def write(*tokens: str) -> str:
        path = tmp_path / "vocab.txt"
        path.write_text("\n".join(tokens) + "\n", encoding="utf-8")
        return str(path)

    return write


def recorded_pairs(path: pathlib.Path) -> Iterator[dict]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def characters_of_another_unicode(golden: pathlib.Path) -> frozenset[str]:
    """Those whose class this Python's Unicode may see differently from the recorded version."""
    classes = json.loads((golden / "tokenization" / "char_classes.json").read_text("utf-8"))
    if classes["unidata_version"] == unicodedata.unidata_version:
        return frozenset()
    # Not assigned here, but perhaps there, with a lower-case form or parts.
    different = {
        char for char in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(char) == "Cn"
    }
    for name, predicate in PREDICATES.items():
        there = {chr(point) for first, last in classes[name] for point in range(first, last + 1)}
        here = {char for char in map(chr, range(sys.maxunicode + 1)) if predicate(char)}
        different |= there ^ here
    return frozenset(different)


def differing(pairs, vocab_file: pathlib.Path) -> list[tuple[str, str]]:
    """The pairs, by kind and text, for which anything differs from what was recorded."""
    tokenizers = {
        do_lower_case: FullTokenizer(str(vocab_file), do_lower_case)
        for do_lower_case in (False, True)
    }
    wrong = []
    for pair in pairs:
        ours, text = tokenizers[pair["do_lower_case"]], pair["text"]
        words = ours.basic_tokenizer.tokenize(text)
        by_parts = [piece for word in words for piece in ours.wordpiece_tokenizer.tokenize(word)]
        equal = (
            words == pair.get("basic", words)
            and by_parts == pair["tokens"]
            and ours.tokenize(text) == pair["tokens"]
            and ours.text_to_ids(text) == pair["ids"]
            and ours.convert_tokens_to_ids(pair["tokens"]) == pair["ids"]
            and ours.convert_ids_to_tokens(pair["ids"]) == pair["tokens"]
        )
        if not equal:
            wrong.append((pair["kind"], ascii(text)))
    return wrong


def test_tokens_of_the_sample_are_the_originals(own):
    pairs = list(recorded_pairs(own / "tokens.jsonl.gz"))
    assert len(pairs) == 1132
    assert not differing(pairs, own / "vocab.txt")


def test_tokens_of_every_recorded_kind_are_the_originals(golden):
    left_out = characters_of_another_unicode(golden)
    pairs = list(recorded_pairs(golden / "tokenization" / "tokens.jsonl.gz"))
    assert len(pairs) == 3606
    comparable = [pair for pair in pairs if left_out.isdisjoint(pair["text"])]
    # Text of code points drawn from all of Unicode nearly always holds some unassigned ones.
    assert len(comparable) > 3000
    assert not differing(comparable, golden / "pretraining_data" / "vocab-bert.txt")


@pytest.mark.parametrize("do_lower_case", [False, True])
def test_ids_are_those_of_the_tokens_for_random_text(own, do_lower_case):
    ours = FullTokenizer(str(own / "vocab.txt"), do_lower_case)
    chance = random.Random(11)
    sample = (own / "sample.txt").read_text("utf-8")
    for _ in range(1000):
        start = chance.randrange(len(sample))
        odd = "".join(chr(chance.randrange(sys.maxunicode + 1)) for _ in range(10))
        text = sample[start : start + chance.randrange(60)] + odd
        tokens = ours.tokenize(text)
        assert ours.text_to_ids(text) == ours.convert_tokens_to_ids(tokens), ascii(text)
        assert ours.convert_ids_to_tokens(ours.text_to_ids(text)) == tokens, ascii(text)


def test_bytes_give_the_tokens_of_the_text(own):
    ours = FullTokenizer(str(own / "vocab.txt"), do_lower_case=False)
    text = "안개가 짙게 끼었다."
    assert ours.tokenize(text.encode() + b"\xff") == ours.tokenize(text)
    assert ours.text_to_ids(text.encode()) == ours.text_to_ids(text)


def test_lower_casing_is_the_default_as_in_the_original(write_vocabulary):
    assert FullTokenizer(write_vocabulary("[UNK]", "a")).tokenize("A") == ["a"]


def test_special_tokens_in_text_are_ordinary_text(write_vocabulary):
    ours = FullTokenizer(write_vocabulary("[UNK]", "[CLS]", "[", "]", "CLS"), do_lower_case=False)
    assert ours.tokenize("[CLS] [UNK]") == ["[", "CLS", "]", "[", "[UNK]", "]"]


def test_vocabulary_both_ways(write_vocabulary):
    ours = FullTokenizer(write_vocabulary("[UNK]", "a", "", "##b", "a"))
    assert ours.vocab == {"[UNK]": 0, "a": 4, "": 2, "##b": 3}
    assert ours.inv_vocab == {0: "[UNK]", 4: "a", 2: "", 3: "##b"}
    assert ours.text_to_ids("ab b") == [4, 3, 0]


def test_continuation_ids_are_the_pieces_within_words(write_vocabulary):
    ours = FullTokenizer(write_vocabulary("[UNK]", "#", "##", "가", "##가", "가##"))
    assert ours.continuation_ids == {2, 4}


def test_text_is_shown_but_has_no_ids_without_an_unknown_token(write_vocabulary):
    ours = FullTokenizer(write_vocabulary("가", "나"), do_lower_case=False)
    assert ours.text_to_ids("가 나") == [0, 1]
    assert ours.tokenize("가 다") == ["가", "[UNK]"]
    with pytest.raises(InputError, match=r"vocab\.txt has no \[UNK\]"):
        ours.text_to_ids("가 다")


def test_unknown_tokens_and_ids_are_key_errors(write_vocabulary):
    ours = FullTokenizer(write_vocabulary("[UNK]"))
    with pytest.raises(KeyError, match="없음"):
        ours.convert_tokens_to_ids(["없음"])
    with pytest.raises(KeyError, match="7"):
        ours.convert_ids_to_tokens([7])


def test_a_tokenizer_can_be_sent_to_a_worker_process(own):
    ours = FullTokenizer(str(own / "vocab.txt"), do_lower_case=False)
    text = "안개가 짙게 끼었다."
    ids = ours.text_to_ids(text)
    assert pickle.loads(pickle.dumps(ours)).text_to_ids(text) == ids


def test_functions_with_the_originals_names():
    assert tokenization.convert_tokens_to_ids({"a": 3}, ["a", "a"]) == [3, 3]
    assert tokenization.convert_ids_to_tokens({3: "a"}, [3]) == ["a"]
    assert tokenization.convert_by_vocab({"a": 3}, ["a"]) == [3]
    assert tokenization.whitespace_tokenize(" a\u2028b  c\n") == ["a", "b", "c"]
    assert tokenization.convert_to_unicode("가".encode()) == "가"
    assert tokenization.printable_text("가".encode()) == "가"


@pytest.mark.parametrize(
    ("model", "do_lower_case"),
    [
        ("uncased_L-24_H-1024_A-16", True),
        ("uncased_L-12_H-768_A-12", True),
        ("multilingual_L-12_H-768_A-12", True),
        ("chinese_L-12_H-768_A-12", True),
        ("cased_L-12_H-768_A-12", False),
        ("cased_L-24_H-1024_A-16", False),
        ("multi_cased_L-12_H-768_A-12", False),
    ],
)
def test_published_models_need_their_case(model, do_lower_case):
    checkpoint = f"/models/{model}/bert_model.ckpt"
    validate_case_matches_checkpoint(do_lower_case, checkpoint)
    with pytest.raises(InputError, match=f"Give --do_lower_case={do_lower_case}"):
        validate_case_matches_checkpoint(not do_lower_case, checkpoint)


@pytest.mark.parametrize(
    "checkpoint",
    [
        None,
        "",
        "bert_model.ckpt",
        "/models/ours/bert_model.ckpt",
        "cased_L-12_H-768_A-12/model.ckpt-7",
    ],
)
@pytest.mark.parametrize("do_lower_case", [False, True])
def test_other_checkpoints_go_with_either_case(checkpoint, do_lower_case):
    validate_case_matches_checkpoint(do_lower_case, checkpoint)


def test_importing_it_does_not_import_tensorflow():
    code = "import sys, deeq_bert.bert.tokenization; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
