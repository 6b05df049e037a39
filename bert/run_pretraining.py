"""Pre-trains BERT on masked words and next sentences, and evaluates it on held-out records.

python bert/run_pretraining.py \
  --bert_config_file=configs/bert_config.json --input_file="/data/bert/train*.tf" \
  --output_dir=/data/out/bert --do_train=True --do_eval=True \
  --eval_input_file="/data/bert/heldout*.tf" \
  --train_batch_size=256 --num_train_steps=1000000 --num_warmup_steps=10000 \
  --learning_rate=1e-4 --gpus=all --dtype=bfloat16 --use_xla

With --plan it says what that would take, and writes nothing. The same command goes on where a
stopped run left off. Exit codes: 0 done; 1 a flag or a file cannot be used; 3 the loss diverges; 4
another worker is gone; 130 or 143 stopped, with a checkpoint.
"""

from __future__ import annotations

import contextlib
import functools
import glob
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from absl import flags, logging
from tqdm import tqdm

from deeq_bert.bert import (
    cluster,
    distribution,
    init_checkpoint,
    phases,
    pretraining_flags,
    record_info,
    vocabulary_extension,
)
from deeq_bert.bert.config import BertConfig
from deeq_bert.bert.pretraining_records import MaskChoice, PhaseRecords, RecordOpener
from deeq_bert.bert.record_files import RecordFiles, find_record_files
from deeq_bert.tokenizers import command_line, tokenizer_flags
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import make_folder, write_atomically

if TYPE_CHECKING:
    import tensorflow as tf

    from deeq_bert.bert import checkpoint, pretraining_run

FLAGS = flags.FLAGS
# So that --help shows them as this script's own.
flags.adopt_module_key_flags(pretraining_flags)

# What is known of the records, by file.
Infos = Mapping[str, Mapping[str, Any]]
# Of the records and of --init_checkpoint; None for one that is not known.
Vocabularies = tuple[list[str] | None, list[str] | None]

# A run that goes on with another value of one of these is another run; its owner should know.
_RUN_FLAGS = (
    "learning_rate",
    "num_train_steps",
    "num_warmup_steps",
    "gradient_accumulation_steps",
    "optimizer",
    "dtype",
    "dynamic_masking",
    "mask_unit",
    "masked_lm_prob",
    "random_seed",
    "length_buckets",
)
# How long --plan times steps at each batch size, in seconds.
_PLAN_SECONDS = 3.0


def main() -> None:
    pretraining_flags.check_flags()
    config = BertConfig.from_json_file(FLAGS.bert_config_file)
    schedule = pretraining_flags.schedule_of_flags()
    pretraining_flags.check_config(config, schedule)
    workers = cluster.read_cluster(os.environ)
    if workers.is_several:
        _check_several_workers(schedule)
    files = _find_records(schedule)
    infos = record_info.known_infos([path for of_phase in files for path in of_phase.all])
    # A run that goes on has no more use for it, and it may be gone by then.
    has_checkpoint = _has_checkpoint()
    start = None if has_checkpoint else FLAGS.init_checkpoint
    if not (FLAGS.do_train or FLAGS.plan or has_checkpoint or start):
        raise _nothing_to_evaluate()
    vocabularies = _init_vocabularies(start, infos)
    if start:
        init_checkpoint.check_init_checkpoint(start, config, *vocabularies)
    _check_tokenizers(start, infos, config, None not in vocabularies)
    opened = _open_records(schedule, files, config)
    # Importing TensorFlow takes seconds; what can be refused without it has been by now.
    _run(config, schedule, opened, infos, vocabularies, workers)


def _check_several_workers(schedule: list[phases.Phase]) -> None:
    """Refuses what makes steps that may fail: after one that did, workers cannot go on together."""
    for flag, given in (
        ("--plan", FLAGS.plan),
        ("--train_batch_size=auto", any(phase.train_batch_size is None for phase in schedule)),
    ):
        if given:
            raise InputError(
                f"{flag} works on one machine, and TF_CONFIG names several workers. Unset "
                "TF_CONFIG, try it on one of them, and multiply the batch by their number."
            )


