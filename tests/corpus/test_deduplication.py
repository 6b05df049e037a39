"""Exact duplicates, against a plain dictionary; and the files that say which they are."""

import collections
import os
import tracemalloc

import numpy as np
import pytest

from deeq_bert.corpus.deduplication import (
    DUPLICATE,
    KEEP,
    NUM_HASHES,
    REPEATED,
    REPEATED_FIRST,
    DecisionFile,
    HashFile,
    contains,
    hash_text,
    read_decisions,
    read_hashes,
    write_decisions,
    write_hashes,
)
from deeq_bert.corpus.exact_duplicates import RepeatedEntry, RepeatedLines, find_duplicates
from deeq_bert.tokenizers.errors import InputError

# A document is a list of lines, a part a list of documents, a corpus a list of parts.
Corpus = list[list[list[str]]]


def hashes_of(lines: list[str]) -> np.ndarray:
    return np.fromiter(map(hash_text, lines), dtype=np.uint64, count=len(lines))


def write_part(path: str, documents: list[list[str]]) -> None:
    groups = [group for group, document in enumerate(documents) for _ in document]
    lines = [line for document in documents for line in document]
    write_hashes(path, hashes_of(lines), np.array(groups, dtype=np.uint32))


@pytest.fixture
def find(tmp_path):
    """A function that finds the duplicates of a corpus: the decisions on its parts, a summary."""

    def find_in(corpus: Corpus, memory_mb: float = 1, **options):
        paths = [str(tmp_path / f"{part}.lines") for part in range(len(corpus))]
        for path, documents in zip(paths, corpus):
            write_part(path, documents)
        decision_paths = [f"{path}.decisions" for path in paths]
        summary = find_duplicates(paths, decision_paths, memory_mb, **options)
        return [read_decisions(path).tolist() for path in decision_paths], summary

    return find_in


def find_plainly(
    corpus: Corpus,
    repeated: RepeatedLines | None = None,
    dropped: list[list[bool]] | None = None,
    takes_part: list[bool] | None = None,
) -> list[list[int]]:
    """What `find_duplicates` is to decide, in the plainest way."""
    places = collections.defaultdict(list)
    decisions = []
    for part, documents in enumerate(corpus):
        decisions.append([])
        for group, document in enumerate(documents):
            for line in document:
                counts = not (dropped and dropped[part][group])
                if counts and (takes_part is None or takes_part[part]):
                    places[line].append((part, len(decisions[part]), group))
                decisions[part].append(KEEP)
    for found in places.values():
        documents_with_it = {(part, group) for part, _, group in found}
        code = DUPLICATE
        if (
            repeated
            and len(found) >= repeated.min_count
            and len(documents_with_it) >= repeated.min_documents
        ):
            code = REPEATED
        for part, index, _ in found:
            decisions[part][index] = code
        part, index, _ = found[0]
        decisions[part][index] = KEEP if code == DUPLICATE else REPEATED_FIRST
    return decisions


def random_corpus(seed: int, num_parts: int = 5) -> Corpus:
    random = np.random.default_rng(seed)

    def document() -> list[str]:
        # Low numbers come often, high ones once.
        numbers = (random.pareto(0.7, random.integers(1, 12)) * 3).astype(int) % 5000
        return [f"line {number}" for number in numbers.tolist()]

    return [[document() for _ in range(random.integers(0, 40))] for _ in range(num_parts)]


def test_the_hash_of_a_text_stays_what_it_is():
    # Files of an unfinished run hold such hashes.
    assert hash_text("") == 0xB4B2797457A0A6E4
    assert hash_text("안녕하세요") == 0x58CBFF3F60C9BA35


def test_any_string_has_a_hash():
    assert hash_text("\ud800") != hash_text("\udc00")


def test_the_first_is_kept(find):
    decisions, _ = find([[["가", "나", "가"]], [["다", "나"], ["다"]]])
    assert decisions == [[KEEP, KEEP, DUPLICATE], [KEEP, DUPLICATE, DUPLICATE]]


@pytest.mark.parametrize("memory_mb", [0.001, 0.01, 1])
@pytest.mark.parametrize("seed", range(5))
def test_decisions_are_those_of_a_dictionary(find, seed, memory_mb):
    corpus = random_corpus(seed)
    assert find(corpus, memory_mb)[0] == find_plainly(corpus)


