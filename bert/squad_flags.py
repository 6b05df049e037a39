"""The flags of run_squad.py beyond those it shares, and what they must satisfy."""

import functools

from absl import flags

from deeq_bert.bert import fine_tuning_flags, squad_metrics
from deeq_bert.bert.squad_features import NUM_SPECIAL
from deeq_bert.bert.squad_placement import (
    Placement,
    place_by_characters,
    place_by_words,
    place_in_processes,
)
from deeq_bert.bert.tokenization import Tokenizer, TokenizerSettings, make_tokenizer
from deeq_bert.tokenizers import tokenizer_flags
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.full_tokenizer import FullTokenizer

FLAGS = flags.FLAGS

fine_tuning_flags.define_fine_tuning_flags(max_seq_length=384)
flags.DEFINE_bool("do_predict", False, "Whether to answer the questions of --predict_file.")
flags.DEFINE_string(
    "train_file",
    None,
    "The questions to train on: JSON in SQuAD's form, as KorQuAD's and KLUE-MRC's are. Each with "
    "an answer, of which the first counts.",
)
flags.DEFINE_string(
    "eval_file",
    None,
    "Questions with answers by which the best weights are chosen. Needed for --evaluations, and "
    "best others than those of --predict_file.",
)
flags.DEFINE_string(
    "predict_file",
    None,
    "The questions to answer. If they have answers, the predictions are scored.",
)
flags.DEFINE_integer(
    "doc_stride",
    128,
    "By how many tokens each window over a long text is ahead of the one before. At least 1.",
    lower_bound=1,
)
flags.DEFINE_integer(
    "max_query_length",
    64,
    "The most tokens of a question; what is over is cut. At most max_seq_length - 4.",
    lower_bound=1,
)
flags.DEFINE_integer(
    "predict_batch_size",
    8,
    "Windows a step in prediction, over all devices. Must divide by their number.",
    lower_bound=1,
    upper_bound=2**20,
)
flags.DEFINE_integer(
    "n_best_size",
    20,
    "How many answers nbest_predictions.json has for a question at most. At least 1.",
    lower_bound=1,
)
flags.DEFINE_integer(
    "max_answer_length", 30, "The most tokens of an answer. At least 1.", lower_bound=1
)
flags.DEFINE_bool(
    "version_2_with_negative",
    False,
    "Whether some questions have no answer in their text, as in SQuAD 2.0 and KLUE-MRC.",
)
flags.DEFINE_float(
    "null_score_diff_threshold",
    0.0,
    "By how much the score of no answer must beat that of the best answer for none to be given. "
    "For --version_2_with_negative only.",
)
flags.DEFINE_enum(
    "metric",
    "squad",
    squad_metrics.METRICS,
    "How answers are compared for F1: by words as SQuAD's script does, or by characters as "
    "KorQuAD's does.",
)
flags.DEFINE_enum(
    "answer_spans",
    None,
    ["words", "characters"],
    "How tokens become answers: by words, which the original trims by rules, for wordpiece only; "
    "or by characters, so that every answer is a stretch of the text. Without it, words for "
    "wordpiece and characters for other tokenizers.",
)
flags.DEFINE_bool(
    "verbose_logging", False, "Whether to log the inputs made of the first few questions."
)


def check_flags() -> None:
    """Refuses what cannot be, as far as the flags themselves tell.

    Raises:
      InputError: A value is out of its range, or flags contradict each other.
    """
    fine_tuning_flags.check_flags()
    if not FLAGS.do_train and not FLAGS.do_predict:
        raise InputError("There is nothing to do: give --do_train=True, --do_predict=True or both.")
    for needs, name in (
        (FLAGS.do_train, "train_file"),
        (FLAGS.do_predict, "predict_file"),
        (FLAGS.do_train and FLAGS.evaluations, "eval_file"),
    ):
        if needs and not FLAGS[name].value:
            what = "evaluations" if name == "eval_file" else f"do_{name.removesuffix('_file')}"
            raise InputError(f"--{what} needs --{name}; name the file of questions.")
    if FLAGS.max_seq_length <= FLAGS.max_query_length + NUM_SPECIAL:
        raise InputError(
            f"--max_seq_length={FLAGS.max_seq_length} leaves no room for the text beside a "
            f"question of --max_query_length={FLAGS.max_query_length} tokens and {NUM_SPECIAL} "
            "special ones. Raise the one or lower the other."
        )
    if not abs(FLAGS.null_score_diff_threshold) < float("inf"):
        raise InputError(
            f"--null_score_diff_threshold={FLAGS.null_score_diff_threshold} is not a finite number."
        )


def answer_spans(tokenizer: Tokenizer) -> str:
    """Returns --answer_spans, or what suits the tokenizer where it is not given."""
    return FLAGS.answer_spans or ("words" if isinstance(tokenizer, FullTokenizer) else "characters")


def make_placement(settings: TokenizerSettings, tokenizer: Tokenizer) -> Placement:
    """Returns how texts are cut, for a tokenizer and the settings it was made by.

    Raises:
      InputError: Words are asked for, and the tokenizer is not WordPiece.
    """
    if answer_spans(tokenizer) == "words":
        if not isinstance(tokenizer, FullTokenizer):
            raise InputError(
                f"--answer_spans=words does not go with --tokenizer={settings.name}, whose tokens "
                "do not tell how they are joined. Leave it out."
            )
        return functools.partial(place_by_words, tokenizer)
    num_workers = tokenizer_flags.num_workers(settings.name)
    if num_workers == 1:
        return functools.partial(place_by_characters, tokenizer)
    return functools.partial(
        place_in_processes, functools.partial(make_tokenizer, settings), num_workers
    )