def _find_records(schedule: list[phases.Phase]) -> list[RecordFiles]:
    """Finds the files of records of every phase that are needed."""
    train = FLAGS.do_train or FLAGS.plan
    held_out = FLAGS.do_eval or (train and FLAGS.eval_steps != 0)
    return [find_record_files(phase, train, held_out) for phase in schedule]


def _open_records(
    schedule: list[phases.Phase], files: list[RecordFiles], config: BertConfig
) -> list[PhaseRecords]:
    """Checks and opens the records of every phase."""
    masks = None
    if FLAGS.dynamic_masking:
        masks = MaskChoice(FLAGS.mask_unit, FLAGS.masked_lm_prob, FLAGS.random_seed)
    with contextlib.ExitStack() as bars:

        def progress(flag: str, size: int) -> Callable[[int], object]:
            bar = tqdm(
                total=size, unit="B", unit_scale=True, desc=f"checking --{flag}", disable=None
            )
            return bars.enter_context(bar).update

        opener = RecordOpener(
            config.vocab_size,
            None if FLAGS.plan else os.path.join(FLAGS.output_dir, "record_index"),
            FLAGS.skip_bad_records,
            masks,
            progress,
        )
        for phase, of_phase in zip(schedule, files):
            opener.check_first_records(phase, of_phase)
        if not FLAGS.plan:
            make_folder(FLAGS.output_dir)
        return [opener.open_phase(phase, of_phase) for phase, of_phase in zip(schedule, files)]


def _has_checkpoint() -> bool:
    return bool(glob.glob(os.path.join(glob.escape(FLAGS.output_dir), "model.ckpt-*.index")))


def _nothing_to_evaluate() -> InputError:
    return InputError(
        f"There is no checkpoint to evaluate in --output_dir={FLAGS.output_dir}. Train first, or "
        "name one with --init_checkpoint."
    )


def _init_vocabularies(start: str | None, infos: Infos) -> Vocabularies:
    """Returns the vocabulary of the records and that of the checkpoint `start`, where known."""
    if not start:
        return None, None
    paths = [info.get("vocab_file") for info in infos.values()]
    known = [path for path in paths if isinstance(path, str) and os.path.isfile(path)]
    new = FLAGS.vocab_file or next(iter(known), None)
    old = FLAGS.init_vocab_file or vocabulary_extension.vocabulary_beside(start)
    load = vocabulary_extension.load_vocabulary
    return load(new) if new else None, load(old) if old else None


def _check_tokenizers(
    start: str | None, infos: Infos, config: BertConfig, extends_vocabulary: bool
) -> None:
    """Checks the records against each other and against the model, as far as they are known."""
    if not infos:
        return
    path, info = next(iter(infos.items()))
    try:
        record_info.check_one_tokenizer(infos)
        record_info.check_model_tokenizer(path, info, FLAGS.output_dir)
        if start:
            record_info.check_model_tokenizer(
                path,
                info,
                start if os.path.isdir(start) else os.path.dirname(start),
                record_info.VOCABULARY_KEYS if extends_vocabulary else (),
            )
    except InputError as error:
        tokenizer_flags.refuse_unless_allowed(error)
    record_info.check_vocab_size(path, info, config.vocab_size, FLAGS.bert_config_file)


