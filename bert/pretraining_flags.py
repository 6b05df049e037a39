"""The flags of run_pretraining.py, and what they must satisfy before anything else is done."""

import math

from absl import flags, logging

from deeq_bert.bert import tpu_flags
from deeq_bert.bert.config import BertConfig
from deeq_bert.bert.distribution import check_global_batch, check_gpus
from deeq_bert.bert.phases import Phase, read_schedule
from deeq_bert.tokenizers import command_line, tokenizer_flags
from deeq_bert.tokenizers.base import MASK_UNITS
from deeq_bert.tokenizers.errors import InputError

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
    "patterns, separated by commas. Needed unless --schedule_file names them for every phase.",
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
    "A checkpoint to start from: Google's, one of ours, or a folder of Hugging Face's with "
    "model.safetensors. Only weights are taken, no optimizer state, and only where --output_dir "
    "has no checkpoint yet.",
)
flags.DEFINE_string(
    "init_vocab_file",
    None,
    "The vocabulary of --init_checkpoint; without it the vocab.txt beside that. Where the records "
    "have another, rows are matched by token, and new tokens start from the mean of their pieces.",
)
flags.DEFINE_string(
    "vocab_file",
    None,
    "The vocabulary of the records, where they do not tell it. Needed only to extend the one of "
    "--init_checkpoint.",
)
flags.DEFINE_string(
    "schedule_file",
    None,
    "A JSON file with the phases of the run, such as 128 tokens and then 512: each with records, "
    "lengths, batch, steps and learning rate. What a phase does not name is as the flags say.",
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
flags.DEFINE_bool(
    "dynamic_masking",
    False,
    "Whether masks are drawn anew in every pass over the records. Must be as it was for "
    "create_pretraining_data.",
)
flags.DEFINE_enum(
    "mask_unit",
    "token",
    MASK_UNITS,
    "What is masked as a whole with --dynamic_masking. morpheme needs records of a deeq tokenizer.",
)
flags.DEFINE_float(
    "masked_lm_prob",
    0.15,
    "The share of tokens to mask with --dynamic_masking. From 0 to 1.",
    lower_bound=0.0,
    upper_bound=1.0,
)
flags.DEFINE_bool("do_train", False, "Whether to train.")
flags.DEFINE_bool("do_eval", False, "Whether to evaluate, after training if there is any.")
flags.DEFINE_string(
    "train_batch_size",
    "32",
    'Sequences a step, over all devices; "auto" finds the most that fit. A number must divide by '
    "the devices and by --gradient_accumulation_steps.",
)
flags.DEFINE_integer(
    "gradient_accumulation_steps",
    1,
    "In how many parts, one after the other, a device goes through its share of a batch, for "
    "batches that do not fit. Must divide that share.",
    lower_bound=1,
    upper_bound=2**20,
)
flags.DEFINE_bool(
    "length_buckets",
    False,
    "Whether sequences of like lengths come together in a batch, which is then cut off where their "
    "padding begins: the faster, the more padding there is. Must stay as it is over a run, or some "
    "records are met twice or left out where it changes.",
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
flags.DEFINE_integer(
    "eval_steps",
    None,
    "The held-out records are evaluated every so many steps of training, and the best checkpoint "
    "is kept in OUTPUT_DIR/best. Without it, as often as checkpoints are written; 0 is never. "
    "Needs --eval_input_file.",
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
flags.DEFINE_enum(
    "dtype",
    "float32",
    ["float32", "bfloat16", "float16"],
    "What matrix products are computed in; variables are float32 always. bfloat16 needs a GPU from "
    "A100 on to be fast; float16, with a loss scale, one from V100 on.",
)
flags.DEFINE_bool(
    "use_xla",
    False,
    "Whether XLA compiles the forward and the backward pass: some minutes at the start, and faster "
    "steps on GPUs.",
)
flags.DEFINE_bool(
    "allow_tf32",
    True,
    "Whether GPUs from A100 on may round the factors of float32 products to 10 bits, which is "
    "several times as fast. TensorFlow's own default.",
)
flags.DEFINE_enum(
    "optimizer",
    "adam",
    ["adam", "lamb"],
    "adam is BERT's own; lamb is for batches of many thousand sequences.",
)
flags.DEFINE_float(
    "peak_tflops",
    None,
    "What one device can do at most in the precision used, in 10^12 operations a second by its "
    "data sheet; known for the usual GPUs. The log shows model FLOPs utilisation (MFU) against it.",
    lower_bound=1e-6,
)
flags.DEFINE_float(
    "price_per_gpu_hour",
    None,
    "What one device costs an hour, in any currency; the log then shows what has been spent and "
    "what it will be in the end.",
    lower_bound=0.0,
)
flags.DEFINE_bool(
    "plan",
    False,
    "Whether to time real steps at several batch sizes, say what this command would take in time, "
    "memory and money, and end. Nothing is written.",
)
flags.DEFINE_integer(
    "max_rollbacks",
    3,
    "How often the run may go back to an earlier checkpoint, and past the records that led away "
    "from it, when the loss diverges. 0 stops at once.",
    lower_bound=0,
)
flags.DEFINE_float(
    "explosion_factor",
    3.0,
    "A loss so many times the median of the last 100 steps counts as diverged. Must be above 1, or "
    "0 to switch that off.",
    lower_bound=0.0,
)
flags.DEFINE_bool(
    "skip_bad_records",
    False,
    "Whether records that are cut off or do not fit their checksum are left out and counted, "
    "instead of being an error.",
)
tokenizer_flags.define_mismatch_flag()

tpu_flags.define_tpu_flags()


def check_flags() -> None:
    """Refuses flags that do not go together."""
    tpu_flags.refuse_tpus()
    if not FLAGS.do_train and not FLAGS.do_eval and not FLAGS.plan:
        raise InputError("There is nothing to do: give --do_train=True, --do_eval=True or both.")
    for name in ("bert_config_file", "output_dir"):
        if not FLAGS[name].value:
            raise InputError(f"--{name} is empty; give it a value, or see --help.")
    for name in ("learning_rate", "peak_tflops", "price_per_gpu_hour", "explosion_factor"):
        # The upper bound is what float32 can hold.
        if FLAGS[name].value is not None and not FLAGS[name].value < 3e38:
            raise InputError(f"--{name}={FLAGS[name].value} is not a finite number.")
    if 0 < FLAGS.explosion_factor <= 1:
        raise InputError(
            f"--explosion_factor={FLAGS.explosion_factor:g} would take every usual loss for a "
            "diverged one; give a number above 1, or 0 to switch that off."
        )
    if math.isnan(FLAGS.masked_lm_prob):
        raise InputError("--masked_lm_prob=nan must be a number from 0 to 1.")
    if FLAGS.eval_steps and not FLAGS.eval_input_file and not FLAGS.schedule_file:
        raise InputError(
            f"--eval_steps={FLAGS.eval_steps} needs held-out records; give --eval_input_file too."
        )
    if not FLAGS.dynamic_masking:
        for name in ("mask_unit", "masked_lm_prob"):
            if command_line.explicitly_given(name):
                raise InputError(
                    f"--{name} has a meaning here only with --dynamic_masking; otherwise it is "
                    "create_pretraining_data.py that masks. Leave it out, or give both."
                )
    check_gpus(FLAGS.gpus)


def schedule_of_flags() -> list[Phase]:
    """Returns the phases that the flags describe."""
    default = Phase(
        input_file=FLAGS.input_file or "",
        eval_input_file=FLAGS.eval_input_file or "",
        max_seq_length=FLAGS.max_seq_length,
        max_predictions_per_seq=FLAGS.max_predictions_per_seq,
        train_batch_size=_batch_size(),
        gradient_accumulation_steps=FLAGS.gradient_accumulation_steps,
        num_train_steps=FLAGS.num_train_steps,
        num_warmup_steps=FLAGS.num_warmup_steps,
        learning_rate=FLAGS.learning_rate,
    )
    schedule = [default]
    if FLAGS.schedule_file:
        schedule = read_schedule(FLAGS.schedule_file, default)
    for phase in schedule:
        if not phase.input_file:
            raise InputError("--input_file is empty; give the records to train on, or see --help.")
        if phase.train_batch_size:
            # By the number of devices, too, once that is known.
            check_global_batch(
                "train_batch_size", phase.train_batch_size, 1, phase.gradient_accumulation_steps
            )
        if FLAGS.do_train and phase.num_warmup_steps >= phase.num_train_steps:
            logging.warning(
                "--num_warmup_steps=%d is not below --num_train_steps=%d: the learning rate is "
                "still rising when the run ends and never reaches %g.",
                phase.num_warmup_steps,
                phase.num_train_steps,
                phase.learning_rate,
            )
    return schedule


def _batch_size() -> int | None:
    """Returns --train_batch_size; None for "auto"."""
    text = FLAGS.train_batch_size.strip()
    if text == "auto":
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:8]) <= 2**20 and len(text) < 8):
        raise InputError(
            f"--train_batch_size={text} must be a whole number from 1 to {2**20}, or auto."
        )
    return int(text)


def check_config(config: BertConfig, schedule: list[Phase]) -> None:
    """Refuses a sequence that is longer than the model's positions."""
    longest = max(phase.max_seq_length for phase in schedule)
    if longest > config.max_position_embeddings:
        raise InputError(
            f"--max_seq_length={longest} is more than the max_position_embeddings "
            f"{config.max_position_embeddings} of {FLAGS.bert_config_file}. Lower the one or raise "
            "the other; the records must match."
        )
    if config.type_vocab_size < 2:
        raise InputError(
            f"type_vocab_size is {config.type_vocab_size} in {FLAGS.bert_config_file}; "
            "pre-training has two segments, so it must be 2 or more."
        )
