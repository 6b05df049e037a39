"""How fast text becomes records: the script, and the original's manner, as whole processes.

    python tests/benchmarks/pretraining_data.py --vocab_file=vocab.txt corpus.txt ...
    python tests/benchmarks/pretraining_data.py --data_dir=DIR    # of shared/data/unpack.sh

The script runs on all of the text (a sentence a line, a blank line between documents), and then on
the first megabytes of it beside a plain form of the same algorithm in one file, as the original
has it: one character at a time, tokens as strings, instances as objects, tf.train.Example. Time is
that of the CPU, user and system, start-up included; the records of both are compared.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import random
import re
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests"))

from plain_wordpiece import PlainTokenizer  # noqa: E402

from deeq_bert.bert.examples import decode_example  # noqa: E402
from deeq_bert.bert.records import read_records  # noqa: E402
from deeq_bert.tokenizers.errors import InputError  # noqa: E402
from deeq_bert.tokenizers.files import read_lines  # noqa: E402
from deeq_bert.tokenizers.vocabulary import load_vocab  # noqa: E402

SCRIPT = ROOT / "bert" / "create_pretraining_data.py"
GOLDEN_VOCABULARY = ROOT.parent / "shared/golden/pretraining_data/vocab-bert.txt"

# The flags' defaults, which both sides are run with.
MAX_SEQ_LENGTH = 128
MAX_PREDICTIONS_PER_SEQ = 20
MASKED_LM_PROB = 0.15
SHORT_SEQ_PROB = 0.1
RANDOM_SEED = 12345


@dataclasses.dataclass
class Run:
    """What a process took."""

    cpu_seconds: float
    wall_seconds: float
    peak_mebibytes: float
    record_count: int


def main() -> None:
    options = parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        text, part = os.path.join(folder, "text.txt"), os.path.join(folder, "part.txt")
        write_text(source_lines(options), text)
        write_text(leading_documents(text, options.peer_megabytes * 1e6), part)
        print(f"{'':<30}  dupe    MB   CPU s  wall s     MB/s  instances/s  peak MiB")
        for dupe_factor in options.dupe_factors:
            run_script(options, text, os.path.join(folder, "ours"), dupe_factor)
        for dupe_factor in options.dupe_factors:
            our_records, peer_records = (os.path.join(folder, name) for name in ("ours", "peer"))
            ours = run_script(options, part, our_records, dupe_factor)
            peer = run_peer(options, part, peer_records, dupe_factor)
            print(
                f"  the plain form takes {peer.cpu_seconds / ours.cpu_seconds:.1f} times the time "
                f"and {peer.peak_mebibytes / ours.peak_mebibytes:.1f} times the memory; "
                f"{compare(our_records, peer_records)}"
            )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", help="text files")
    parser.add_argument("--data_dir", help="without files: the folder of the unpacked shared/data")
    parser.add_argument("--vocab_file", default=str(GOLDEN_VOCABULARY), help="one token a line")
    parser.add_argument("--do_lower_case", action="store_true")
    parser.add_argument(
        "--dupe_factors", type=lambda text: [int(part) for part in text.split(",")], default=[1, 5]
    )
    parser.add_argument("--peer_megabytes", type=float, default=2, help="what the plain form gets")
    options = parser.parse_args()
    if not options.files and not options.data_dir:
        parser.error("give text files, or --data_dir")
    return options


def source_lines(options: argparse.Namespace) -> Iterator[str]:
    for path in options.files:
        yield from read_lines(path)
    if not options.files:
        folder = pathlib.Path(options.data_dir) / "corpus/web/petitions_jsonl"
        for path in sorted(folder.glob("*.jsonl")):
            for record in read_lines(str(path)):
                sentences = re.split(r"(?<=[.!?])\s+|\n", json.loads(record)["content"])
                yield from filter(None, map(str.strip, sentences))
                yield ""


def leading_documents(path: str, size: float) -> Iterator[str]:
    """The lines of the documents that begin in the first `size` bytes."""
    for line in read_lines(path):
        size -= len(line.encode()) + 1
        if size < 0 and not line:
            return
        yield line


def write_text(lines: Iterable[str], path: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


def run_script(options: argparse.Namespace, text: str, records: str, dupe_factor: int) -> Run:
    command = [
        sys.executable,
        str(SCRIPT),
        f"--input_file={text}",
        f"--vocab_file={options.vocab_file}",
        f"--output_file={records}",
        f"--do_lower_case={options.do_lower_case}",
        f"--dupe_factor={dupe_factor}",
    ]
    return measure("create_pretraining_data.py", command, text, records, dupe_factor)


def run_peer(options: argparse.Namespace, text: str, records: str, dupe_factor: int) -> Run:
    arguments = [text, options.vocab_file, records, str(options.do_lower_case), str(dupe_factor)]
    command = [sys.executable, __file__, "--as_peer", *arguments]
    return measure("the plain form", command, text, records, dupe_factor)


def measure(name: str, command: list[str], text: str, records: str, dupe_factor: int) -> Run:
    """Runs a command that makes records of a text, prints what it took and returns it."""
    started = time.monotonic()
    with open(os.devnull, "wb") as nowhere:
        quiet = [(os.POSIX_SPAWN_DUP2, nowhere.fileno(), 2)]
        process = os.posix_spawn(command[0], command, os.environ, file_actions=quiet)
        _, status, usage = os.wait4(process, 0)
    if status:
        sys.exit(f"ERROR: {' '.join(command)} failed.")
    run = Run(
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        wall_seconds=time.monotonic() - started,
        peak_mebibytes=usage.ru_maxrss / 1024,
        record_count=sum(1 for _ in read_records(records)) if os.path.exists(records) else 0,
    )
    megabytes = os.path.getsize(text) / 1e6
    print(
        f"{name:<30} {dupe_factor:5} {megabytes:5.1f} {run.cpu_seconds:7.2f} "
        f"{run.wall_seconds:7.2f} {megabytes / run.cpu_seconds:8.2f} "
        f"{run.record_count / run.cpu_seconds:12.0f} {run.peak_mebibytes:9.0f}",
        flush=True,
    )
    return run


def compare(our_records: str, peer_records: str) -> str:
    """Says that the records are the same; stops where they are not."""
    if not os.path.exists(peer_records):
        return "it wrote nothing, since TensorFlow is not installed"
    ours = map(decode_example, read_records(our_records))
    theirs = map(decode_example, read_records(peer_records))
    count = 0
    for count, (our_example, peer_example) in enumerate(zip(ours, theirs, strict=True), start=1):
        if our_example != peer_example:
            sys.exit(f"ERROR: record {count} differs.")
    return f"its {count:,} records are the same"


@dataclasses.dataclass
class PlainInstance:
    """An instance as the plain form has it."""

    tokens: list[str]
    segment_ids: list[int]
    positions: list[int]
    labels: list[str]
    is_random_next: bool


def make_records_plainly(
    text: str, vocab_file: str, records: str, do_lower_case: str, dupe_factor: str
) -> None:
    """The whole job in the original's manner."""
    try:
        import tensorflow as tf
    except ImportError:
        tf = None
    vocab = load_vocab(vocab_file)
    tokenizer = PlainTokenizer(vocab, do_lower_case == "True")
    rng = random.Random(RANDOM_SEED)
    documents = [[]]
    for line in read_lines(text):
        line = line.strip()
        if not line:
            documents.append([])
        elif tokens := tokenizer.tokenize(line):
            documents[-1].append(tokens)
    documents = [document for document in documents if document]
    rng.shuffle(documents)
    words = list(vocab)
    instances = []
    for _ in range(int(dupe_factor)):
        for index in range(len(documents)):
            instances += plain_instances(documents, index, words, rng)
    rng.shuffle(instances)
    if tf is not None:
        write_plainly(tf, instances, vocab, records)