def _run(
    config: BertConfig,
    schedule: list[phases.Phase],
    opened: list[PhaseRecords],
    infos: Infos,
    vocabularies: Vocabularies,
    workers: cluster.Cluster,
) -> None:
    """Trains, evaluates or plans, as the flags say, on the devices they name."""
    import tensorflow as tf

    from deeq_bert.bert import checkpoint, pretraining_loop, pretraining_run, probing

    tf.config.experimental.enable_tensor_float_32_execution(FLAGS.allow_tf32)
    devices = distribution.use_gpus(FLAGS.gpus)
    distribution.report_devices(devices, FLAGS.gpus)
    try:
        with distribution.report_lost_workers(workers):
            strategy = distribution.make_strategy(devices, workers)
            replicas = strategy.num_replicas_in_sync
            for phase in schedule:
                if phase.train_batch_size:
                    distribution.check_global_batch(
                        "train_batch_size",
                        phase.train_batch_size,
                        replicas,
                        phase.gradient_accumulation_steps,
                    )
            distribution.check_global_batch("eval_batch_size", FLAGS.eval_batch_size, replicas)
            run = pretraining_run.PretrainingRun(
                config,
                strategy,
                FLAGS.dtype,
                FLAGS.use_xla,
                FLAGS.optimizer,
                FLAGS.random_seed,
                FLAGS.length_buckets,
            )
            if FLAGS.plan:
                _plan(run, schedule, opened, devices)
                return
            folder = checkpoint.CheckpointFolder(FLAGS.output_dir, FLAGS.keep_checkpoint_max)
            # A run that only reads may look in on one that trains.
            writes = FLAGS.do_train and workers.is_chief
            with folder.locked() if writes else contextlib.nullcontext():
                if FLAGS.do_train:
                    step = _train(
                        run, schedule, opened, infos, vocabularies, folder, devices, workers
                    )
                else:
                    step = _load_for_evaluation(run, folder, vocabularies)
                if FLAGS.do_eval:
                    _evaluate(run, schedule[-1], opened[-1], step, workers.is_chief)
            # A worker that leaves before the others looks like one that is lost.
            distribution.agree(strategy, "the end", 0)
    except pretraining_loop.StoppedError as stop:
        command_line.fail(str(stop), stop.exit_code)
    except pretraining_loop.DivergedError as error:
        command_line.fail(str(error), 3)
    except distribution.LostWorkerError as error:
        logging.flush()
        print(f"ERROR: {error}", file=sys.stderr, flush=True)
        # What the devices still wait for would hold up a usual end.
        os._exit(4)
    except tf.errors.OpError as error:
        if not probing.is_out_of_memory(error):
            raise
        raise InputError(
            f"A device has not enough memory: {error.message.splitlines()[0]} Lower "
            "--train_batch_size or --eval_batch_size, raise --gradient_accumulation_steps, choose "
            "a smaller model, or use more GPUs."
        ) from error


def _peak_tflops() -> float | None:
    from deeq_bert.bert import devices

    return FLAGS.peak_tflops or devices.slowest_peak_tflops(
        devices.gpu_names(), FLAGS.dtype, FLAGS.allow_tf32
    )


def _train(
    run: pretraining_run.PretrainingRun,
    schedule: list[phases.Phase],
    opened: list[PhaseRecords],
    infos: Infos,
    vocabularies: Vocabularies,
    folder: checkpoint.CheckpointFolder,
    devices: list[str],
    workers: cluster.Cluster,
) -> int:
    """Trains up to --num_train_steps, from the last checkpoint if there is one.

    Returns:
      The number of updates behind the model.
    """
    from deeq_bert.bert import pretraining_session
    from deeq_bert.bert.pretraining_loop import Intervals

    if workers.is_chief:
        write_atomically(
            os.path.join(FLAGS.output_dir, "bert_config.json"), run.config.to_json_string().encode()
        )
        if infos:
            record_info.hand_on_tokenizer(next(iter(infos.values())), FLAGS.output_dir)
    _warn_of_unused_init_checkpoint(folder.latest())
    session = pretraining_session.PretrainingSession(
        run, schedule, opened, FLAGS.output_dir, devices, workers.is_chief
    )
    evaluate = FLAGS.save_checkpoints_steps if FLAGS.eval_steps is None else FLAGS.eval_steps
    return session.train(
        folder,
        functools.partial(_initialize, vocabularies),
        {
            "records": [len(records.train) for records in opened],
            **{name: FLAGS[name].value for name in _RUN_FLAGS},
        },
        Intervals(FLAGS.log_steps, FLAGS.save_checkpoints_steps, evaluate),
        pretraining_session.HeldOutSettings(FLAGS.eval_batch_size, FLAGS.max_eval_steps),
        pretraining_session.Health(FLAGS.explosion_factor, FLAGS.max_rollbacks),
        pretraining_session.Meter(_peak_tflops(), FLAGS.price_per_gpu_hour),
    )


