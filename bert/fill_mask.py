"""Says what a pre-trained model expects in the place of [MASK].

Examples:
  python bert/fill_mask.py --model_dir=out/bert --text="서울은 한국의 [MASK]입니다."
  python bert/fill_mask.py --model_dir=out/bert/model.ckpt-5000 --input_file=texts.txt --json

A text may have any number of masks; each is predicted by itself, with the others masked. With
wordpiece, what follows a mask without a blank goes on with the word that it begins. With the deeq
tokenizers a mask stands for one morpheme, and the sentences shown are joined from morphemes anew.
"""

import contextlib
import json
import os
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

from absl import flags, logging

from deeq_bert.bert import distribution
from deeq_bert.bert.masked_text import MaskedText, encode_masked_text, fill_mask
from deeq_bert.bert.model_folder import ModelFolder, open_model
from deeq_bert.bert.tokenization import Tokenizer
from deeq_bert.tokenizers import command_line, tokenizer_flags
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import read_lines

FLAGS = flags.FLAGS

flags.DEFINE_string(
    "model_dir",
    None,
    "The model: the output_dir of a pre-training, the prefix of one of its checkpoints, a folder "
    "of Google's or one of Hugging Face's. Must have the head for masked words.",
    required=True,
)
flags.DEFINE_multi_string(
    "text",
    [],
    "A text with [MASK] in it, any number of times; may be given several times.",
)
flags.DEFINE_string(
    "input_file",
    None,
    "A file with a text a line, each with [MASK]; blank lines are left out. Instead of --text.",
)
flags.DEFINE_integer("top_k", 5, "How many tokens are shown for each mask.", lower_bound=1)
flags.DEFINE_bool(
    "json",
    False,
    "Whether each text gives one line of JSON: text, and masks with their predictions (token, id, "
    "probability and text).",
)
flags.DEFINE_bool(
    "do_lower_case",
    None,
    "Whether wordpiece lower-cases and strips accents. Without it, what the folder of the model "
    "tells, else True.",
)
flags.DEFINE_string(
    "gpus",
    "0",
    'What computes: "0" is the CPU, which is enough for some texts; "1" is a GPU, "3," a certain '
    "one. Of several, the first is used.",
)
tokenizer_flags.define_analyzer_flags()
tokenizer_flags.define_mismatch_flag()

_BATCH_SIZE = 16


def main() -> None:
    """Prints predictions for the texts that the flags give."""
    distribution.check_gpus(FLAGS.gpus)
    if not FLAGS.model_dir:
        raise InputError("--model_dir is empty; give the folder of a model.")
    texts = list(_texts())
    model = open_model(FLAGS.model_dir)
    tokenizer = _load_tokenizer(model)
    try:
        masked_texts = [_encode(place, text, tokenizer, model) for place, text in texts]
        with _standard_output():
            _predict(model, tokenizer, masked_texts)
    finally:
        tokenizer.close()


@contextlib.contextmanager
def _standard_output() -> Iterator[None]:
    """Sees to what may be wrong with where the predictions are printed to."""
    # A terminal may lack characters, and a text may have bytes that are no character.
    sys.stdout.reconfigure(errors="backslashreplace")
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        # At its exit Python would flush once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        # What reads a pipe, such as head, may have enough.
        if not isinstance(error, BrokenPipeError):
            raise InputError(f"Cannot print the predictions: {error.strerror}.") from error


def _texts() -> Iterator[tuple[str, str]]:
    """Yields the texts, each with where it stands."""
    if bool(FLAGS.text) == bool(FLAGS.input_file):
        raise InputError(
            'Give either --text, as in --text="서울은 한국의 [MASK]입니다.", or --input_file.'
        )
    for text in FLAGS.text:
        yield "", text
    if FLAGS.input_file:
        lines = [
            (f"{FLAGS.input_file}, line {number}: ", line)
            for number, line in enumerate(read_lines(FLAGS.input_file), start=1)
            if line.strip()
        ]
        if not lines:
            raise InputError(f"{FLAGS.input_file} is empty; expected a text with [MASK] a line.")
        yield from lines


def _load_tokenizer(model: ModelFolder) -> Tokenizer:
    lower = FLAGS.do_lower_case
    if lower is None:
        lower = model.do_lower_case
    if lower is None:
        lower = True
        if model.tokenizer == "wordpiece":
            logging.warning(
                "Nothing in %s says whether its text was lower-cased; it is taken to have been. "
                "Give --do_lower_case=False for a cased model.",
                model.folder,
            )
    tokenizer, _ = tokenizer_flags.load_tokenizer(
        tokenizer_flags.settings_of(model.tokenizer, model.vocab_file, lower, model.deeq_compat)
    )
    if len(tokenizer.vocab) > model.config.vocab_size:
        raise InputError(
            f"{model.vocab_file} has {len(tokenizer.vocab)} tokens, but the model of "
            f"{model.folder} has {model.config.vocab_size}. Put the vocabulary there that it was "
            "trained with."
        )
    return tokenizer


def _encode(place: str, text: str, tokenizer: Tokenizer, model: ModelFolder) -> MaskedText:
    try:
        return encode_masked_text(text, tokenizer, model.config.max_position_embeddings)
    except InputError as error:
        raise InputError(f"{place}{error}") from error


def _predict(model: ModelFolder, tokenizer: Tokenizer, texts: Sequence[MaskedText]) -> None:
    # Of all that is logged on the way, only warnings matter for some sentences.
    logging.set_verbosity(logging.WARNING)
    from deeq_bert.bert.mask_prediction import MaskPredictor

    device = distribution.use_gpus(FLAGS.gpus)[0]
    predictor = MaskPredictor(model.config, model.checkpoint, len(tokenizer.vocab), device)
    for first in range(0, len(texts), _BATCH_SIZE):
        batch = texts[first : first + _BATCH_SIZE]
        for masked, predictions in zip(batch, predictor.predict(batch, FLAGS.top_k)):
            masks = [
                {
                    "position": masked.mask_positions[mask],
                    "predictions": [
                        {
                            "token": tokenizer.inv_vocab[index],
                            "id": index,
                            "probability": probability,
                            "text": fill_mask(masked, mask, index, tokenizer),
                        }
                        for index, probability in of_mask
                    ],
                }
                for mask, of_mask in enumerate(predictions)
            ]
            if FLAGS.json:
                print(json.dumps({"text": masked.text, "masks": masks}, ensure_ascii=False))
            else:
                _print_readable(masked.text, masks)


def _print_readable(text: str, masks: Sequence[dict[str, Any]]) -> None:
    print(_printable(text))
    for number, mask in enumerate(masks, start=1):
        if len(masks) > 1:
            print(f"  [MASK] {number} of {len(masks)}, by itself:")
        tokens = [_printable(prediction["token"]) for prediction in mask["predictions"]]
        width = max(map(_width, tokens))
        for rank, (token, prediction) in enumerate(zip(tokens, mask["predictions"]), start=1):
            padding = " " * (width - _width(token))
            filled = _printable(prediction["text"])
            print(f"  {rank:3d}  {token}{padding}  {prediction['probability']:.4f}  {filled}")
    print()


def _printable(text: str) -> str:
    """Returns `text` without what would move the cursor; such characters as their numbers."""
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)


def _width(text: str) -> int:
    """Returns how many columns of a terminal `text` takes: two for each Hangul syllable."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


if __name__ == "__main__":
    command_line.run(main)
