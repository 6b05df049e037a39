"""Pre-trains BERT on masked words and next sentences, and evaluates it on held-out records.

python bert/run_pretraining.py \
  --bert_config_file=configs/bert_config.json --input_file="/data/bert/train*.tf" \
  --output_dir=/data/out/bert --do_train=True --do_eval=True \
  --eval_input_file="/data/bert/heldout*.tf" \
  --train_batch_size=256 --num_train_steps=1000000 --num_warmup_steps=10000 \
  --learning_rate=1e-4 --gpus=all

The same command goes on where a stopped run left off. Exit codes: 0 done; 1 a flag or a file cannot
be used; 3 the loss is not finite any more; 130 or 143 stopped.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from absl import flags, logging
from tqdm import tqdm

from deeq_bert.bert import distribution, record_info
from deeq_bert.bert.config import BertConfig
from deeq_bert.bert.record_checks import check_records_match
from deeq_bert.bert.records import RecordSet
from deeq_bert.tokenizers import command_line, tokenizer_flags
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import expand_patterns, make_folder, write_atomically

if TYPE_CHECKING:
    import tensorflow as tf

    from deeq_bert.bert import checkpoint, heads, input_pipeline, training

FLAGS = flags.FLAGS

flags.DEFINE_string(
    "bert_config_file",
    None,
    "The JSON file with the sizes of the model. Its vocab_size must cover the vocabulary the "
    "records were made with.",
    required=True,
)
flags.DEFINE_string(
    "input_file",
    None,
    "The TFRecord files to train on, as create_pretraining_data.py writes them: paths and glob "
    "patterns, separated by commas.",
    required=True,
)
flags.DEFINE_string(
    "output_dir",
    None,
    "The folder for checkpoints, event files and results. A run that was stopped goes on from the "
    "last checkpoint in it.",
    required=True,
)
flags.DEFINE_string(
    "eval_input_file",
    None,
    "The TFRecord files to evaluate on, in the form of --input_file; without it those of "
    "--input_file. Must not hold text that is trained on if the result is to mean anything.",
)
flags.DEFINE_string(
    "init_checkpoint",
    None,
    "A checkpoint to start from, such as one of Google's. Only weights are taken, no optimizer "
    "state, and only where --output_dir has no checkpoint yet.",
)
flags.DEFINE_integer(
    "max_seq_length",
    128,
    "The length of the sequences. Must match the records.",
    lower_bound=5,
)
flags.DEFINE_integer(
    "max_predictions_per_seq",
    20,
    "The number of masked positions a sequence. Must match the records.",
    lower_bound=1,
)
flags.DEFINE_bool("do_train", False, "Whether to train.")
flags.DEFINE_bool("do_eval", False, "Whether to evaluate, after training if there is any.")
flags.DEFINE_integer(
    "train_batch_size",
    32,
    "Sequences a step, over all devices. Must divide by their number.",
    lower_bound=1,
    upper_bound=2**20,
)
flags.DEFINE_integer(
    "eval_batch_size",
    8,
    "Sequences a step of evaluation, over all devices. Must divide by their number.",
    lower_bound=1,
    upper_bound=2**20,
)
flags.DEFINE_float(
    "learning_rate", 5e-5, "The learning rate at its highest, after the warm-up.", lower_bound=0.0
)
flags.DEFINE_integer(
    "num_train_steps",
    100000,
    "The number of steps of the whole run; the learning rate falls to 0 at its end.",
    lower_bound=1,
)
flags.DEFINE_integer(
    "num_warmup_steps",
    10000,
    "The number of steps over which the learning rate rises from 0.",
    lower_bound=0,
)
flags.DEFINE_integer(
    "save_checkpoints_steps", 1000, "A checkpoint is written every so many steps.", lower_bound=1
)
flags.DEFINE_integer(
    "keep_checkpoint_max",
    5,
    "How many checkpoints are kept, the oldest deleted first; 0 keeps all.",
    lower_bound=0,
)
flags.DEFINE_integer("max_eval_steps", 100, "The most steps an evaluation takes.", lower_bound=1)
flags.DEFINE_integer(
    "log_steps",
    100,
    "Loss, speed and time left are logged, and written as events, every so many steps.",
    lower_bound=1,
)
flags.DEFINE_integer(
    "random_seed",
    12345,
    "Fixes the initial weights, the order of the records and the dropout.",
    lower_bound=0,
    upper_bound=2**31 - 1,
)
flags.DEFINE_string(
    "gpus",
    "all",
    'The GPUs to use: how many ("2"), which ("0,2", or "3," for one), "all", or "0" for the CPU.',
)
flags.DEFINE_float(
    "peak_tflops",
    None,
    "What one device can do at most in the precision used, in 10^12 operations a second by its "
    "data sheet; the log then shows model FLOPs utilisation (MFU) against it.",
    lower_bound=1e-6,
)
flags.DEFINE_bool(
    "skip_bad_records",
    False,
    "Whether records that are cut off or do not fit their checksum are left out and counted, "
    "instead of being an error.",
)
tokenizer_flags.define_mismatch_flag()

# Known so that old command lines get one sentence about them rather than "unknown flag".
flags.DEFINE_bool("use_tpu", False, "Refused: this program runs on GPUs and CPUs.")
for _name in ("tpu_name", "tpu_zone", "gcp_project", "master"):
    flags.DEFINE_string(_name, None, "Refused: it is about TPUs.")
flags.DEFINE_integer("num_tpu_cores", 8, "Has no effect: it is about TPUs.")
flags.DEFINE_integer("iterations_per_loop", 1000, "Has no effect: it is about TPUs.")


_TPU_FLAGS = ("use_tpu", "tpu_name", "tpu_zone", "gcp_project", "master")
_IDLE_FLAGS = ("num_tpu_cores", "iterations_per_loop")
# A run that goes on with another value of one of these is another run; its owner should know.
_RUN_FLAGS = (
    "train_batch_size",
    "learning_rate",
    "num_train_steps",
    "num_warmup_steps",
    "random_seed",
)


def main() -> None:
    _check_flags()
    config = BertConfig.from_json_file(FLAGS.bert_config_file)
    _check_config(config)
    make_folder(FLAGS.output_dir)
    records = eval_records = None
    if FLAGS.do_train or not FLAGS.eval_input_file:
        records = eval_records = _open_records("input_file", config)
    if FLAGS.do_eval and FLAGS.eval_input_file:
        eval_records = _open_records("eval_input_file", config)
    infos = _known_infos(records, eval_records, config)
    # Importing TensorFlow takes seconds; what can be refused without it has been by now.
    _run(config, records, eval_records, infos)


def _check_flags() -> None:
    """Refuses flags that do not go together."""
    given = [f"--{name}" for name in _TPU_FLAGS if FLAGS[name].value]
    if given:
        raise InputError(
            f"{' and '.join(given)}: this program runs on GPUs and CPUs, not on TPUs. Leave TPU "
            "flags out and choose devices with --gpus."
        )
    for name in _IDLE_FLAGS:
        if command_line.explicitly_given(name):
            logging.warning("--%s is about TPUs and has no effect.", name)
    if not FLAGS.do_train and not FLAGS.do_eval:
        raise InputError("There is nothing to do: give --do_train=True, --do_eval=True or both.")
    for name in ("bert_config_file", "input_file", "output_dir"):
        if not FLAGS[name].value:
            raise InputError(f"--{name} is empty; give it a value, or see --help.")
    for name in ("learning_rate", "peak_tflops"):
        # The upper bound is what float32 can hold.
        if FLAGS[name].value is not None and not FLAGS[name].value < 3e38:
            raise InputError(f"--{name}={FLAGS[name].value} is not a finite number.")
    distribution.check_gpus(FLAGS.gpus)
    if FLAGS.do_train and FLAGS.num_warmup_steps >= FLAGS.num_train_steps:
        logging.warning(
            "--num_warmup_steps=%d is not below --num_train_steps=%d: the learning rate is still "
            "rising when the run ends and never reaches %g.",
            FLAGS.num_warmup_steps,
            FLAGS.num_train_steps,
            FLAGS.learning_rate,
        )


def _check_config(config: BertConfig) -> None:
    """Refuses a sequence that is longer than the model's positions."""
    if FLAGS.max_seq_length > config.max_position_embeddings:
        raise InputError(
            f"--max_seq_length={FLAGS.max_seq_length} is more than the max_position_embeddings "
            f"{config.max_position_embeddings} of {FLAGS.bert_config_file}. Lower the one or raise "
            "the other; the records must match."
        )
    if config.type_vocab_size < 2:
        raise InputError(
            f"type_vocab_size is {config.type_vocab_size} in {FLAGS.bert_config_file}; "
            "pre-training has two segments, so it must be 2 or more."
        )


