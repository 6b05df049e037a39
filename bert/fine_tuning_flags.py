"""The flags that run_classifier.py and run_squad.py share, and what they must satisfy."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from absl import flags, logging

from deeq_bert.bert import (
    distribution,
    fine_tuned_folder,
    init_checkpoint,
    task_results,
    tpu_flags,
)
from deeq_bert.bert.cluster import read_cluster
from deeq_bert.bert.config import BertConfig
from deeq_bert.tokenizers import command_line, contract, tokenizer_flags
from deeq_bert.tokenizers.errors import InputError

if TYPE_CHECKING:
    import tensorflow as tf

    from deeq_bert.bert.fine_tuning import FineTuningSettings

FLAGS = flags.FLAGS
# Each script's --help then shows them as its own.
flags.disclaim_key_flags()

_FINITE = ("learning_rate", "num_train_epochs", "warmup_proportion")


def define_fine_tuning_flags(max_seq_length: int) -> None:
    """Defines them.

    Args:
      max_seq_length: The default of that flag, in which the original's scripts differ.
    """
    flags.DEFINE_string(
        "bert_config_file",
        None,
        "The JSON file with the sizes of the pre-trained model. Must be the one it was trained "
        "with.",
        required=True,
    )
    flags.DEFINE_string(
        "vocab_file",
        None,
        "The vocabulary that the model was pre-trained with, a token a line.",
        required=True,
    )
    flags.DEFINE_string(
        "output_dir",
        None,
        "The folder for checkpoints and results. A run that was stopped goes on from the last "
        "checkpoint in it.",
        required=True,
    )
    flags.DEFINE_string(
        "init_checkpoint",
        None,
        "The pre-trained model: a checkpoint's prefix, a folder with one, or a folder of Hugging "
        "Face's with model.safetensors. Without it the weights are random.",
    )
    flags.DEFINE_integer(
        "max_seq_length",
        max_seq_length,
        "The most tokens of an example, [CLS] and [SEP] included; longer ones are cut. At most the "
        "model's max_position_embeddings.",
        lower_bound=5,
    )
    flags.DEFINE_bool("do_train", False, "Whether to train.")
    flags.DEFINE_integer(
        "train_batch_size",
        32,
        "Examples a step, over all devices. Must divide by their number.",
        lower_bound=1,
        upper_bound=2**20,
    )
    flags.DEFINE_float(
        "learning_rate",
        5e-5,
        "The learning rate at its highest, after the warm-up.",
        lower_bound=0.0,
    )
    flags.DEFINE_float(
        "num_train_epochs",
        3.0,
        "How often to go through the examples; need not be whole.",
        lower_bound=0.0,
    )
    flags.DEFINE_float(
        "warmup_proportion",
        0.1,
        "The share of the steps over which the learning rate rises from 0. From 0 to 1.",
        lower_bound=0.0,
        upper_bound=1.0,
    )
    flags.DEFINE_integer(
        "save_checkpoints_steps",
        1000,
        "A checkpoint is written every so many steps, and at the end.",
        lower_bound=1,
    )
    flags.DEFINE_integer(
        "keep_checkpoint_max",
        5,
        "How many checkpoints are kept, the oldest deleted first; 0 keeps all.",
        lower_bound=0,
    )
    flags.DEFINE_integer(
        "log_steps",
        100,
        "Loss, speed and time left are logged every so many steps.",
        lower_bound=1,
    )
    flags.DEFINE_integer(
        "evaluations",
        0,
        "How often the dev examples are scored in training, at equal distances, the last time at "
        "its end. The best weights are then what is evaluated and predicts; with 0, the last ones "
        "are, as in the original.",
        lower_bound=0,
        upper_bound=10**6,
    )
    flags.DEFINE_integer(
        "patience",
        0,
        "After how many evaluations without a better score training ends early; 0 is never. Needs "
        "--evaluations.",
        lower_bound=0,
    )
    flags.DEFINE_integer(
        "random_seed",
        12345,
        "Fixes the first weights of the head, the order of the examples and the dropout.",
        lower_bound=0,
        upper_bound=2**31 - 1,
    )
    flags.DEFINE_integer(
        "num_seeds",
        1,
        "How many models to train, with the seeds from --random_seed on. Several are each in a "
        "folder seed-S of --output_dir; those that are finished are not trained again.",
        lower_bound=1,
        upper_bound=1000,
    )
    flags.DEFINE_bool(
        "keep_model",
        True,
        "Whether the checkpoints stay when the results are written.",
    )
    flags.DEFINE_string(
        "gpus",
        "all",
        'The GPUs to use: how many ("2"), which ("0,2", or "3," for one), "all", or "0" for the '
        "CPU.",
    )
    flags.DEFINE_enum(
        "dtype",
        "float32",
        ["float32", "bfloat16", "float16"],
        "What matrix products are computed in; variables are float32 always. bfloat16 needs a GPU "
        "from A100 on to be fast; float16, with a loss scale, one from V100 on.",
    )
    flags.DEFINE_bool(
        "use_xla",
        False,
        "Whether XLA compiles the forward and the backward pass, which pays in long runs on GPUs.",
    )
    tokenizer_flags.define_tokenizer_flags()
    tpu_flags.define_tpu_flags()


def check_flags() -> None:
    """Refuses what cannot be, as far as the flags themselves tell.

    Raises:
      InputError: A value is out of its range, or flags contradict each other.
    """
    tpu_flags.refuse_tpus()
    for name in ("bert_config_file", "vocab_file", "output_dir"):
        if not FLAGS[name].value:
            raise InputError(f"--{name} is empty; give it a value, or see --help.")
    for name in _FINITE:
        # The upper bound is what float32 can hold.
        if not FLAGS[name].value < 3e38:
            raise InputError(f"--{name}={FLAGS[name].value} is not a finite number.")
    if FLAGS.patience and not FLAGS.evaluations:
        raise InputError(
            "--patience counts evaluations in training, and there are none: give --evaluations too."
        )
    distribution.check_gpus(FLAGS.gpus)
    if read_cluster(os.environ).is_several:
        raise InputError(
            "TF_CONFIG names several machines, and fine-tuning works on one. Unset TF_CONFIG."
        )


def read_config(num_tokens: int) -> BertConfig:
    """Reads --bert_config_file and checks the other flags against it.

    Args:
      num_tokens: How many tokens --vocab_file has.

    Raises:
      InputError: It cannot be read, or something does not fit it.
    """
    config = BertConfig.from_json_file(FLAGS.bert_config_file)
    if FLAGS.max_seq_length > config.max_position_embeddings:
        raise InputError(
            f"--max_seq_length={FLAGS.max_seq_length} is more than the max_position_embeddings "
            f"{config.max_position_embeddings} of {FLAGS.bert_config_file}. Lower it."
        )
    if num_tokens > config.vocab_size:
        raise InputError(
            f"{FLAGS.vocab_file} has {num_tokens} tokens, but vocab_size is "
            f"{config.vocab_size} in {FLAGS.bert_config_file}. Give the vocabulary and the config "
            "that the model was pre-trained with."
        )
    if config.type_vocab_size < 2:
        raise InputError(
            f"type_vocab_size is {config.type_vocab_size} in {FLAGS.bert_config_file}; pairs of "
            "texts need 2 segments or more."
        )
    return config


def check_model(config: BertConfig, tokenizer_contract: Mapping[str, Any]) -> None:
    """Checks that --init_checkpoint fits the config and the tokenizer, as far as can be told.

    Raises:
      InputError: There is no such checkpoint, or it does not fit.
    """
    path = FLAGS.init_checkpoint
    if not path:
        return
    init_checkpoint.check_init_checkpoint(path, config)
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    contract_file = os.path.join(folder, contract.FILE_NAME)
    present = contract.read_contract(contract_file)
    differing = contract.differences(present, dict(tokenizer_contract)) if present else {}
    if differing:
        tokenizer_flags.refuse_unless_allowed(
            InputError(
                f"--init_checkpoint={path} was trained on text cut in another way: "
                + contract.describe_differences(differing, contract_file, "this run")
                + f". Give its own vocabulary ({os.path.join(folder, 'vocab.txt')} if it is there) "
                "and tokenizer; or pass --allow_tokenizer_mismatch if the difference is meant."
            )
        )


def folders_of_seeds() -> list[str]:
    """Returns the folder of each seed, after a look whether there is a model for it.

    Raises:
      InputError: One has no weights, --do_train is not given, and neither is --init_checkpoint.
    """
    seeds = task_results.seed_folders(FLAGS.output_dir, FLAGS.random_seed, FLAGS.num_seeds)
    folders = [folder for _, folder in seeds]
    for folder in folders:
        has_weights = fine_tuned_folder.weights_to_use(folder) is not None
        if not (FLAGS.do_train or has_weights or FLAGS.init_checkpoint):
            raise InputError(
                f"There is no checkpoint in --output_dir={FLAGS.output_dir}, and no "
                "--init_checkpoint. Give --do_train=True to train one."
            )
    return folders


def made_by(settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Returns what decides a result, the seed included."""
    return {**settings, "random_seed": seed}