def plain_instances(documents, index, words, rng) -> list[PlainInstance]:
    document, most = documents[index], MAX_SEQ_LENGTH - 3
    target = rng.randint(2, most) if rng.random() < SHORT_SEQ_PROB else most
    instances, chunk, place = [], [], 0
    while place < len(document):
        chunk.append(document[place])
        if place == len(document) - 1 or sum(map(len, chunk)) >= target:
            first_count = rng.randint(1, len(chunk) - 1) if len(chunk) > 1 else 1
            first = [token for sentence in chunk[:first_count] for token in sentence]
            is_random_next = len(chunk) == 1 or rng.random() < 0.5
            if is_random_next:
                second = plain_random_next(documents, index, target - len(first), rng)
                place -= len(chunk) - first_count
            else:
                second = [token for sentence in chunk[first_count:] for token in sentence]
            while len(first) + len(second) > most:
                longer = first if len(first) > len(second) else second
                if rng.random() < 0.5:
                    del longer[0]
                else:
                    longer.pop()
            tokens = ["[CLS]", *first, "[SEP]", *second, "[SEP]"]
            segment_ids = [0] * (len(first) + 2) + [1] * (len(second) + 1)
            tokens, positions, labels = plain_mask(tokens, words, rng)
            instances.append(PlainInstance(tokens, segment_ids, positions, labels, is_random_next))
            chunk = []
        place += 1
    return instances