def _open_records(flag: str, config: BertConfig) -> RecordSet:
    """Finds and checks the records that `flag` names."""
    files, unmatched = expand_patterns(FLAGS[flag].value)
    if not files:
        raise InputError(
            f"No file matches --{flag}={FLAGS[flag].value}. Expected TFRecord files, as "
            "create_pretraining_data.py writes them; put quotes around patterns."
        )
    files = record_info.without_info_files(files)
    for pattern in unmatched:
        logging.warning("No file matches %s in --%s.", pattern, flag)
    if len(set(files)) < len(files):
        logging.warning("--%s names some files more than once; they count as often.", flag)
    for file in files:
        if not os.path.isfile(file):
            raise InputError(
                f"--{flag}: {file} is not a regular file, and cannot be read at random."
            )
    logging.info("*** Records of --%s ***", flag)
    for file in files:
        logging.info("  %s", file)
    size = sum(os.path.getsize(file) for file in files)
    with tqdm(total=size, unit="B", unit_scale=True, desc="checking records", disable=None) as bar:
        records = RecordSet.scan(files, FLAGS.skip_bad_records, bar.update)
    for path, skipped in records.skipped.items():
        lost = f"; the {skipped.lost_bytes:,} bytes from the last of them on could not be read"
        logging.warning(
            "%s: left out %d damaged record(s), the first being record %d: %s%s.",
            path,
            skipped.count,
            skipped.first_record,
            skipped.reason,
            lost if skipped.lost_bytes else "",
        )
    if not len(records):
        raise InputError(f"There is not one record in --{flag}={FLAGS[flag].value}.")
    check_records_match(
        records, FLAGS.max_seq_length, FLAGS.max_predictions_per_seq, config.vocab_size
    )
    return records