def open_seeds(settings: Mapping[str, Any]) -> list[tuple[int, str]]:
    """Returns the seeds that have no result yet, with their folders, and logs the others.

    Without --do_train all are returned: what is evaluated anew may be asked for anew.

    Args:
      settings: What decides a result besides the seed.

    Raises:
      InputError: There is a result with other settings.
    """
    waiting = []
    for seed, folder in task_results.seed_folders(
        FLAGS.output_dir, FLAGS.random_seed, FLAGS.num_seeds
    ):
        result = task_results.read_result(folder) if FLAGS.do_train else None
        if result is None:
            waiting.append((seed, folder))
            continue
        path = os.path.join(folder, task_results.RESULT_FILE)
        if differing := task_results.describe_differences(
            {**result.settings, "random_seed": result.seed}, made_by(settings, seed)
        ):
            raise InputError(
                f"{path} is of another run: {differing}. Choose another --output_dir, or remove "
                "that folder."
            )
        logging.info("Seed %d is done: see %s. Remove that folder to train again.", seed, path)
        if not FLAGS.keep_model:
            # A run that was killed behind its result may have left it.
            fine_tuned_folder.remove_model(folder)
    return waiting


def run_on_devices(
    batch_flags: Sequence[str], run: Callable[[tf.distribute.Strategy], None]
) -> None:
    """Runs something on the devices of --gpus, and turns how it may end into exit codes.

    Args:
      batch_flags: The flags with global batches.
      run: Trains and predicts under the strategy it is given.

    Raises:
      InputError: A batch does not divide by the devices, or does not fit their memory.
    """
    import tensorflow as tf

    from deeq_bert.bert import fine_tuning, health, probing

    devices = distribution.use_gpus(FLAGS.gpus)
    distribution.report_devices(devices, FLAGS.gpus)
    strategy = distribution.make_strategy(devices)
    for name in batch_flags:
        distribution.check_global_batch(name, FLAGS[name].value, strategy.num_replicas_in_sync)
    try:
        run(strategy)
    except fine_tuning.StoppedError as stop:
        command_line.fail(str(stop), stop.exit_code)
    except health.DivergenceError as error:
        command_line.fail(
            f"At step {error.step} {error.reason}. Lower --learning_rate, or raise "
            "--warmup_proportion.",
            3,
        )
    except tf.errors.OpError as error:
        if not probing.is_out_of_memory(error):
            raise
        raise InputError(
            f"A device has not enough memory: {error.message.splitlines()[0]} Lower "
            f"{', '.join(f'--{name}' for name in batch_flags)} or --max_seq_length."
        ) from error


