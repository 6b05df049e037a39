"""The original's manner of making records, in one file: a peer of pretraining_data.py.

One character at a time, tokens as strings, instances as objects, a tf.train.Example for each. Takes
the flags of bert/create_pretraining_data.py that the benchmark gives, and for one seed makes the
same records. With --tokenizer=deeq the project's own tokenizer is plugged in where WordPiece was,
as one would do it with the original.
"""

import argparse
import dataclasses
import pathlib
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

FOLDER = pathlib.Path(__file__).resolve().parent
# The benchmark tokenizers.py beside this file bears the name of Hugging Face's package.
sys.path[:] = [path for path in sys.path if path != str(FOLDER)]
sys.path.append(str(FOLDER.parent))

from plain_wordpiece import PlainTokenizer  # noqa: E402

from deeq_bert.tokenizers.analyzers.base import AnalyzerSettings  # noqa: E402
from deeq_bert.tokenizers.base import TokenizerSettings  # noqa: E402
from deeq_bert.tokenizers.errors import InputError  # noqa: E402
from deeq_bert.tokenizers.files import read_lines  # noqa: E402
from deeq_bert.tokenizers.registry import make_tokenizer  # noqa: E402
from deeq_bert.tokenizers.vocabulary import load_vocab  # noqa: E402


class Job(NamedTuple):
    """What the flags ask for; those that no benchmark changes have their defaults here."""

    input_file: str
    vocab_file: str
    output_file: str
    do_lower_case: bool
    dupe_factor: int
    max_seq_length: int
    max_predictions_per_seq: int
    do_whole_word_mask: bool
    tokenizer: str
    morpheme_cache: str | None
    num_workers: int
    masked_lm_prob: float = 0.15
    short_seq_prob: float = 0.1
    random_seed: int = 12345


@dataclasses.dataclass
class Instance:
    """An instance as the original has it."""

    tokens: list[str]
    segment_ids: list[int]
    positions: list[int]
    labels: list[str]
    is_random_next: bool


class Prediction(NamedTuple):
    """A token to predict as the original has it."""

    position: int
    label: str


class Pair(NamedTuple):
    """Two segments: tokens as strings, or as ids."""

    first: list
    second: list
    is_random_next: bool


