"""Fine-tunes BERT to find answers in texts, and answers questions: SQuAD 1.1 and 2.0, KorQuAD 1.0.

python bert/run_squad.py \\
  --tokenizer=deeq --vocab_file=vocab.txt --bert_config_file=out/bert/bert_config.json \\
  --init_checkpoint=out/bert --output_dir=out/korquad --metric=korquad \\
  --do_train=True --train_file=KorQuAD_v1.0_train.json \\
  --do_predict=True --predict_file=KorQuAD_v1.0_dev.json

The same command goes on where a stopped run left off. Exit codes: 0 done; 1 a flag or a file cannot
be used; 3 the loss diverges; 130 or 143 stopped, with a checkpoint.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from absl import flags, logging

from deeq_bert.bert import (
    fine_tuned_folder,
    fine_tuning_flags,
    record_info,
    squad_flags,
    squad_metrics,
    squad_predictions,
    task_results,
)
from deeq_bert.bert.config import BertConfig
from deeq_bert.bert.squad_examples import read_squad_examples
from deeq_bert.bert.squad_features import (
    SquadFeatures,
    WindowSettings,
    convert_examples_to_features,
)
from deeq_bert.bert.squad_placement import Placement
from deeq_bert.tokenizers import command_line, tokenizer_flags
from deeq_bert.tokenizers.base import Tokenizer
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import make_folder, write_atomically

if TYPE_CHECKING:
    import tensorflow as tf

    from deeq_bert.bert import fine_tuning

FLAGS = flags.FLAGS

# So that --help shows them as this script's own.
flags.adopt_module_key_flags(squad_flags)

# What weights are chosen by.
_METRIC = "f1"
_RESULTS_FILE = "eval_results.txt"
_LOGGED_WINDOWS = 5
# Results made with another value of one of these are others.
_RESULT_FLAGS = (
    "train_file",
    "eval_file",
    "predict_file",
    "metric",
    "init_checkpoint",
    "tokenizer",
    "max_seq_length",
    "doc_stride",
    "max_query_length",
    "train_batch_size",
    "learning_rate",
    "num_train_epochs",
    "warmup_proportion",
    "evaluations",
    "patience",
    "dtype",
    "n_best_size",
    "max_answer_length",
    "version_2_with_negative",
    "null_score_diff_threshold",
)


class _Data(NamedTuple):
    """The questions of each file, None where it is not asked for."""

    train: SquadFeatures | None
    dev: SquadFeatures | None
    test: SquadFeatures | None


def main() -> None:
    squad_flags.check_flags()
    settings = tokenizer_flags.tokenizer_settings()
    tokenizer, contract = tokenizer_flags.load_tokenizer(settings)
    placement = squad_flags.make_placement(settings, tokenizer)
    config = fine_tuning_flags.read_config(max(tokenizer.vocab.values()) + 1)
    fine_tuning_flags.check_model(config, contract)
    folders = fine_tuning_flags.folders_of_seeds()
    waiting = fine_tuning_flags.open_seeds(_settings(tokenizer))
    if waiting:
        data = _read_data(tokenizer, placement, [folder for _, folder in waiting])
        tokenizer.close()
        # Importing TensorFlow takes seconds; what can be refused without it has been by now.
        _run(config, contract, _settings(tokenizer), data, waiting)
    if FLAGS.do_train:
        _report(folders)


def _settings(tokenizer: Tokenizer) -> dict[str, Any]:
    """Returns what decides a result besides the seed."""
    values = {name: FLAGS[name].value for name in _RESULT_FLAGS}
    return {**values, "answer_spans": squad_flags.answer_spans(tokenizer)}


def _read_data(tokenizer: Tokenizer, placement: Placement, folders: list[str]) -> _Data:
    # Files that cannot be used are found before the first of them is tokenized.
    given = [
        (FLAGS.train_file if FLAGS.do_train else None, True),
        (FLAGS.eval_file if FLAGS.do_train and FLAGS.evaluations else None, False),
        (FLAGS.predict_file if FLAGS.do_predict else None, False),
    ]
    examples = [
        read_squad_examples(path, is_training, FLAGS.version_2_with_negative) if path else None
        for path, is_training in given
    ]
    if examples[1] is not None and not any(example.is_labelled for example in examples[1]):
        raise InputError(f"{FLAGS.eval_file} has no answers, so weights cannot be chosen by it.")
    if examples[2] is not None and given[1][0] == given[2][0]:
        logging.warning(
            "--eval_file and --predict_file are one file: the weights are chosen by the questions "
            "that the scores are about, which makes these look better."
        )
    # Tokenizing may take hours; that nothing can be written is told before.
    for folder in folders:
        make_folder(folder)
    settings = WindowSettings(FLAGS.max_seq_length, FLAGS.doc_stride, FLAGS.max_query_length)
    data = []
    for (path, is_training), of_file in zip(given, examples):
        if of_file is None:
            data.append(None)
            continue
        features = convert_examples_to_features(
            of_file, tokenizer, placement, settings, is_training
        )
        logging.info(
            "%s: %s questions, %s windows.",
            path,
            f"{len(features.examples):,}",
            f"{len(features.windows):,}",
        )
        if features.skipped:
            logging.warning(
                "%s: %d of %d questions are left out, since their answers are not where they are "
                "said to be.",
                path,
                len(features.skipped),
                len(of_file),
            )
        if is_training and not features.windows:
            raise InputError(f"{path}: none of the answers is where it is said to be in its text.")
        if FLAGS.verbose_logging:
            _log_windows(features, tokenizer)
        data.append(features)
    return _Data(*data)


def _log_windows(features: SquadFeatures, tokenizer: Tokenizer) -> None:
    for row, window in enumerate(features.windows[:_LOGGED_WINDOWS]):
        length = int(features.arrays["input_mask"][row].sum())
        tokens = tokenizer.convert_ids_to_tokens(
            features.arrays["input_ids"][row, :length].tolist()
        )
        logging.info(
            "Question %s, window %d: %s",
            features.examples[window.example_index].qas_id,
            window.doc_span_index,
            " ".join(tokens),
        )


def _run(
    config: BertConfig,
    contract: Mapping[str, Any],
    settings: Mapping[str, Any],
    data: _Data,
    waiting: list[tuple[int, str]],
) -> None:
    """Trains and predicts with every seed, on the devices the flags name."""

    def run(strategy: tf.distribute.Strategy) -> None:
        for seed, folder in waiting:
            _run_seed(config, contract, settings, data, strategy, seed, folder)

    fine_tuning_flags.run_on_devices(("train_batch_size", "predict_batch_size"), run)


def _run_seed(
    config: BertConfig,
    contract: Mapping[str, Any],
    settings: Mapping[str, Any],
    data: _Data,
    strategy: tf.distribute.Strategy,
    seed: int,
    folder: str,
) -> None:
    """Trains, predicts and scores with one seed; the file result.json comes last."""
    import tensorflow as tf

    from deeq_bert.bert import fine_tuning, task_heads

    start = time.monotonic()
    train_count = len(data.train.examples) if data.train else 0
    tuner = fine_tuning.FineTuner(
        lambda: task_heads.SpanModel(config, seed, tf.as_dtype(FLAGS.dtype)),
        strategy,
        fine_tuning_flags.settings_of_flags(train_count, seed),
        FLAGS.dtype,
        FLAGS.use_xla,
        # Every position is an output.
        cut_padding=False,
    )
    dev_scores: Mapping[str, float] = {}
    test_scores: Mapping[str, float] = {}
    if data.train is not None:
        tuner.check_folder(folder)
        if FLAGS.init_checkpoint and not fine_tuned_folder.has_checkpoint(folder):
            tuner.initialize(FLAGS.init_checkpoint)
        write_atomically(os.path.join(folder, "bert_config.json"), config.to_json_string().encode())
        record_info.hand_on_tokenizer(
            {"tokenizer": contract, "vocab_file": FLAGS.vocab_file}, folder
        )
        evaluate = (lambda: _scores(data.dev, _predict(tuner, data.dev))) if data.dev else None
        made_by = fine_tuning_flags.made_by(settings, seed)
        trained = tuner.train(data.train.arrays, folder, evaluate, _METRIC, made_by)
        step, dev_scores = trained.best_step, trained.best_metrics
    elif weights := fine_tuned_folder.weights_to_use(folder):
        logging.info("The model is %s.", weights)
        step = tuner.restore(weights)
    else:
        tuner.initialize(FLAGS.init_checkpoint)
        step = 0
    if data.test is not None:
        predictions = _predict(tuner, data.test)
        squad_predictions.write_predictions(folder, predictions, FLAGS.version_2_with_negative)
        logging.info("The predictions of step %d are in %s.", step, folder)
        test_scores = _scores(data.test, predictions)
        _report_scores(folder, test_scores)
    if data.train is not None:
        task_results.write_result(
            folder,
            task_results.TaskResult(
                FLAGS.metric,
                _METRIC,
                seed,
                step,
                dict(dev_scores),
                dict(test_scores),
                {
                    split: len(features.examples)
                    for split, features in data._asdict().items()
                    if features
                },
                settings,
                time.monotonic() - start,
            ),
        )
        if not FLAGS.keep_model:
            fine_tuned_folder.remove_model(folder)


def _predict(
    tuner: fine_tuning.FineTuner, features: SquadFeatures
) -> squad_predictions.Predictions:
    # Nothing but empty texts makes no windows.
    logits = {name: np.empty((0, FLAGS.max_seq_length)) for name in ("start_logits", "end_logits")}
    if features.windows:
        logits = tuner.predict(features.arrays, FLAGS.predict_batch_size)
    return squad_predictions.make_predictions(
        features,
        logits["start_logits"],
        logits["end_logits"],
        squad_predictions.PredictionSettings(
            FLAGS.n_best_size,
            FLAGS.max_answer_length,
            FLAGS.version_2_with_negative,
            FLAGS.null_score_diff_threshold,
        ),
    )


def _scores(
    features: SquadFeatures, predictions: squad_predictions.Predictions
) -> dict[str, float]:
    """Scores predictions; nothing comes of questions whose answers are not known."""
    examples = features.examples
    if not any(example.is_labelled for example in examples):
        return {}
    negatives = FLAGS.version_2_with_negative
    scores = squad_metrics.score_answers(FLAGS.metric, examples, predictions.answers, negatives)
    if negatives:
        scores |= squad_metrics.best_thresholds(
            FLAGS.metric, examples, predictions.best_texts(), predictions.null_odds
        )
    return scores


def _report_scores(folder: str, scores: Mapping[str, float]) -> None:
    """Writes the scores and prints them."""
    if not scores:
        logging.info("%s has no answers, so there are no scores.", FLAGS.predict_file)
        return
    lines = [f"{name} = {scores[name]:.6g}" for name in scores]
    write_atomically(
        os.path.join(folder, _RESULTS_FILE), "".join(f"{line}\n" for line in lines).encode()
    )
    for line in lines:
        print(line)


def _report(folders: list[str]) -> None:
    """Logs the scores over all seeds."""
    results = [result for result in map(task_results.read_result, folders) if result]
    for split in ("dev", "test"):
        for metric in ("exact_match", _METRIC):
            scores = [getattr(result, split).get(metric) for result in results]
            if scores and None not in scores:
                text = task_results.mean_text(scores)
                logging.info("%s, %s of %s: %s", FLAGS.metric, metric, split, text)


if __name__ == "__main__":
    command_line.run(main)