def _known_infos(
    records: RecordSet | None, eval_records: RecordSet | None, config: BertConfig
) -> dict[str, dict[str, Any]]:
    """Returns what is known of the records, checked against each other and against the model."""
    paths = [
        path for record_set in (records, eval_records) if record_set for path in record_set.paths
    ]
    infos = record_info.known_infos(paths)
    if not infos:
        return infos
    models = [FLAGS.output_dir]
    if FLAGS.init_checkpoint:
        models.append(os.path.dirname(FLAGS.init_checkpoint))
    path, info = next(iter(infos.items()))
    try:
        record_info.check_one_tokenizer(infos)
        for folder in models:
            record_info.check_model_tokenizer(path, info, folder)
    except InputError as error:
        tokenizer_flags.refuse_unless_allowed(error)
    record_info.check_vocab_size(path, info, config.vocab_size, FLAGS.bert_config_file)
    return infos


def _run(
    config: BertConfig,
    records: RecordSet | None,
    eval_records: RecordSet | None,
    infos: Mapping[str, dict[str, Any]],
) -> None:
    """Trains and evaluates, as the flags say, on the devices they name."""
    import tensorflow as tf

    from deeq_bert.bert import checkpoint, heads

    devices = distribution.use_gpus(FLAGS.gpus)
    _report_devices(devices)
    distribution.check_global_batch("train_batch_size", FLAGS.train_batch_size, len(devices))
    distribution.check_global_batch("eval_batch_size", FLAGS.eval_batch_size, len(devices))
    strategy = distribution.make_strategy(devices)
    folder = checkpoint.CheckpointFolder(FLAGS.output_dir, FLAGS.keep_checkpoint_max)
    # A run that only reads may look in on one that trains.
    with folder.locked() if FLAGS.do_train else contextlib.nullcontext(), strategy.scope():
        try:
            model = heads.PretrainingModel(config, FLAGS.random_seed)
            if FLAGS.do_train:
                step = _train(strategy, model, records, folder, infos)
            else:
                step = _load_for_evaluation(model, folder)
            if FLAGS.do_eval:
                _evaluate(strategy, model, eval_records, step)
        except tf.errors.ResourceExhaustedError as error:
            raise InputError(
                f"A device has not enough memory: {error.message.splitlines()[0]} Lower "
                "--train_batch_size or --eval_batch_size, choose a smaller model, or use more GPUs."
            ) from error


def _report_devices(devices: Sequence[str]) -> None:
    """Logs what the run is computed on."""
    if devices != ["/cpu:0"]:
        logging.info("Devices: %s, for --gpus=%s.", ", ".join(devices), FLAGS.gpus)
    elif FLAGS.gpus == "0":
        logging.info("Devices: the CPU, as --gpus=0 asks.")
    else:
        logging.warning(
            "NO GPU WAS FOUND: THE CPU SERVES, AND IS FAR SLOWER. If this machine has a GPU, see "
            "whether `nvidia-smi` lists it, and install CUDA with: pip install -e '.[gpu]'."
        )


