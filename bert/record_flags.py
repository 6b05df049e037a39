"""The flags of record making, and what they ask for."""

from typing import Any

from absl import flags, logging

from deeq_bert.bert.record_making import LENGTH_MARK, RecordSettings, SequenceLength
from deeq_bert.bert.tokenization import Tokenizer, TokenizerSettings
from deeq_bert.tokenizers import command_line, tokenizer_flags
from deeq_bert.tokenizers.base import MASK_UNITS
from deeq_bert.tokenizers.errors import InputError

FLAGS = flags.FLAGS

_LONGEST = 65_536

# What masking is about.
_MASKING_FLAGS = ("mask_unit", "do_whole_word_mask", "masked_lm_prob", "max_predictions_per_seq")

flags.DEFINE_string(
    "input_file",
    None,
    "The text: UTF-8, a sentence a line, a blank line between documents. Paths and glob "
    "patterns, separated by commas; at least one file must match.",
    required=True,
)
flags.DEFINE_string(
    "output_file",
    None,
    "The TFRecord file to write, or several, separated by commas, which get the instances in "
    "turn; with --num_shards what the names of all shards begin with. None may be an input "
    f"file; with several lengths each needs {LENGTH_MARK}, which stands for the length.",
    required=True,
)
flags.DEFINE_string(
    "vocab_file",
    None,
    "The vocabulary: UTF-8, a token a line, among them [UNK], [CLS], [SEP] and [MASK].",
    required=True,
)
tokenizer_flags.define_tokenizer_flags()
flags.DEFINE_bool(
    "dynamic_masking",
    False,
    "Whether to leave the masks to run_pretraining.py --dynamic_masking, which draws others in "
    "every pass over the records, so that --dupe_factor=1 is enough and the default. The flags "
    "of masking are then given there, and must not be given here.",
)
flags.DEFINE_bool(
    "do_whole_word_mask",
    False,
    "Whether to mask all pieces of a word together instead of each by itself. The same as "
    "--mask_unit=word.",
)
flags.DEFINE_enum(
    "mask_unit",
    None,
    MASK_UNITS,
    "What is masked as a whole: each token by itself, all tokens of a morpheme, or all of a "
    "word, which with the deeq tokenizers is what stands between blanks. Without it, token; "
    "morpheme needs a deeq tokenizer.",
)
flags.DEFINE_string(
    "max_seq_length",
    "128",
    "How many tokens an instance has, [CLS] and both [SEP] included; shorter ones are padded. "
    "At least 5, and the same in pre-training; several, separated by commas, make records of "
    "each length out of one reading of the text.",
)
flags.DEFINE_string(
    "max_predictions_per_seq",
    "20",
    "How many tokens of an instance are masked at most. At least 1; to cap nothing, at least "
    "max_seq_length times masked_lm_prob; with several lengths one for all, or one each, "
    "separated by commas.",
)
flags.DEFINE_integer(
    "random_seed",
    12345,
    "What the random choices start from: the same seed, text and flags give the same records. "
    "Any integer.",
)
flags.DEFINE_integer(
    "dupe_factor",
    10,
    "How many times each document is used, every time with other masks and pairs; 1 if not "
    "given and with --dynamic_masking. At least 1.",
)
flags.DEFINE_float(
    "masked_lm_prob",
    0.15,
    "The share of tokens to mask. From 0 to 1; an instance has at least one mask in any case.",
)
flags.DEFINE_float(
    "short_seq_prob",
    0.1,
    "The share of documents that are made into shorter instances than max_seq_length. From 0 to 1.",
)


def check_record_flags() -> None:
    """Checks what can be checked without the tokenizer.

    Raises:
      InputError: A value is out of its range, or flags contradict each other.
    """
    if FLAGS.dupe_factor < 1:
        raise InputError(f"--dupe_factor={FLAGS.dupe_factor}: must be 1 or more.")
    for name in ("masked_lm_prob", "short_seq_prob"):
        # Written so that NaN fails.
        if not 0 <= FLAGS[name].value <= 1:
            raise InputError(f"--{name}={FLAGS[name].value}: must be from 0 to 1.")
    lengths = sequence_lengths()
    if FLAGS.dynamic_masking:
        _check_dynamic_masking()
    else:
        for length in lengths:
            _warn_of_unfit_predictions(length)


