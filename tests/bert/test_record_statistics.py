"""Records in shards are like those that the original's algorithm makes of the text as a whole."""

import dataclasses
import math
import pathlib

import numpy as np
import pytest

from deeq_bert.bert import record_shards
from deeq_bert.bert.examples import decode_example
from deeq_bert.bert.record_making import (
    RecordMaker,
    RecordSettings,
    SequenceLength,
    empty_documents,
)
from deeq_bert.bert.record_shards import ShardMaker
from deeq_bert.bert.records import read_records
from deeq_bert.tokenizers import files, parallel, registry
from deeq_bert.tokenizers.base import Tokenizer, TokenizerSettings

LENGTH = SequenceLength(128, 20)
SHARDS = 4
# So many standard deviations may differ what is random. The seeds are fixed, so it never varies.
DEVIATIONS = 4.0


@dataclasses.dataclass
class Statistics:
    """What is counted of records, an element each, and of their predictions.

    Attributes:
      lengths: How many ids each has.
      random_next: Whether segment B is from a random place.
      predictions: How many each has.
      first_lengths: How many of the ids are of segment A.
      hidden: Of all predictions, those that show [MASK].
      kept: Those that show the token itself.
    """

    lengths: np.ndarray
    random_next: np.ndarray
    predictions: np.ndarray
    first_lengths: np.ndarray
    hidden: np.ndarray
    kept: np.ndarray


def statistics(records, mask_id: int) -> Statistics:
    rows, shown, labels = [], [], []
    for record in records:
        example = decode_example(record)
        count = int(sum(example["masked_lm_weights"]))
        length = sum(example["input_mask"])
        rows.append(
            (
                length,
                example["next_sentence_labels"][0],
                count,
                length - sum(example["segment_ids"]),
            )
        )
        shown += [example["input_ids"][place] for place in example["masked_lm_positions"][:count]]
        labels += example["masked_lm_ids"][:count]
    hidden = np.array(shown) == mask_id
    return Statistics(*np.array(rows).T, hidden, (np.array(shown) == labels) & ~hidden)


@pytest.fixture(scope="module", params=["token", "word"])
def settings(repository, request) -> RecordSettings:
    folder = repository.parent / "shared" / "golden" / "pretraining_data"
    if not folder.is_dir():
        pytest.skip(f"no {folder}: it holds third-party text and is not in git")
    vocab_file = str(folder / "vocab-bert.txt")
    return RecordSettings(
        TokenizerSettings("wordpiece", vocab_file, do_lower_case=False),
        {"contract_version": 1},
        (LENGTH,),
        mask_unit=request.param,
        masked_lm_prob=0.15,
        short_seq_prob=0.1,
        dupe_factor=4,
        random_seed=12345,
    )


@pytest.fixture(scope="module")
def tokenizer(settings) -> Tokenizer:
    return registry.make_tokenizer(settings.tokenizer)


@pytest.fixture(scope="module")
def text(settings) -> str:
    """300 KB of real text."""
    return str(pathlib.Path(settings.tokenizer.vocab_file).parent / "ko.txt")


@pytest.fixture(scope="module")
def whole(settings, tokenizer, text) -> Statistics:
    """What the original makes: other tests hold these records against its own."""
    documents = empty_documents(settings, tokenizer)
    for lines, tokenized in parallel.tokenize_blocks_by(tokenizer, files.read_lines(text)):
        documents.add_lines(lines, tokenized)
    maker = RecordMaker(documents, tokenizer, settings, LENGTH, settings.random_seed)
    return statistics(maker.examples(), tokenizer.vocab["[MASK]"])


@pytest.fixture(scope="module")
def sharded(settings, tokenizer, text, tmp_path_factory) -> Statistics:
    path = str(tmp_path_factory.mktemp("records") / "train.tf")
    shards = record_shards.plan_shards([text], settings, SHARDS, None, False)
    run = record_shards.shard_run([text], settings, path, SHARDS)
    maker = ShardMaker(run)
    for shard in shards:
        maker.make(shard)
    paths = [run.outputs[0].shard_path(shard) for shard in shards]
    records = (record for path in paths for record in read_records(path))
    return statistics(records, tokenizer.vocab["[MASK]"])


def assert_same_mean(first: np.ndarray, second: np.ndarray) -> None:
    deviation = math.sqrt(first.var() / len(first) + second.var() / len(second))
    assert abs(first.mean() - second.mean()) < DEVIATIONS * deviation


def assert_share(flags: np.ndarray, share: float) -> None:
    deviation = math.sqrt(share * (1 - share) / len(flags))
    assert abs(flags.mean() - share) < DEVIATIONS * deviation


def distance(first: np.ndarray, second: np.ndarray) -> float:
    """Returns how far the distributions are apart, as Kolmogorov and Smirnov measure it."""
    values = np.union1d(first, second)
    shares = [
        np.searchsorted(np.sort(sample), values, side="right") / len(sample)
        for sample in (first, second)
    ]
    return float(np.abs(shares[0] - shares[1]).max())


def assert_same_distribution(first: np.ndarray, second: np.ndarray) -> None:
    # At chance this is surpassed once in 10,000 times.
    limit = math.sqrt(math.log(2e4) / 2 * (1 / len(first) + 1 / len(second)))
    assert distance(first, second) < limit


def test_as_many_records_come_of_the_text(whole, sharded):
    counts = len(whole.lengths), len(sharded.lengths)
    assert min(counts) > 2000
    assert abs(counts[0] - counts[1]) < DEVIATIONS * math.sqrt(sum(counts))


def test_as_many_have_a_random_next_sentence(whole, sharded):
    assert 0.4 < whole.random_next.mean() < 0.7
    assert_same_mean(whole.random_next, sharded.random_next)


def test_lengths_are_distributed_alike(whole, sharded):
    assert_same_distribution(whole.lengths, sharded.lengths)
    assert_same_distribution(whole.first_lengths, sharded.first_lengths)


def test_there_is_as_much_padding(whole, sharded):
    assert_same_mean(1 - whole.lengths / 128, 1 - sharded.lengths / 128)


def test_predictions_are_as_many(whole, sharded, settings):
    assert_same_mean(whole.predictions, sharded.predictions)
    assert_same_distribution(whole.predictions, sharded.predictions)
    wanted = np.clip(np.rint(sharded.lengths * settings.masked_lm_prob), 1, 20)
    if settings.mask_unit == "token":
        # [CLS] and [SEP] are counted for the share, though they are never predicted.
        np.testing.assert_array_equal(sharded.predictions, wanted)
    else:
        # What is left may be too little for a whole word.
        assert (sharded.predictions <= wanted).all()


def test_of_ten_predictions_eight_are_hidden_one_is_kept_and_one_is_another_word(whole, sharded):
    for made in (whole, sharded):
        assert_share(made.hidden, 0.8)
        assert_share(made.kept, 0.1)


def test_another_share_of_short_documents_would_be_noticed(sharded, settings, tokenizer, text):
    documents = empty_documents(settings, tokenizer)
    for lines, tokenized in parallel.tokenize_blocks_by(tokenizer, files.read_lines(text)):
        documents.add_lines(lines, tokenized)
    longer = dataclasses.replace(settings, short_seq_prob=0.0)
    maker = RecordMaker(documents, tokenizer, longer, LENGTH, settings.random_seed)
    other = statistics(maker.examples(), tokenizer.vocab["[MASK]"])
    with pytest.raises(AssertionError):
        assert_same_distribution(other.lengths, sharded.lengths)