def _initialize(vocabularies: Vocabularies, variables: Mapping[str, tf.Variable]) -> None:
    """Gives the weights of a run that begins those of --init_checkpoint, if it is given."""
    from deeq_bert.bert import initialization

    if FLAGS.init_checkpoint:
        initialization.initialize(FLAGS.init_checkpoint, variables, *vocabularies)


def _warn_of_unused_init_checkpoint(latest: str | None) -> None:
    if FLAGS.init_checkpoint and latest:
        logging.warning("--init_checkpoint is not used, since there is %s.", latest)


def _load_for_evaluation(
    run: pretraining_run.PretrainingRun,
    folder: checkpoint.CheckpointFolder,
    vocabularies: Vocabularies,
) -> int:
    """Gives the model the weights of the last checkpoint, or of --init_checkpoint.

    Returns:
      The number of updates behind them; 0 for --init_checkpoint, as in the original.
    """
    from deeq_bert.bert import initialization

    latest = folder.latest()
    if latest is not None:
        logging.info("Evaluating %s.", latest)
        _warn_of_unused_init_checkpoint(latest)
        step, _ = initialization.restore(latest, run.model.variables)
        return step
    if not FLAGS.init_checkpoint:
        raise _nothing_to_evaluate()
    _initialize(vocabularies, run.model.variables)
    return 0


def _evaluate(
    run: pretraining_run.PretrainingRun,
    phase: phases.Phase,
    records: PhaseRecords,
    step: int,
    writes: bool,
) -> None:
    """Evaluates the model, logs the metrics and writes eval_results.txt."""
    from deeq_bert.bert import held_out
    from deeq_bert.bert.event_files import EventWriter

    count = len(records.held_out)
    examples = min(count, FLAGS.max_eval_steps * FLAGS.eval_batch_size)
    logging.info("***** Running evaluation *****")
    logging.info("  Examples = %s of %s", f"{examples:,}", f"{count:,}")
    metrics = run.held_out(phase, records, FLAGS.eval_batch_size, FLAGS.max_eval_steps).evaluate()
    if writes:
        EventWriter(os.path.join(FLAGS.output_dir, "eval")).write(step, metrics)
    if not all(map(math.isfinite, metrics.values())):
        command_line.fail(f"The metrics of step {step} are not finite: {metrics}.", code=3)
    logging.info("***** Eval results *****")
    lines = held_out.result_lines(step, metrics)
    for line in lines:
        logging.info("  %s", line)
    if "bits_per_character" in metrics:
        logging.info("  bits a character = %.4f", metrics["bits_per_character"])
    if writes:
        write_atomically(
            os.path.join(FLAGS.output_dir, "eval_results.txt"),
            "".join(f"{line}\n" for line in lines).encode(),
        )


def _plan(
    run: pretraining_run.PretrainingRun,
    schedule: Sequence[phases.Phase],
    opened: Sequence[PhaseRecords],
    devices: list[str],
) -> None:
    """Times steps at several batch sizes, and prints what the command would take."""
    from deeq_bert.bert import plan, pretraining_session

    session = pretraining_session.PretrainingSession(
        run, schedule, opened, FLAGS.output_dir, devices, False
    )
    plans = session.plan(_PLAN_SECONDS)
    replicas = run.strategy.num_replicas_in_sync
    for number, described in enumerate(plans, start=1):
        for line in plan.describe_phase(
            described, number, replicas, _peak_tflops(), FLAGS.price_per_gpu_hour
        ):
            print(line)
    print(plan.total_line(plans, replicas, FLAGS.price_per_gpu_hour))
    if FLAGS.length_buckets:
        print(
            "These are steps of full sequences; --length_buckets makes those with padding faster."
        )


if __name__ == "__main__":
    command_line.run(main)
