"""How many right answers a tokenizer can give at all: the bound on a model that makes no mistake.

    python tests/benchmarks/squad_spans.py --predict_file=KorQuAD_v1.0_dev.json \\
      --vocab_file=VOCAB --tokenizer=deeq --answer_spans=characters --morpheme_cache=DIR

The answers of the file go through features and predictions as the logits of a perfect model would.
Counted are answers that come out letter for letter, and KorQuAD's exact match and F1.
"""

import functools
import time

import numpy as np
from absl import flags

from deeq_bert.bert import squad_predictions
from deeq_bert.bert.squad_examples import read_squad_examples
from deeq_bert.bert.squad_features import (
    SquadFeatures,
    WindowSettings,
    convert_examples_to_features,
)
from deeq_bert.bert.squad_metrics import score_answers
from deeq_bert.bert.squad_placement import place_by_characters, place_by_words
from deeq_bert.tokenizers import command_line, tokenizer_flags

FLAGS = flags.FLAGS
PLACES = {"words": place_by_words, "characters": place_by_characters}

flags.DEFINE_string("predict_file", None, "Questions with answers.", required=True)
flags.DEFINE_string("vocab_file", None, "The vocabulary.", required=True)
flags.DEFINE_enum("answer_spans", "characters", list(PLACES), "How to place tokens.")
flags.DEFINE_integer("max_answer_length", 30, "In tokens.")
tokenizer_flags.define_tokenizer_flags()


def main() -> None:
    tokenizer, _ = tokenizer_flags.load_tokenizer(tokenizer_flags.tokenizer_settings())
    examples = read_squad_examples(FLAGS.predict_file, is_training=False)
    answered = [example for example in examples if example.answers]
    started = time.perf_counter()
    features = convert_examples_to_features(
        answered,
        tokenizer,
        functools.partial(PLACES[FLAGS.answer_spans], tokenizer),
        WindowSettings(384, 128, 64),
        is_training=True,
    )
    featured = time.perf_counter()
    predictions = squad_predictions.make_predictions(
        features,
        _logits(features, "start_positions"),
        _logits(features, "end_positions"),
        squad_predictions.PredictionSettings(1, FLAGS.max_answer_length),
    )
    predicted = time.perf_counter()
    letter_for_letter = sum(
        predictions.answers.get(example.qas_id) == example.answers[0].text for example in answered
    )
    metrics = score_answers("korquad", answered, predictions.answers)
    count = len(answered)
    print(f"questions with answers   {count}, windows {len(features.windows)}")
    print(f"not found in the text    {len(features.skipped)}")
    print(f"letter for letter        {100 * letter_for_letter / count:.2f}%")
    print(f"exact match, KorQuAD     {100 * metrics['exact_match']:.2f}%")
    print(f"F1, KorQuAD              {100 * metrics['f1']:.2f}%")
    print(f"seconds: features {featured - started:.1f}, predictions {predicted - featured:.1f}")


def _logits(features: SquadFeatures, name: str) -> np.ndarray:
    """Returns 1 at the right positions, and 0 elsewhere and in windows without the answer."""
    positions = features.arrays[name]
    logits = np.zeros(features.arrays["input_ids"].shape, np.float32)
    logits[np.arange(len(positions)), positions] = np.where(positions > 0, 1.0, 0.0)
    return logits


if __name__ == "__main__":
    command_line.run(main)