def sequence_lengths() -> tuple[SequenceLength, ...]:
    """Returns --max_seq_length and --max_predictions_per_seq, which belong together.

    Raises:
      InputError: A value is out of its range, or there are not as many of the one as of the other.
    """
    lengths = _integers("max_seq_length", lowest=5)
    predictions = _integers("max_predictions_per_seq", lowest=1)
    if len(set(lengths)) < len(lengths):
        raise InputError(
            f"--max_seq_length={FLAGS.max_seq_length}: names a length twice. Give different ones."
        )
    if len(predictions) == 1:
        predictions *= len(lengths)
    if len(predictions) != len(lengths):
        raise InputError(
            f"--max_predictions_per_seq={FLAGS.max_predictions_per_seq} has {len(predictions)} "
            f"values, --max_seq_length={FLAGS.max_seq_length} has {len(lengths)}. Give one for "
            "all lengths, or one for each."
        )
    return tuple(map(SequenceLength, lengths, predictions))


def record_settings(
    settings: TokenizerSettings, tokenizer: Tokenizer, contract: dict[str, Any]
) -> RecordSettings:
    """Returns what the flags ask for.

    Args:
      settings: Those of the tokenizer.
      tokenizer: It.
      contract: Its contract.

    Raises:
      InputError: The tokenizer does not know the mask unit.
    """
    return RecordSettings(
        tokenizer=settings,
        contract=contract,
        lengths=sequence_lengths(),
        mask_unit=None if FLAGS.dynamic_masking else _mask_unit(settings, tokenizer),
        masked_lm_prob=FLAGS.masked_lm_prob,
        short_seq_prob=FLAGS.short_seq_prob,
        dupe_factor=_dupe_factor(),
        random_seed=FLAGS.random_seed,
    )


def _integers(name: str, lowest: int) -> list[int]:
    values = []
    for part in FLAGS[name].value.split(","):
        try:
            values.append(int(part))
        except ValueError:
            raise InputError(
                f"--{name}={FLAGS[name].value}: {part or 'nothing'} is not a whole number. Give "
                "one, or several separated by commas."
            ) from None
        if values[-1] < lowest:
            raise InputError(f"--{name}={FLAGS[name].value}: must be {lowest} or more.")
        if values[-1] > _LONGEST:
            raise InputError(f"--{name}={FLAGS[name].value}: must be {_LONGEST} or less.")
    return values


def _check_dynamic_masking() -> None:
    for name in _MASKING_FLAGS:
        if command_line.explicitly_given(name):
            also = " (as --mask_unit=word)" if name == "do_whole_word_mask" else ""
            raise InputError(
                f"--{name} has no meaning here with --dynamic_masking, which leaves the masks to "
                f"run_pretraining.py. Leave it out, and give it there{also}."
            )
    if not command_line.explicitly_given("dupe_factor"):
        logging.info(
            "--dupe_factor is 1, since with --dynamic_masking each pass over the records has masks "
            "of its own."
        )


def _dupe_factor() -> int:
    """Returns --dupe_factor, whose default serves masks that never change."""
    if FLAGS.dynamic_masking and not command_line.explicitly_given("dupe_factor"):
        return 1
    return FLAGS.dupe_factor


def _mask_unit(settings: TokenizerSettings, tokenizer: Tokenizer) -> str:
    if FLAGS.do_whole_word_mask and FLAGS.mask_unit not in (None, "word"):
        raise InputError(
            f"--do_whole_word_mask=True means --mask_unit=word, but --mask_unit={FLAGS.mask_unit} "
            "is given too. Leave one of them out."
        )
    mask_unit = FLAGS.mask_unit or ("word" if FLAGS.do_whole_word_mask else "token")
    if mask_unit not in tokenizer.mask_units:
        raise InputError(
            f"--mask_unit={mask_unit} does not go with --tokenizer={settings.name}, which knows "
            f"only {' and '.join(tokenizer.mask_units)}. Choose one of those, or another tokenizer."
        )
    return mask_unit


def _warn_of_unfit_predictions(length: SequenceLength) -> None:
    max_seq_length, max_predictions_per_seq = length
    if max_predictions_per_seq > max_seq_length:
        logging.warning(
            "--max_predictions_per_seq=%d is more than --max_seq_length=%d can use: what is over "
            "makes the records larger and pre-training slower.",
            max_predictions_per_seq,
            max_seq_length,
        )
    needed = round(max_seq_length * FLAGS.masked_lm_prob)
    if max_predictions_per_seq < needed:
        logging.warning(
            "--max_predictions_per_seq=%d is too small for --masked_lm_prob=%g: a full instance of "
            "%d tokens would have %d masks, and gets %d. The smallest --max_predictions_per_seq "
            "that caps nothing is %d.",
            max_predictions_per_seq,
            FLAGS.masked_lm_prob,
            max_seq_length,
            needed,
            max_predictions_per_seq,
            needed,
        )
