"""Fine-tunes a pre-trained BERT on a task of texts, or pairs of texts, with labels or scores.

python bert/run_classifier.py --task_name=nsmc --data_dir=/data/tasks/nsmc \
  --bert_config_file=out/bert/bert_config.json --vocab_file=out/bert/vocab.txt \
  --init_checkpoint=out/bert --do_lower_case=False --do_train=True --do_eval=True \
  --do_predict=True --evaluations=6 --num_seeds=3 --output_dir=out/nsmc

A task of any other table needs no code: --task_name=columns --text_column=... --label_column=...

With --evaluations the best weights are chosen by the dev examples; the test examples choose
nothing. The same command goes on where a stopped run left off. Exit codes: 0 done; 1 a flag or a
file cannot be used; 3 the loss diverges; 130 or 143 stopped, with a checkpoint.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from absl import flags, logging

from deeq_bert.bert import (
    classifier_features,
    classifier_flags,
    fine_tuned_folder,
    fine_tuning_flags,
    record_info,
    task_examples,
    task_results,
)
from deeq_bert.bert.config import BertConfig
from deeq_bert.tokenizers import command_line, parallel, registry, tokenizer_flags
from deeq_bert.tokenizers.base import TokenizedLine, Tokenizer, TokenizerSettings
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import make_folder, write_atomically

if TYPE_CHECKING:
    import tensorflow as tf

    from deeq_bert.bert.classification import Split

FLAGS = flags.FLAGS

# So that --help shows them as this script's own.
flags.adopt_module_key_flags(classifier_flags)

# So many characters to analyse take longer than starting processes does.
_WORTH_PROCESSES = 1_000_000

Examples = Mapping[str, list[task_examples.InputExample]]


def main() -> None:
    classifier_flags.check_flags()
    task = classifier_flags.make_task()
    settings = tokenizer_flags.tokenizer_settings()
    tokenizer, contract = tokenizer_flags.load_tokenizer(settings)
    config = fine_tuning_flags.read_config(max(tokenizer.vocab.values()) + 1)
    fine_tuning_flags.check_model(config, contract)
    folders = fine_tuning_flags.folders_of_seeds()
    if FLAGS.class_weights and task.is_regression:
        raise InputError("--class_weights is about classes, and a regression has none.")
    waiting = fine_tuning_flags.open_seeds(classifier_flags.result_settings(task))
    if waiting:
        examples = _read_examples(task)
        if FLAGS.do_train:
            fine_tuning_flags.num_train_steps(len(examples["train"]))
        # Tokenizing may take hours; that nothing can be written is told before.
        for _, folder in waiting:
            make_folder(folder)
        splits = _convert(task, examples, tokenizer, settings)
        tokenizer.close()
        _run(config, task, contract, splits, waiting)
    if FLAGS.do_train:
        _report(task, folders)


def _read_examples(task: task_examples.Task) -> Examples:
    """Reads the examples of the splits that are needed, in the numbers the flags ask for."""
    needed = classifier_flags.needed_splits()
    examples = {split: task.examples(split) for split in needed}
    for split in needed:
        if split != "test":
            task_examples.check_labelled(examples[split], task.name, split)
    if FLAGS.do_train:
        others = [example for split in needed[1:] for example in examples[split]]
        repeated = set(task_examples.repeated_in(examples["train"], others))
        if repeated and FLAGS.drop_repeated:
            logging.info(
                "%d training examples, whose texts are those of a dev or test example, are left "
                "out.",
                len(repeated),
            )
            examples["train"] = [
                example for i, example in enumerate(examples["train"]) if i not in repeated
            ]
        elif repeated:
            logging.warning(
                "%d of %d training examples have the texts of a dev or test example, which makes "
                "their scores look better. --drop_repeated leaves them out.",
                len(repeated),
                len(examples["train"]),
            )
    chosen = {}
    for split in needed:
        count = FLAGS[f"max_{split}_examples"].value or len(examples[split])
        chosen[split] = task_examples.subsample(
            examples[split], count, classifier_flags.CHOICE_SEED
        )
    return chosen


def _convert(
    task: task_examples.Task,
    examples: Examples,
    tokenizer: Tokenizer,
    settings: TokenizerSettings,
) -> dict[str, tuple[dict[str, Any], bool]]:
    """Returns the features of each split, and whether all its examples have labels."""
    splits = {}
    for name, of_split in examples.items():
        logging.info("Tokenizing %d examples of %s.", len(of_split), name)
        workers = 1
        characters = sum(len(example.text_a) + len(example.text_b or "") for example in of_split)
        if FLAGS.num_workers or characters > _WORTH_PROCESSES:
            workers = tokenizer_flags.num_workers(settings.name)
        features = classifier_features.convert_examples(
            of_split,
            task.labels,
            FLAGS.max_seq_length,
            tokenizer,
            functools.partial(_tokenize, settings, workers) if workers > 1 else None,
        )
        splits[name] = features, all(example.label is not None for example in of_split)
    return splits


def _tokenize(
    settings: TokenizerSettings, num_workers: int, lines: Iterable[str]
) -> Iterator[TokenizedLine]:
    make_tokenizer = functools.partial(registry.make_tokenizer, settings)
    for _, tokens in parallel.tokenize_lines(make_tokenizer, lines, num_workers):
        yield tokens


def _run(
    config: BertConfig,
    task: task_examples.Task,
    contract: Mapping[str, Any],
    converted: Mapping[str, tuple],
    waiting: list[tuple[int, str]],
) -> None:
    """Trains, scores and predicts with every seed, on the devices the flags name."""
    from deeq_bert.bert import classification

    splits = {name: classification.Split(*split) for name, split in converted.items()}
    if FLAGS.class_weights:
        _weigh_classes(task, splits)

    def run(strategy: tf.distribute.Strategy) -> None:
        for seed, folder in waiting:
            _run_seed(config, task, contract, splits, strategy, seed, folder)

    fine_tuning_flags.run_on_devices(
        ("train_batch_size", "eval_batch_size", "predict_batch_size"), run
    )


def _weigh_classes(task: task_examples.Task, splits: dict[str, Split]) -> None:
    from deeq_bert.bert import classification

    if "train" not in splits:
        return
    features = splits["train"].features
    try:
        weights = classification.class_weights(
            FLAGS.class_weights, features["label_ids"], task.labels
        )
    except ValueError as error:
        raise InputError(
            f"--class_weights={FLAGS.class_weights}: {error}. Expected balanced, or a number above "
            f"0 for each of {', '.join(task.labels)}."
        ) from None
    splits["train"] = dataclasses.replace(
        splits["train"], features={**features, "example_weights": weights}
    )


def _run_seed(
    config: BertConfig,
    task: task_examples.Task,
    contract: Mapping[str, Any],
    splits: Mapping[str, Split],
    strategy: tf.distribute.Strategy,
    seed: int,
    folder: str,
) -> None:
    """Trains, scores and predicts with one seed; the file result.json comes last."""
    from deeq_bert.bert import classification

    start = time.monotonic()
    train_count = len(splits["train"]) if FLAGS.do_train else 0
    settings = fine_tuning_flags.settings_of_flags(train_count, seed)
    tuner = classification.make_tuner(config, task, strategy, settings, FLAGS.dtype, FLAGS.use_xla)
    dev: Mapping[str, float] = {}
    test: Mapping[str, float] = {}
    if FLAGS.do_train:
        logging.info(
            "***** Running training *****\n  Task = %s, seed = %d\n  Num examples = %d\n  Batch "
            "size = %d\n  Num steps = %d",
            task.name,
            seed,
            train_count,
            settings.train_batch_size,
            settings.num_train_steps,
        )
        tuner.check_folder(folder)
        if FLAGS.init_checkpoint and not fine_tuned_folder.has_checkpoint(folder):
            tuner.initialize(FLAGS.init_checkpoint)
        write_atomically(os.path.join(folder, "bert_config.json"), config.to_json_string().encode())
        record_info.hand_on_tokenizer(
            {"tokenizer": contract, "vocab_file": FLAGS.vocab_file}, folder
        )
        evaluate = None
        if FLAGS.evaluations:
            evaluate = classification.scorer(tuner, task, splits["dev"], FLAGS.eval_batch_size)
        made_by = fine_tuning_flags.made_by(classifier_flags.result_settings(task), seed)
        trained = tuner.train(splits["train"].features, folder, evaluate, task.metric, made_by)
        step, dev = trained.best_step, trained.best_metrics
    elif weights := fine_tuned_folder.weights_to_use(folder):
        logging.info("The model is %s.", weights)
        step = tuner.restore(weights)
    else:
        tuner.initialize(FLAGS.init_checkpoint)
        step = 0
    if FLAGS.do_eval:
        if not dev:
            outputs = classification.predict(tuner, task, splits["dev"], FLAGS.eval_batch_size)
            dev = classification.score(task, splits["dev"], outputs)
        logging.info("***** Eval results *****")
        for line in classification.result_lines(step, dev):
            logging.info("  %s", line)
        classification.write_eval_results(folder, step, dev)
    if FLAGS.do_predict:
        outputs = classification.predict(tuner, task, splits["test"], FLAGS.predict_batch_size)
        classification.write_test_results(folder, outputs)
        if splits["test"].is_labelled:
            test = classification.score(task, splits["test"], outputs)
            logging.info("***** Test results *****")
            for name, value in test.items():
                logging.info("  %s = %.6f", name, value)
    if FLAGS.do_train:
        task_results.write_result(
            folder,
            task_results.TaskResult(
                task.name,
                task.metric,
                seed,
                step,
                dict(dev),
                dict(test),
                {name: len(split) for name, split in splits.items()},
                classifier_flags.result_settings(task),
                time.monotonic() - start,
            ),
        )
        if not FLAGS.keep_model:
            fine_tuned_folder.remove_model(folder)


def _report(task: task_examples.Task, folders: list[str]) -> None:
    """Logs the scores over all seeds."""
    results = [result for result in map(task_results.read_result, folders) if result]
    for split in ("dev", "test"):
        scores = [
            getattr(result, split)[task.metric]
            for result in results
            if task.metric in getattr(result, split)
        ]
        if scores:
            logging.info(
                "%s, %s of %s: %s", task.name, task.metric, split, task_results.mean_text(scores)
            )


if __name__ == "__main__":
    command_line.run(main)
