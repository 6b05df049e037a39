"""The sample text: what its README says of it, and what every text stage expects of text."""

import collections
import math
import re
import unicodedata

import pytest

from deeq_bert.bert.tokenization import FullTokenizer


@pytest.fixture
def sample(repository):
    return repository / "corpus" / "sample"


@pytest.fixture
def tokenizer(sample):
    return FullTokenizer(str(sample / "vocab.txt"), do_lower_case=False)


def documents_of(path):
    return [part.split("\n") for part in path.read_text("utf-8").strip("\n").split("\n\n")]


def ids_of(path, tokenizer):
    return [
        token_id
        for document in documents_of(path)
        for sentence in document
        for token_id in tokenizer.text_to_ids(sentence)
    ]


@pytest.mark.parametrize("name", ["sample.txt", "heldout.txt"])
def test_text_is_in_the_format_of_the_text_stages(sample, name):
    text = (sample / name).read_bytes().decode("utf-8")
    assert text == unicodedata.normalize("NFC", text)
    assert text.endswith("\n")
    for document in text.removesuffix("\n").split("\n\n"):
        for sentence in document.split("\n"):
            assert sentence
            assert " ".join(sentence.split()) == sentence


def test_no_sentence_stands_twice(sample):
    sentences = collections.Counter(
        sentence
        for name in ("sample.txt", "heldout.txt")
        for document in documents_of(sample / name)
        for sentence in document
    )
    assert [sentence for sentence, count in sentences.items() if count > 1] == []


def test_the_vocabulary_starts_with_that_of_the_golden_records(sample, own):
    golden = (own / "vocab.txt").read_text("utf-8").splitlines()
    assert (sample / "vocab.txt").read_text("utf-8").splitlines()[: len(golden)] == golden


def test_readme_gives_the_figures(sample, tokenizer):
    readme = (sample / "README.md").read_text("utf-8")
    for name in ("sample.txt", "heldout.txt"):
        documents = documents_of(sample / name)
        ids = ids_of(sample / name, tokenizer)
        unknown = 100 * ids.count(tokenizer.vocab["[UNK]"]) / len(ids)
        row = (
            f"| {name} | {len(documents)} | {sum(map(len, documents))} | {len(ids):,} "
            f"| {unknown:.1f}% |"
        )
        assert row in readme


def test_the_loss_of_knowing_frequencies_only_is_the_one_that_is_told(sample, tokenizer):
    counts = collections.Counter(ids_of(sample / "sample.txt", tokenizer))
    heldout = ids_of(sample / "heldout.txt", tokenizer)
    # Add-one smoothing gives unseen pieces their share.
    total = sum(counts.values()) + len(tokenizer.vocab)
    loss = -sum(math.log((counts[i] + 1) / total) for i in heldout) / len(heldout)
    assert re.search(rf"\b{loss:.2f}\b", (sample / "README.md").read_text("utf-8"))