def parse_job() -> Job:
    """Returns what the command line asks for."""
    parser = argparse.ArgumentParser(description="A peer of pretraining_data.py, which runs it.")
    for name in ("input_file", "vocab_file", "output_file"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--do_lower_case", type=_parse_bool, default=True)
    parser.add_argument("--dupe_factor", type=int, default=10)
    parser.add_argument("--max_seq_length", type=int, default=128)
    parser.add_argument("--max_predictions_per_seq", type=int, default=20)
    parser.add_argument("--do_whole_word_mask", type=_parse_bool, default=False)
    parser.add_argument("--tokenizer", choices=("wordpiece", "deeq"), default="wordpiece")
    parser.add_argument("--morpheme_cache")
    parser.add_argument("--num_workers", type=int, choices=(1,), default=1)
    return Job(**vars(parser.parse_args()))


def _parse_bool(text: str) -> bool:
    return {"True": True, "False": False}[text]


def make_records(job: Job) -> None:
    """The whole job, TensorFlow's import included, which the original does first as well."""
    import tensorflow as tf

    vocab = load_vocab(job.vocab_file)
    rng = random.Random(job.random_seed)
    documents = read_documents(job.input_file, plain_tokenizer(job, vocab))
    rng.shuffle(documents)
    words = list(vocab)
    instances = []
    for _ in range(job.dupe_factor):
        for index in range(len(documents)):
            for pair in make_pairs(documents, index, job, rng):
                instances.append(make_instance(pair, words, job, rng))
    rng.shuffle(instances)
    with tf.io.TFRecordWriter(job.output_file) as writer:
        for instance in instances:
            writer.write(
                serialise(
                    tf,
                    [vocab[token] for token in instance.tokens],
                    instance.segment_ids,
                    instance.positions,
                    [vocab[token] for token in instance.labels],
                    instance.is_random_next,
                    job,
                )
            )


def plain_tokenizer(job: Job, vocab: dict[str, int]) -> Callable[[str], list[str]]:
    if job.tokenizer == "wordpiece":
        return PlainTokenizer(vocab, job.do_lower_case).tokenize
    analyzer = AnalyzerSettings(cache_dir=job.morpheme_cache)
    return make_tokenizer(
        TokenizerSettings(job.tokenizer, job.vocab_file, analyzer=analyzer)
    ).tokenize


def read_documents(text: str, tokenize: Callable[[str], list]) -> list[list[list]]:
    documents: list[list[list]] = [[]]
    for line in read_lines(text):
        line = line.strip()
        if not line:
            documents.append([])
        elif tokens := tokenize(line):
            documents[-1].append(tokens)
    return [document for document in documents if document]


def make_pairs(
    documents: Sequence[Sequence[list]], index: int, job: Job, rng: random.Random
) -> Iterator[Pair]:
    """Yields the pairs of a document, whose tokens may be of any kind, truncated to fit."""
    document, most = documents[index], job.max_seq_length - 3
    target = rng.randint(2, most) if rng.random() < job.short_seq_prob else most
    chunk: list[list] = []
    chunk_length = place = 0
    while place < len(document):
        chunk.append(document[place])
        chunk_length += len(document[place])
        if place == len(document) - 1 or chunk_length >= target:
            first_count = rng.randint(1, len(chunk) - 1) if len(chunk) > 1 else 1
            first = [token for sentence in chunk[:first_count] for token in sentence]
            is_random_next = len(chunk) == 1 or rng.random() < 0.5
            if is_random_next:
                second = _random_next(documents, index, target - len(first), rng)
                place -= len(chunk) - first_count
            else:
                second = [token for sentence in chunk[first_count:] for token in sentence]
            while len(first) + len(second) > most:
                longer = first if len(first) > len(second) else second
                if rng.random() < 0.5:
                    del longer[0]
                else:
                    longer.pop()
            yield Pair(first, second, is_random_next)
            chunk, chunk_length = [], 0
        place += 1


def _random_next(
    documents: Sequence[Sequence[list]], index: int, length: int, rng: random.Random
) -> list:
    for _ in range(10):
        other = rng.randint(0, len(documents) - 1)
        if other != index:
            break
    tokens: list = []
    for sentence in documents[other][rng.randint(0, len(documents[other]) - 1) :]:
        tokens.extend(sentence)
        if len(tokens) >= length:
            break
    return tokens


def make_instance(pair: Pair, words: list[str], job: Job, rng: random.Random) -> Instance:
    """Returns a pair with masks."""
    tokens = ["[CLS]", *pair.first, "[SEP]", *pair.second, "[SEP]"]
    segment_ids = [0] * (len(pair.first) + 2) + [1] * (len(pair.second) + 1)
    candidates: list[list[int]] = []
    for position, token in enumerate(tokens):
        if token == "[CLS]" or token == "[SEP]":
            continue
        if job.do_whole_word_mask and candidates and token.startswith("##"):
            candidates[-1].append(position)
        else:
            candidates.append([position])
    rng.shuffle(candidates)
    masked = list(tokens)
    count = min(job.max_predictions_per_seq, max(1, int(round(len(tokens) * job.masked_lm_prob))))
    predictions: list[Prediction] = []
    covered: set[int] = set()
    for candidate in candidates:
        if len(predictions) >= count:
            break
        if len(predictions) + len(candidate) > count or any(p in covered for p in candidate):
            continue
        for position in candidate:
            covered.add(position)
            if rng.random() < 0.8:
                masked[position] = "[MASK]"
            elif rng.random() >= 0.5:
                masked[position] = words[rng.randint(0, len(words) - 1)]
            predictions.append(Prediction(position, tokens[position]))
    predictions.sort(key=lambda prediction: prediction.position)
    return Instance(
        masked,
        segment_ids,
        [prediction.position for prediction in predictions],
        [prediction.label for prediction in predictions],
        pair.is_random_next,
    )


def serialise(
    tf: Any,
    input_ids: list[int],
    segment_ids: list[int],
    positions: list[int],
    masked_lm_ids: list[int],
    is_random_next: bool,
    job: Job,
) -> bytes:
    """Returns the tf.train.Example of an instance as bytes, everything padded."""

    def integers(values: list[int], length: int) -> Any:
        values = values + [0] * (length - len(values))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    weights = [1.0] * len(masked_lm_ids)
    weights += [0.0] * (job.max_predictions_per_seq - len(weights))
    features = {
        "input_ids": integers(input_ids, job.max_seq_length),
        "input_mask": integers([1] * len(input_ids), job.max_seq_length),
        "segment_ids": integers(segment_ids, job.max_seq_length),
        "masked_lm_positions": integers(positions, job.max_predictions_per_seq),
        "masked_lm_ids": integers(masked_lm_ids, job.max_predictions_per_seq),
        "masked_lm_weights": tf.train.Feature(float_list=tf.train.FloatList(value=weights)),
        "next_sentence_labels": integers([int(is_random_next)], 1),
    }
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return example.SerializeToString()


if __name__ == "__main__":
    try:
        make_records(parse_job())
    except InputError as error:
        sys.exit(f"ERROR: {error}")
