"""How fast records become batches: ours, and tf.data's in the manner of the original.

    python tests/benchmarks/input_pipeline.py
    python tests/benchmarks/input_pipeline.py --max_seq_length=512 --max_predictions_per_seq=77

Records of random ids are made first. All contestants then run in turn in this process, which is
bound to one core, and are timed in CPU seconds over all threads: the figures are examples a second
and core, and their ratios hold on a busy machine. Ours reads at random out of all records,
verifies them and checks every value; tf.data reads in order, and shuffles the last hundred.
"""

import argparse
import contextlib
import itertools
import os
import pathlib
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "bert"))

VOCAB_SIZE = 32_000
CLS, SEP, MASK = 2, 3, 4
MASKED_LM_PROB = 0.15
SEED = 12345


def main() -> None:
    options = parse_arguments()
    if options.core is not None:
        # Before TensorFlow counts the cores.
        os.sched_setaffinity(0, {options.core})
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        static = pathlib.Path(folder, "static.tfrecord")
        unmasked = pathlib.Path(folder, "unmasked.tfrecord")
        write_records(static, unmasked, options)
        print(
            f"{options.records:,} records of {options.max_seq_length} ids and "
            f"{options.max_predictions_per_seq} predictions; with --dynamic_masking they take "
            f"{unmasked.stat().st_size / static.stat().st_size:.2f} of the room. Best of "
            f"{options.repeats} rounds."
        )
        for batch_size in options.batch_sizes:
            compare(static, unmasked, batch_size, options)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--max_seq_length", type=int, default=128)
    parser.add_argument("--max_predictions_per_seq", type=int, default=20)
    parser.add_argument("--batch_sizes", type=int, nargs="+", default=[32, 256])
    parser.add_argument("--records", type=int, default=20_000, help="how many to make")
    parser.add_argument("--examples", type=int, default=20_000, help="how many to read a round")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--core", type=int, default=min(os.sched_getaffinity(0)))
    parser.add_argument("--folder", help="where the temporary files go")
    return parser.parse_args()


def compare(
    static: pathlib.Path, unmasked: pathlib.Path, batch_size: int, options: argparse.Namespace
) -> None:
    """Prints the speeds of all contestants at a batch size."""
    contestants = {
        "ours, masked before": lambda: our_batches(static, batch_size, None, options),
        "ours, tokens masked anew": lambda: our_batches(unmasked, batch_size, "token", options),
        "ours, words masked anew": lambda: our_batches(unmasked, batch_size, "word", options),
        "tf.data, parse each, then batch": lambda: tf_data_batches(
            static, batch_size, False, options
        ),
        "tf.data, batch, then parse": lambda: tf_data_batches(static, batch_size, True, options),
    }
    speeds = dict.fromkeys(contestants, 0.0)
    for _ in range(options.repeats):
        for name, make in contestants.items():
            speeds[name] = max(speeds[name], speed(make, batch_size, options.examples))
    print(f"\nBatches of {batch_size}: examples/s and core, and as a multiple of the original's")
    of_original = speeds["tf.data, parse each, then batch"]
    for name, value in speeds.items():
        print(f"  {name:<34} {value:9,.0f} {value / of_original:7.2f}")


