"""What run_pretraining.py gains from --length_buckets, with and without in one run.

    python tests/benchmarks/length_buckets.py --vocab_file=vocab.txt comments.txt articles.txt

Records of 128 and of 512 tokens are made of each text. A small BERT then trains on a whole window
of batches of like lengths, and between them on batches as they are otherwise, on one core. Figures
are of CPU seconds, which other programs on the machine hardly change. Compiling is not counted.
"""

import argparse
import collections
import itertools
import os
import pathlib
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "bert" / "create_pretraining_data.py"
# Tokens and predictions a sequence.
SIZES = ((128, 20), (512, 77))
MODEL = {
    "hidden_size": 256,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 1024,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
}
BATCH_SIZE, BATCHES, SEED = 32, 64, 12345
# After so many batches of like lengths comes one of the others, which all take as long.
ONE_FULL_AFTER = 8


def main() -> None:
    options = parse_arguments()
    # Before TensorFlow counts the cores.
    os.sched_setaffinity(0, {options.core})
    print(f"{MODEL}, batches of {BATCH_SIZE}")
    with tempfile.TemporaryDirectory() as folder:
        for text in options.texts:
            for length, predictions in SIZES:
                path = os.path.join(folder, f"{length}.tfrecord")
                make_records(text, path, length, predictions, options)
                compare(f"{os.path.basename(text)}, {length} tokens", path, length, predictions)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("texts", nargs="+", help="text files, as create_pretraining_data.py reads")
    parser.add_argument("--vocab_file", required=True, help="their vocabulary, cased WordPiece")
    parser.add_argument("--megabytes", type=float, default=3.0, help="how much to take of each")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    options = parser.parse_args()
    with open(options.vocab_file, encoding="utf-8") as file:
        MODEL["vocab_size"] = sum(1 for _ in file)
    return options


def make_records(
    text: str, path: str, length: int, predictions: int, options: argparse.Namespace
) -> None:
    """Makes records of the start of a text."""
    start = path + ".txt"
    with open(text, encoding="utf-8") as source, open(start, "w", encoding="utf-8") as target:
        for line in source:
            target.write(line)
            if target.tell() >= options.megabytes * 1e6:
                break
    flags = {
        "input_file": start,
        "vocab_file": options.vocab_file,
        "do_lower_case": False,
        "max_seq_length": length,
        "max_predictions_per_seq": predictions,
        "dupe_factor": 1,
        "output_file": path,
    }
    command = [sys.executable, SCRIPT, *(f"--{name}={value}" for name, value in flags.items())]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def compare(title: str, path: str, length: int, predictions: int) -> None:
    """Trains on both kinds of batches in turn, and prints what was measured."""
    import tensorflow as tf

    from deeq_bert.bert.config import BertConfig
    from deeq_bert.bert.phases import Phase
    from deeq_bert.bert.pretraining_records import PhaseRecords
    from deeq_bert.bert.pretraining_run import PretrainingRun
    from deeq_bert.bert.records import RecordSet

    run = PretrainingRun(
        BertConfig.from_dict(MODEL),
        tf.distribute.OneDeviceStrategy("/cpu:0"),
        "float32",
        False,
        "adam",
        SEED,
        length_buckets=True,
    )
    phase = Phase("", "", length, predictions, BATCH_SIZE, 1, 100_000, 10_000, 1e-4)
    with RecordSet.scan([path]) as records:
        opened = PhaseRecords(records, None, {}, None, None)
        kinds = []
        for full_length in (False, True):
            with run.batches(phase, opened, BATCH_SIZE, 0, full_length) as batches:
                kinds.append(list(itertools.islice(batches, BATCHES)))
        count = len(records)
    bucketed, full = kinds
    train_step = run.train_step(phase, BATCH_SIZE)
    step = itertools.count()

    def seconds(batch) -> float:
        start = time.process_time()
        float(train_step(batch, next(step), 0.0)["loss"])
        return time.process_time() - start

    by_length = {batch["input_ids"].shape[1]: batch for batch in [*bucketed, *full]}
    for batch in [*by_length.values(), *by_length.values()]:
        seconds(batch)
    with_buckets, without = [], []
    for number, batch in enumerate(bucketed):
        with_buckets.append(seconds(batch))
        if number % ONE_FULL_AFTER == 0:
            without.append(seconds(full[number]))

    tokens_with, tokens_without = (
        sum(int(tf.reduce_sum(batch["input_mask"])) for batch in kind) for kind in kinds
    )
    places = sum(tf.size(batch["input_ids"]).numpy() for batch in bucketed)
    lengths = collections.Counter(batch["input_ids"].shape[1] for batch in bucketed)
    speeds = (
        tokens_without / BATCHES / (sum(without) / len(without)),
        tokens_with / sum(with_buckets),
    )
    print(f"\n{title}: {count:,} records; batches of each length: {dict(sorted(lengths.items()))}")
    print(
        f"  padding {1 - tokens_without / (BATCHES * BATCH_SIZE * length):.1%} without, "
        f"{1 - tokens_with / places:.1%} with --length_buckets"
    )
    print(
        f"  tokens that are no padding a CPU second: {speeds[0]:,.0f} without, {speeds[1]:,.0f} "
        f"with: {speeds[1] / speeds[0]:.2f} times"
    )


if __name__ == "__main__":
    main()