def plain_random_next(documents, index, length, rng) -> list[str]:
    for _ in range(10):
        other = rng.randint(0, len(documents) - 1)
        if other != index:
            break
    tokens: list[str] = []
    for sentence in documents[other][rng.randint(0, len(documents[other]) - 1) :]:
        tokens.extend(sentence)
        if len(tokens) >= length:
            break
    return tokens


class PlainPrediction(NamedTuple):
    """A token to predict as the plain form has it."""

    position: int
    label: str


def plain_mask(
    tokens: list[str], words: list[str], rng: random.Random
) -> tuple[list[str], list[int], list[str]]:
    """Returns the tokens with masks, and the positions and labels of these."""
    candidates: list[list[int]] = []
    for position, token in enumerate(tokens):
        if token != "[CLS]" and token != "[SEP]":
            candidates.append([position])
    rng.shuffle(candidates)
    masked = list(tokens)
    count = min(MAX_PREDICTIONS_PER_SEQ, max(1, int(round(len(tokens) * MASKED_LM_PROB))))
    predictions: list[PlainPrediction] = []
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
            predictions.append(PlainPrediction(position, tokens[position]))
    predictions.sort(key=lambda prediction: prediction.position)
    positions = [prediction.position for prediction in predictions]
    return masked, positions, [prediction.label for prediction in predictions]


def write_plainly(tf, instances: list[PlainInstance], vocab: dict[str, int], path: str) -> None:
    def padded(values, length):
        return values + [0] * (length - len(values))

    def integers(values):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    with tf.io.TFRecordWriter(path) as writer:
        for instance in instances:
            ids = [vocab[token] for token in instance.tokens]
            labels = [vocab[token] for token in instance.labels]
            weights = padded([1.0] * len(labels), MAX_PREDICTIONS_PER_SEQ)
            features = {
                "input_ids": integers(padded(ids, MAX_SEQ_LENGTH)),
                "input_mask": integers(padded([1] * len(ids), MAX_SEQ_LENGTH)),
                "segment_ids": integers(padded(instance.segment_ids, MAX_SEQ_LENGTH)),
                "masked_lm_positions": integers(
                    padded(instance.positions, MAX_PREDICTIONS_PER_SEQ)
                ),
                "masked_lm_ids": integers(padded(labels, MAX_PREDICTIONS_PER_SEQ)),
                "masked_lm_weights": tf.train.Feature(float_list=tf.train.FloatList(value=weights)),
                "next_sentence_labels": integers([int(instance.is_random_next)]),
            }
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString())


if __name__ == "__main__":
    try:
        if sys.argv[1:2] == ["--as_peer"]:
            make_records_plainly(*sys.argv[2:])
        else:
            main()
    except InputError as error:
        sys.exit(f"ERROR: {error}")