@pytest.mark.parametrize("memory_mb", [0.001, 1])
def test_all_rules_at_once_are_those_of_a_dictionary(find, memory_mb):
    corpus = random_corpus(11, num_parts=7)
    random = np.random.default_rng(1)
    dropped = [random.random(len(documents)) < 0.3 for documents in corpus]
    takes_part = [True, True, False, True, True, False, True]
    repeated = RepeatedLines(min_count=5, min_documents=4)

    decisions, _ = find(
        corpus,
        memory_mb,
        repeated=repeated,
        dropped=lambda part: dropped[part],
        takes_part=takes_part,
    )

    expected = find_plainly(corpus, repeated, [part.tolist() for part in dropped], takes_part)
    assert decisions == expected
    assert {code for part in decisions for code in part} == {
        KEEP,
        DUPLICATE,
        REPEATED,
        REPEATED_FIRST,
    }


def test_the_summary_does_not_depend_on_memory(find):
    corpus = random_corpus(3)
    summaries = [find(corpus, memory_mb, num_most_repeated=9)[1] for memory_mb in (0.0005, 0.01, 1)]
    assert summaries[0] == summaries[1] == summaries[2]


def test_the_summary_counts(find):
    corpus = [[["a", "b", "a", "x"]], [["a", "b", "c"]]]
    _, summary = find(corpus, repeated=RepeatedLines(3, 2))
    assert (summary.num_entries, summary.num_distinct) == (7, 4)
    assert (summary.num_repeated, summary.num_duplicates) == (3, 1)


def test_the_most_repeated_come_with_their_first_place(find):
    corpus = [[["a", "b", "c", "c"]], [["b", "b"], ["c", "d", "a"]]]
    _, summary = find(corpus, num_most_repeated=2)
    assert summary.most_repeated == [
        RepeatedEntry(count=3, num_groups=2, part=0, index=1),
        RepeatedEntry(count=3, num_groups=2, part=0, index=2),
    ]


def test_what_comes_once_is_not_repeated(find):
    assert find([[["a", "b"]]], num_most_repeated=5)[1].most_repeated == []


def test_a_repeated_line_must_be_spread_over_documents(find):
    chorus = [["후렴"] * 5]
    notices = [["알림"]] * 5
    decisions, _ = find([chorus, notices], repeated=RepeatedLines(5, 3))
    assert decisions == [[KEEP] + [DUPLICATE] * 4, [REPEATED_FIRST] + [REPEATED] * 4]


def test_documents_of_different_parts_are_different(find):
    decisions, _ = find([[["알림"]], [["알림"]], [["알림"]]], repeated=RepeatedLines(3, 3))
    assert decisions == [[REPEATED_FIRST], [REPEATED], [REPEATED]]


def test_a_dropped_document_has_no_first_occurrence(find):
    corpus = [[["a"], ["b"]], [["a", "b"]]]
    dropped = [np.array([True, False]), np.array([False])]
    decisions, _ = find(corpus, dropped=lambda part: dropped[part])
    assert decisions == [[KEEP, KEEP], [KEEP, DUPLICATE]]


def test_a_part_that_takes_no_part_neither_loses_nor_takes(find):
    decisions, summary = find([[["a", "a"]], [["a", "a"]]], takes_part=[False, True])
    assert decisions == [[KEEP, KEEP], [KEEP, DUPLICATE]]
    assert summary.num_entries == 2


@pytest.mark.parametrize("corpus", [[], [[]], [[], [["a"]], []]])
def test_empty_parts_are_no_trouble(find, corpus):
    decisions, _ = find(corpus, num_most_repeated=3, repeated=RepeatedLines(2, 1))
    assert [len(part) for part in decisions] == [sum(map(len, part)) for part in corpus]


def test_one_line_alone_may_exceed_the_memory(find):
    corpus = [[["같은 줄"] * 3000] for _ in range(4)]
    decisions, _ = find(corpus, memory_mb=0.0001)
    assert sum(map(sum, decisions)) == 4 * 3000 - 1
    assert decisions[0][0] == KEEP


def test_memory_is_bounded(tmp_path):
    random = np.random.default_rng(1)
    paths = [str(tmp_path / str(part)) for part in range(10)]
    for path in paths:
        hashes = random.integers(0, NUM_HASHES - 1, 30_000, dtype=np.uint64)
        write_hashes(path, hashes, np.arange(30_000, dtype=np.uint32))
    tracemalloc.start()

    find_duplicates(paths, [f"{path}.decisions" for path in paths], memory_mb=2)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # In one range they would take 19 MB.
    assert peak < 3e6