def _train(
    strategy: tf.distribute.Strategy,
    model: heads.PretrainingModel,
    records: RecordSet,
    folder: checkpoint.CheckpointFolder,
    infos: Mapping[str, dict[str, Any]],
) -> int:
    """Trains up to --num_train_steps, from the last checkpoint if there is one.

    Returns:
      The number of updates behind the model.
    """
    from deeq_bert.bert import meters, optimization, pretraining, training

    optimizer = optimization.create_optimizer(model.variables)
    variables = {**model.variables, **optimizer.slots}
    first_step, position = _restore_or_initialize(model, variables, records, folder)
    last_step = FLAGS.num_train_steps
    if first_step >= last_step:
        log = logging.warning if first_step > last_step else logging.info
        log(
            "Training is finished: %d steps are done and --num_train_steps is %d.",
            first_step,
            last_step,
        )
        return first_step
    config = model.bert.config
    write_atomically(
        os.path.join(FLAGS.output_dir, "bert_config.json"), config.to_json_string().encode()
    )
    if infos:
        record_info.hand_on_tokenizer(next(iter(infos.values())), FLAGS.output_dir)
    _describe_training(model, records, position)

    batches = _record_batches(records, config).for_training(
        FLAGS.train_batch_size, position, FLAGS.random_seed
    )
    train_step = training.make_train_step(
        strategy,
        list(model.variables.values()),
        optimizer,
        lambda step: optimization.learning_rate_at_step(
            step, FLAGS.learning_rate, last_step, FLAGS.num_warmup_steps
        ),
        pretraining.make_replica_loss(model, FLAGS.train_batch_size),
        FLAGS.random_seed,
    )
    throughput = meters.Throughput(
        meters.training_flops_per_sequence(
            config, FLAGS.max_seq_length, FLAGS.max_predictions_per_seq
        ),
        FLAGS.train_batch_size,
        strategy.num_replicas_in_sync,
        FLAGS.peak_tflops,
    )
    events = meters.EventWriter(FLAGS.output_dir)
    bar = tqdm(total=last_step, initial=first_step, unit="step", desc="training", disable=None)

    def progress() -> None:
        throughput.count_step()
        bar.update()

    def report(step: int, means: dict[str, float]) -> None:
        figures = throughput.report(last_step - step)
        bar.clear()
        logging.info("%s", meters.log_line(step, means, figures))
        events.write(step, {**means, **figures})

    def save(step: int) -> None:
        start = time.perf_counter()
        if not training.all_finite(variables.values()):
            raise training.NonFiniteLossError(step, "weight")
        examples = position + (step - first_step) * FLAGS.train_batch_size
        path = folder.save(step, variables, _resume_state(examples, records))
        throughput.exclude(time.perf_counter() - start)
        bar.clear()
        logging.info("Saved %s.", path)

    if folder.latest() is None:
        save(0)  # What cannot be written shows now, not after the first thousand steps.
    try:
        training.run_steps(
            train_step,
            distribution.distribute(strategy, batches),
            first_step,
            last_step,
            FLAGS.log_steps,
            FLAGS.save_checkpoints_steps,
            report,
            save,
            progress,
        )
    except training.NonFiniteLossError as error:
        _report_divergence(error, folder)
    except KeyboardInterrupt as interrupt:
        command_line.fail(
            f"Stopped. The same command goes on from {folder.last()}.",
            command_line.interrupt_code(interrupt),
        )
    finally:
        batches.close()
        bar.close()
    return last_step


def _report_divergence(
    error: training.NonFiniteLossError, folder: checkpoint.CheckpointFolder
) -> None:
    """Ends the run, with a checkpoint to go on from that does not lead straight back there."""
    withdrawn = None
    if error.quantity != "weight" and folder.last().endswith(f"-{error.step - 1}"):
        # Loss and gradient of a step are those of the weights the step before it left.
        withdrawn = folder.withdraw_last()
    command_line.fail(
        f"A {error.quantity.replace('_', ' ')} is not finite at step {error.step}, and nothing "
        f"was saved after it; {folder.last()} is the last good checkpoint"
        f"{f' ({withdrawn} leads there, and was taken off the list)' if withdrawn else ''}. Lower "
        "--learning_rate or raise --num_warmup_steps, and run again to go on from there.",
        code=3,
    )


def _record_batches(records: RecordSet, config: BertConfig) -> input_pipeline.RecordBatches:
    from deeq_bert.bert import input_pipeline

    return input_pipeline.RecordBatches(
        records, FLAGS.max_seq_length, FLAGS.max_predictions_per_seq, config.vocab_size
    )


