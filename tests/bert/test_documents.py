"""Documents: how lines of text become documents of sentences, and what is counted on the way."""

import random
from array import array

import pytest

from deeq_bert.bert.documents import Documents, TextCounts
from deeq_bert.tokenizers.base import MORPHEME_START, WORD_START, TokenizedLines

PAD, UNK = range(2)
NEW, SAME = bytes([WORD_START | MORPHEME_START]), b"\0"
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def ids_of(line: str) -> list[int]:
    """A token a word: a letter, or unknown; "~" gives none."""
    return [
        2 + LETTERS.index(word) if word in LETTERS else UNK for word in line.split() if word != "~"
    ]


def tokenized(lines: list[str], units: bytes = b"") -> TokenizedLines:
    """The tokens of lines; the units are those of all of them."""
    of_lines = [ids_of(line) for line in lines]
    ids = array("i", [id_ for ids in of_lines for id_ in ids])
    return TokenizedLines(ids, array("i", map(len, of_lines)), units)


def read(*blocks: list[str], vocab_size: int = 28) -> Documents:
    """Adds blocks of lines, one after the other."""
    documents = Documents(vocab_size, UNK)
    for lines in blocks:
        documents.add_lines(lines, tokenized(lines))
    return documents


def texts(documents: Documents) -> list[list[str]]:
    words = ["[PAD]", "[UNK]", *LETTERS]
    return [
        [
            " ".join(
                words[id_]
                for id_ in documents.ids[
                    documents.sentence_starts[sentence] : documents.sentence_starts[sentence + 1]
                ]
            )
            for sentence in range(start, end)
        ]
        for start, end in zip(documents.document_starts, documents.document_starts[1:])
    ]


def test_sentences_stand_end_to_end():
    documents = read(["a b", "c", "", "d e"])
    assert documents.ids.tolist() == [2, 3, 4, 5, 6]
    assert documents.sentence_starts.tolist() == [0, 2, 3, 5]
    assert documents.document_starts.tolist() == [0, 2, 3]
    assert len(documents) == 2


@pytest.mark.parametrize(("vocab_size", "typecode"), [(1 << 16, "H"), ((1 << 16) + 1, "i")])
def test_ids_take_as_little_room_as_the_vocabulary_allows(vocab_size, typecode):
    documents = Documents(vocab_size, UNK)
    ids = array("i", [0, 5, vocab_size - 1])
    documents.add_lines(["text"], TokenizedLines(ids, array("i", [3]), b""))
    assert documents.ids == array(typecode, ids)


def test_a_blank_line_ends_a_document():
    assert texts(read(["a b", "c", "", "d e"])) == [["a b", "c"], ["d e"]]


def test_a_line_of_whitespace_ends_a_document():
    assert texts(read(["a", " \t\u3000", "b", "\x0c", "c"])) == [["a"], ["b"], ["c"]]


def test_a_zero_width_space_is_no_whitespace():
    assert texts(read(["a", "\u200b", "b"])) == [["a", "[UNK]", "b"]]


def test_documents_without_sentences_are_dropped():
    assert texts(read(["", "", "a", "", "~", "", "", "b", ""])) == [["a"], ["b"]]


def test_a_line_without_tokens_adds_nothing_and_ends_nothing():
    assert texts(read(["a", "~", "b"])) == [["a", "b"]]


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        ([["a"], ["b"]], [["a", "b"]]),
        ([["a", ""], ["b"]], [["a"], ["b"]]),
        ([["a"], ["", "b"]], [["a"], ["b"]]),
        ([["a"], [""], ["b"]], [["a"], ["b"]]),
        ([["a"], ["~"], ["b"]], [["a", "b"]]),
        ([["a", "", "~"], ["b"]], [["a"], ["b"]]),
        ([["a", ""], ["~", "b"]], [["a"], ["b"]]),
        ([[""], ["a"]], [["a"]]),
        ([[""], ["~"]], []),
    ],
    ids=str,
)
def test_what_ends_a_document_is_kept_in_mind(blocks, expected):
    assert texts(read(*blocks)) == expected


@pytest.mark.parametrize("seed", range(20))
def test_where_blocks_end_changes_nothing(seed):
    rng = random.Random(seed)
    lines = rng.choices(["a", "b c", "X d", "~", "", " "], k=40)
    cuts = sorted(rng.choices(range(1, 40), k=6))
    blocks = [lines[start:end] for start, end in zip([0, *cuts], [*cuts, 40]) if start < end]
    whole, in_blocks = read(lines), read(*blocks)
    assert texts(in_blocks) == texts(whole)
    assert in_blocks.counts == whole.counts


def test_reading_counts():
    counts = read(["a b X", "Y", "", "c", "~"]).counts
    assert counts == TextCounts(
        documents=2, sentences=3, tokens=5, unknown_tokens=2, characters=5 + 1 + 1 + 1
    )
    assert counts.unknown_share == pytest.approx(0.4)


def test_characters_are_counted_whatever_the_tokenizer_makes_of_them():
    # Blanks count; blank lines do not; what has no tokens does.
    assert read([" a  b", "\u3000", "가나", "~"]).counts.characters == 5 + 2 + 1
    assert read(["\u3000"], ["~"]).counts.characters == 1


def test_nothing_read_has_no_unknown_tokens():
    documents = Documents(28, UNK)
    assert documents.counts.unknown_share == 0
    assert len(documents) == 0


def test_units_are_kept_where_they_are_wanted():
    kept, dropped = Documents(28, UNK, keep_units=True), Documents(28, UNK)
    for documents in (kept, dropped):
        documents.add_lines(["a b", "", "c"], tokenized(["a b", "", "c"], NEW + SAME + NEW))
        documents.add_lines(["d"], tokenized(["d"], NEW))
    assert kept.units == NEW + SAME + NEW + NEW
    assert dropped.units == b""


def test_units_are_not_made_up():
    documents = Documents(28, UNK, keep_units=True)
    documents.add_lines(["a b"], tokenized(["a b"]))
    assert documents.units == b""