def speed(make: Callable[[], Iterator], batch_size: int, examples: int) -> float:
    """Returns how many examples a CPU second becomes batches, once the pipeline runs."""
    batch_count = max(1, examples // batch_size)
    with contextlib.closing(make()) as batches:
        # What is read ahead by then is read ahead at the end too.
        for _ in itertools.islice(batches, 20):
            pass
        started = time.process_time()
        for _ in itertools.islice(batches, batch_count):
            pass
        return batch_count * batch_size / (time.process_time() - started)


def our_batches(
    path: pathlib.Path, batch_size: int, mask_unit: str | None, options: argparse.Namespace
) -> Iterator:
    from deeq_bert.bert.dynamic_masking import DynamicMasking
    from deeq_bert.bert.input_pipeline import RecordBatches
    from deeq_bert.bert.records import RecordSet

    length, predictions = options.max_seq_length, options.max_predictions_per_seq
    masking = None
    if mask_unit:
        masking = DynamicMasking(MASK, VOCAB_SIZE, mask_unit, MASKED_LM_PROB, predictions, SEED)
    with RecordSet.scan([str(path)]) as records:
        batches = RecordBatches(records, length, predictions, VOCAB_SIZE, masking)
        with contextlib.closing(batches.for_training(batch_size, 0, SEED)) as training:
            yield from training


def tf_data_batches(
    path: pathlib.Path, batch_size: int, batch_first: bool, options: argparse.Namespace
) -> Iterator:
    """What the original's input_fn_builder does, or the same with parsing after batching."""
    import tensorflow as tf

    length, predictions = options.max_seq_length, options.max_predictions_per_seq
    features = {
        "input_ids": tf.io.FixedLenFeature([length], tf.int64),
        "input_mask": tf.io.FixedLenFeature([length], tf.int64),
        "segment_ids": tf.io.FixedLenFeature([length], tf.int64),
        "masked_lm_positions": tf.io.FixedLenFeature([predictions], tf.int64),
        "masked_lm_ids": tf.io.FixedLenFeature([predictions], tf.int64),
        "masked_lm_weights": tf.io.FixedLenFeature([predictions], tf.float32),
        "next_sentence_labels": tf.io.FixedLenFeature([1], tf.int64),
    }

    def parse(record):
        parse_record = tf.io.parse_example if batch_first else tf.io.parse_single_example
        example = parse_record(record, features)
        return {
            name: tf.cast(value, tf.int32) if value.dtype == tf.int64 else value
            for name, value in example.items()
        }

    dataset = tf.data.TFRecordDataset(str(path)).repeat().shuffle(100, SEED)
    if batch_first:
        dataset = dataset.batch(batch_size, drop_remainder=True).map(parse)
    else:
        dataset = dataset.map(parse, num_parallel_calls=4).batch(batch_size, drop_remainder=True)
    yield from dataset.prefetch(8)


def write_records(static: pathlib.Path, unmasked: pathlib.Path, options) -> None:
    """Writes the same instances twice: with masks, and to be masked when they are read."""
    from instance_rows import encode_row

    from deeq_bert.bert.example_encoding import ExampleEncoder
    from deeq_bert.bert.records import frame_record

    masked_encoder = ExampleEncoder(
        options.max_seq_length, options.max_predictions_per_seq, VOCAB_SIZE
    )
    unmasked_encoder = ExampleEncoder(options.max_seq_length, None, VOCAB_SIZE)
    with open(static, "wb") as masked_file, open(unmasked, "wb") as unmasked_file:
        for masked_instance, unmasked_instance in instances(options):
            masked_file.write(frame_record(encode_row(masked_encoder, masked_instance)))
            unmasked_file.write(frame_record(encode_row(unmasked_encoder, unmasked_instance)))


def instances(options: argparse.Namespace) -> Iterable[tuple]:
    """Random instances, one of ten short, in words of one to three tokens; as both kinds."""
    from instance_rows import TrainingInstance, UnmaskedInstance

    from deeq_bert.bert.instance_blocks import NEVER_MASKED
    from deeq_bert.tokenizers.base import WORD_START

    rng = random.Random(SEED)
    for _ in range(options.records):
        length = options.max_seq_length
        if rng.random() < 0.1:
            length = rng.randint(5, length)
        ids = [min(VOCAB_SIZE - 1, 5 + int(rng.paretovariate(0.35))) for _ in range(length)]
        units = bytearray(WORD_START * (rng.random() < 0.55) for _ in range(length))
        middle = length // 2
        for place, id_ in ((0, CLS), (middle, SEP), (length - 1, SEP)):
            ids[place], units[place] = id_, NEVER_MASKED
        count = min(options.max_predictions_per_seq, max(1, round(length * MASKED_LM_PROB)))
        candidates = [place for place in range(1, length - 1) if place != middle]
        positions = sorted(rng.sample(candidates, min(count, len(candidates))))
        labels = [ids[place] for place in positions]
        is_random = rng.random() < 0.5
        yield (
            TrainingInstance(ids, middle + 1, positions, labels, is_random),
            UnmaskedInstance(ids, bytes(units), middle + 1, is_random),
        )


if __name__ == "__main__":
    main()