def test_nothing_else_is_left_in_the_folder(find, tmp_path):
    find([[["a"]]])
    assert sorted(os.listdir(tmp_path)) == ["0.lines", "0.lines.decisions"]


def test_contains():
    known = np.array([2, 5, 9], dtype=np.uint64)
    asked = np.array([0, 2, 3, 9, 10], dtype=np.uint64)
    assert contains(known, asked).tolist() == [False, True, False, True, False]
    assert contains(known[:0], asked).tolist() == [False] * 5


def test_hashes_are_sorted_and_know_their_places(tmp_path):
    path = str(tmp_path / "hashes")
    hashes = np.array([7, NUM_HASHES - 1, 0, 7], dtype=np.uint64)
    write_hashes(path, hashes, np.array([0, 0, 1, 2], dtype=np.uint32))

    entries = read_hashes(path)

    assert entries.hashes.tolist() == [0, 7, 7, NUM_HASHES - 1]
    assert entries.indices.tolist() == [2, 0, 3, 1]
    assert entries.groups.tolist() == [1, 0, 2, 0]


def test_a_range_of_hashes_has_both_its_ends(tmp_path):
    path = str(tmp_path / "hashes")
    write_hashes(path, np.arange(10, dtype=np.uint64), np.zeros(10, dtype=np.uint32))
    assert HashFile(path).entries(3, 6).hashes.tolist() == [3, 4, 5, 6]


def test_groups_must_ascend(tmp_path):
    with pytest.raises(ValueError, match="ascending"):
        write_hashes(str(tmp_path / "x"), np.zeros(2, np.uint64), np.array([1, 0], np.uint32))


def test_decisions_come_back(tmp_path):
    path = str(tmp_path / "decisions")
    write_decisions(path, np.array([0, 3, 1]))
    assert read_decisions(path).tolist() == [0, 3, 1]


def test_unfinished_decisions_have_no_name(tmp_path):
    path = tmp_path / "decisions"
    decisions = DecisionFile(str(path), 4)
    decisions.enter(np.array([2, 0]), np.array([1, 2]))
    assert not path.exists()
    decisions.finish()
    assert read_decisions(str(path)).tolist() == [2, 0, 1, 0]


def shorten(content: bytes) -> bytes:
    return content[:-5]


def lengthen(content: bytes) -> bytes:
    return content + b"x"


def leave_the_header(content: bytes) -> bytes:
    return content[:10]


def empty(content: bytes) -> bytes:
    return b""


def change_the_mark(content: bytes) -> bytes:
    return b"PK" + content[2:]


def change_a_hash(content: bytes) -> bytes:
    return content[:16] + b"\xff" * 8 + content[24:]


def change_an_index(content: bytes) -> bytes:
    return content[: 16 + 8 * 3] + b"\xff" * 4 + content[16 + 8 * 3 + 4 :]


@pytest.mark.parametrize(
    "damage",
    [
        shorten,
        lengthen,
        leave_the_header,
        empty,
        change_the_mark,
        change_a_hash,
        change_an_index,
    ],
)
def test_a_damaged_file_of_hashes_is_named(tmp_path, damage):
    path = tmp_path / "part.lines"
    write_part(str(path), [["가", "나", "다"]])
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=r"part\.lines is damaged or not complete"):
        find_duplicates([str(path)], [str(tmp_path / "decisions")], 1)
    assert not (tmp_path / "decisions").exists()


def test_a_file_of_hashes_must_fit_its_documents(find):
    with pytest.raises(InputError, match=r"0\.lines is damaged"):
        find([[["a"], ["b"]]], dropped=lambda part: np.array([True]))


@pytest.mark.parametrize("damage", [shorten, lengthen, leave_the_header, change_the_mark])
def test_a_damaged_file_of_decisions_is_named(tmp_path, damage):
    path = tmp_path / "part.decisions"
    write_decisions(str(path), np.zeros(9))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=r"part\.decisions is damaged"):
        read_decisions(str(path))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"Cannot read .*none\.lines"):
        find_duplicates([str(tmp_path / "none.lines")], [str(tmp_path / "decisions")], 1)


def test_decisions_that_cannot_be_written_are_named(tmp_path):
    with pytest.raises(InputError, match="Cannot write .*nowhere/decisions"):
        DecisionFile(str(tmp_path / "nowhere" / "decisions"), 1)