def _restore_or_initialize(
    model: heads.PretrainingModel,
    variables: Mapping[str, tf.Variable],
    records: RecordSet,
    folder: checkpoint.CheckpointFolder,
) -> tuple[int, int]:
    """Gives the variables their values: of the last checkpoint, or of --init_checkpoint.

    Returns:
      The number of updates behind them, and of examples consumed.
    """
    from deeq_bert.bert import initialization

    latest = folder.latest()
    if latest is None:
        if FLAGS.init_checkpoint:
            initialization.initialize(FLAGS.init_checkpoint, model.variables)
        return 0, 0
    step, state = initialization.restore(latest, variables)
    logging.info("Going on from %s.", latest)
    _warn_of_unused_init_checkpoint(latest)
    examples = state.get("examples", step * FLAGS.train_batch_size)
    for name, value in _resume_state(examples, records).items():
        if state.get(name, value) != value:
            logging.warning("Going on with %s = %s; it was %s before.", name, value, state[name])
    return step, examples


def _warn_of_unused_init_checkpoint(latest: str) -> None:
    if FLAGS.init_checkpoint:
        logging.warning("--init_checkpoint is not used, since there is %s.", latest)


def _resume_state(examples: int, records: RecordSet) -> dict:
    """Returns what a checkpoint keeps besides the variables."""
    flag_values = {name: FLAGS[name].value for name in _RUN_FLAGS}
    return {"examples": examples, "records": len(records), **flag_values}


def _describe_training(model: heads.PretrainingModel, records: RecordSet, examples: int) -> None:
    """Logs what is about to happen: sizes, batch, steps and how often the records are seen."""
    parameters = sum(math.prod(variable.shape) for variable in model.variables.values())
    total = FLAGS.num_train_steps * FLAGS.train_batch_size
    logging.info("***** Running training *****")
    logging.info("  Parameters = %s", f"{parameters:,}")
    logging.info("  Examples found = %s", f"{len(records):,}")
    logging.info("  Global batch = %d", FLAGS.train_batch_size)
    logging.info(
        "  Steps = %d, hence %.4g epochs, %.4g of them done",
        FLAGS.num_train_steps,
        total / len(records),
        examples / len(records),
    )


def _load_for_evaluation(model: heads.PretrainingModel, folder: checkpoint.CheckpointFolder) -> int:
    """Gives the model the weights of the last checkpoint, or of --init_checkpoint.

    Returns:
      The number of updates behind them; 0 for --init_checkpoint, as in the original.
    """
    from deeq_bert.bert import initialization

    latest = folder.latest()
    if latest is not None:
        logging.info("Evaluating %s.", latest)
        _warn_of_unused_init_checkpoint(latest)
        step, _ = initialization.restore(latest, model.variables)
        return step
    if not FLAGS.init_checkpoint:
        raise InputError(
            f"There is no checkpoint to evaluate in --output_dir={FLAGS.output_dir}. Train first, "
            "or name one with --init_checkpoint."
        )
    initialization.initialize(FLAGS.init_checkpoint, model.variables)
    return 0


def _evaluate(
    strategy: tf.distribute.Strategy,
    model: heads.PretrainingModel,
    records: RecordSet,
    step: int,
) -> None:
    """Evaluates the model, logs the metrics and writes eval_results.txt."""
    from deeq_bert.bert import meters, pretraining

    examples = min(len(records), FLAGS.max_eval_steps * FLAGS.eval_batch_size)
    logging.info("***** Running evaluation *****")
    logging.info("  Examples = %s of %s", f"{examples:,}", f"{len(records):,}")
    batches = _record_batches(records, model.bert.config).for_evaluation(
        FLAGS.eval_batch_size, FLAGS.max_eval_steps
    )
    metrics = pretraining.evaluate(
        pretraining.make_eval_step(strategy, model),
        distribution.distribute(strategy, batches),
    )
    meters.EventWriter(os.path.join(FLAGS.output_dir, "eval")).write(step, metrics)
    if not all(map(math.isfinite, metrics.values())):
        command_line.fail(f"The metrics of step {step} are not finite: {metrics}.", code=3)
    results = {"global_step": step, **metrics}
    lines = [f"{name} = {results[name]!s}" for name in sorted(results)]
    logging.info("***** Eval results *****")
    for line in lines:
        logging.info("  %s", line)
    write_atomically(
        os.path.join(FLAGS.output_dir, "eval_results.txt"),
        "".join(f"{x}\n" for x in lines).encode(),
    )


if __name__ == "__main__":
    command_line.run(main)