def num_train_steps(num_examples: int) -> int:
    """Returns how many steps so many examples make.

    Raises:
      InputError: Not even one.
    """
    steps = int(num_examples / FLAGS.train_batch_size * FLAGS.num_train_epochs)
    if not 1 <= steps < 2**31:
        raise InputError(
            f"{num_examples} examples, --train_batch_size={FLAGS.train_batch_size} and "
            f"--num_train_epochs={FLAGS.num_train_epochs:g} make {steps} steps of training. Lower "
            "the batch or raise the epochs."
        )
    return steps


def settings_of_flags(num_examples: int, seed: int) -> FineTuningSettings:
    """Returns how to train on so many examples; not at all without --do_train.

    Raises:
      InputError: They make no step.
    """
    from deeq_bert.bert.fine_tuning import FineTuningSettings

    steps = num_train_steps(num_examples) if FLAGS.do_train else 0
    return FineTuningSettings(
        train_batch_size=FLAGS.train_batch_size,
        learning_rate=FLAGS.learning_rate,
        num_train_steps=steps,
        num_warmup_steps=math.floor(steps * FLAGS.warmup_proportion),
        seed=seed,
        save_checkpoints_steps=FLAGS.save_checkpoints_steps,
        keep_checkpoint_max=FLAGS.keep_checkpoint_max,
        log_steps=FLAGS.log_steps,
        evaluations=FLAGS.evaluations,
        patience=FLAGS.patience,
    )
