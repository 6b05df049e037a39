"""Writes a model in a form that others load.

Examples:
  python bert/export.py --model_dir=out/bert --format=huggingface --output_dir=out/hf
  python bert/export.py --model_dir=out/hf --format=google --output_dir=out/google

- google: bert_model.ckpt.*, bert_config.json and vocab.txt as Google released its models, with all
  variables but the optimizer's. Of a Hugging Face folder it makes a checkpoint of this project.
- huggingface: a folder for transformers: the weights with their heads, the tokenizer, and a model
  card in README.md with what is known of the training.
- saved_model: for TensorFlow Serving; see saved_model_export.py for its signatures.

The folder appears whole or not at all.
"""

import hashlib
from typing import Any

from absl import flags, logging

from deeq_bert.bert import export_folder, model_card
from deeq_bert.bert.model_folder import ModelFolder, open_model
from deeq_bert.bert.task_results import read_result
from deeq_bert.tokenizers import command_line, hf_folder, tokenizer_flags
from deeq_bert.tokenizers.base import Tokenizer
from deeq_bert.tokenizers.contract import make_contract
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.full_tokenizer import FullTokenizer
from deeq_bert.tokenizers.vocabulary import load_vocab

FLAGS = flags.FLAGS

flags.DEFINE_string(
    "model_dir",
    None,
    "The model: the output_dir of a run, the prefix of one of its checkpoints, a folder as Google "
    "released its models, or a Hugging Face folder.",
    required=True,
)
flags.DEFINE_enum(
    "format",
    None,
    ["google", "huggingface", "saved_model"],
    "What to write: a checkpoint with config and vocabulary as Google's, a folder for Hugging "
    "Face's transformers, or a SavedModel for TensorFlow Serving.",
    required=True,
)
flags.DEFINE_string(
    "output_dir",
    None,
    "The folder to write. It must be missing or empty.",
    required=True,
)
flags.DEFINE_bool(
    "do_lower_case",
    None,
    "Whether the model's text is lower-cased. To be given where no tokenizer_config.json beside "
    "the model tells.",
)
flags.DEFINE_string(
    "license",
    None,
    "The license that the card of a huggingface export names, as apache-2.0. Without it none is "
    "named. A short name without blanks.",
)
tokenizer_flags.define_mismatch_flag()
tokenizer_flags.define_analyzer_flags()


def main() -> None:
    """Exports what the flags name."""
    model_card.check_license(FLAGS.license)
    if FLAGS.license is not None and FLAGS.format != "huggingface":
        raise InputError(
            f"--license is for the card of --format=huggingface, and --format is {FLAGS.format}. "
            "Leave it out."
        )
    if FLAGS.format == "huggingface":
        _check_safetensors()
    export_folder.check_is_free(FLAGS.output_dir)
    model = open_model(FLAGS.model_dir)
    _check_vocabulary_size(model)
    if FLAGS.format == "huggingface":
        messages = _export_hugging_face(model)
    else:
        messages = _export_for_tensorflow(model)
    logging.info("Wrote %s from %s.", FLAGS.output_dir, model.checkpoint)
    for message in messages:
        logging.info("%s", message)


def _export_for_tensorflow(model: ModelFolder) -> list[str]:
    contract = _contract(model)
    vocabulary = _read_vocabulary(model)
    # TensorFlow takes seconds to import; what can be wrong has been found before.
    from deeq_bert.bert.google_export import write_google
    from deeq_bert.bert.model_weights import read_weights
    from deeq_bert.bert.saved_model_export import write_saved_model

    weights = read_weights(model)
    with export_folder.whole_folder(FLAGS.output_dir) as folder:
        if FLAGS.format == "google":
            return write_google(model, weights, vocabulary, contract, folder)
        vocab = load_vocab(model.vocab_file)
        return write_saved_model(model, weights, vocab, vocabulary, contract, folder)


def _export_hugging_face(model: ModelFolder) -> list[str]:
    tokenizer, contract = _load_tokenizer(model)
    tokenizer.close()
    files = hf_folder.folder_files(tokenizer, contract, model.config.max_position_embeddings)
    from deeq_bert.bert import hf_export
    from deeq_bert.bert.model_weights import read_weights
    from deeq_bert.bert.training_facts import read_training_facts

    weights = read_weights(model)
    card = model_card.make_card(
        hf_export.architecture_of(model.config, weights),
        model.config,
        sum(value.size for value in weights.values()),
        contract,
        model.step,
        read_training_facts(model),
        FLAGS.license,
    )
    with export_folder.whole_folder(FLAGS.output_dir) as folder:
        return hf_export.write_hugging_face(
            model, weights, tokenizer.vocab, _labels(model), files, card, folder
        )


def _labels(model: ModelFolder) -> list[str]:
    """Returns what the classes of a fine-tuned model are called, as its result tells."""
    result = read_result(model.folder)
    labels = result.settings.get("labels") if result else None
    if isinstance(labels, list) and all(isinstance(label, str) for label in labels):
        return labels
    return []


def _load_tokenizer(model: ModelFolder) -> tuple[Tokenizer, dict[str, Any]]:
    settings = tokenizer_flags.settings_of(
        model.tokenizer, model.vocab_file, _lower_cases(model), model.deeq_compat
    )
    tokenizer, contract = tokenizer_flags.load_tokenizer(settings)
    try:
        hf_folder.check_analyzer(contract)
    except InputError as error:
        tokenizer_flags.refuse_unless_allowed(error)
    return tokenizer, contract


def _contract(model: ModelFolder) -> dict[str, Any]:
    """Returns the contract without asking an analyser, which only text would need."""
    lower_case = _lower_cases(model)
    if model.contract is None:
        return make_contract(model.tokenizer, FullTokenizer(model.vocab_file, lower_case))
    digest = hashlib.sha256(_read_vocabulary(model)).hexdigest()
    expected = model.contract.get("vocab_sha256", digest)
    if digest != expected:
        raise InputError(
            f"{model.vocab_file} is not the vocabulary that the model in {model.folder} was "
            f"trained with: its SHA-256 is {digest}, and the contract names {expected}. Put that "
            "one there."
        )
    return model.contract


def _lower_cases(model: ModelFolder) -> bool:
    known, given = model.do_lower_case, FLAGS.do_lower_case
    if model.tokenizer != "wordpiece":
        return False
    if given is None and known is None:
        raise InputError(
            f"Nothing in {model.folder} tells whether its text is lower-cased. Give "
            "--do_lower_case=True or False, as the model was trained."
        )
    if given is not None and known is not None and given != known:
        raise InputError(
            f"--do_lower_case={given}, but do_lower_case is {known} in the tokenizer_config.json "
            f"of {model.folder}. Leave the flag out."
        )
    return known if given is None else given


def _check_vocabulary_size(model: ModelFolder) -> None:
    vocab = load_vocab(model.vocab_file)
    tokens = max(vocab.values()) + 1
    if tokens > model.config.vocab_size:
        raise InputError(
            f"{model.vocab_file} has {tokens:,} tokens, and the model {model.config.vocab_size:,} "
            "word embeddings. Put the vocabulary there that it was trained with."
        )


def _read_vocabulary(model: ModelFolder) -> bytes:
    try:
        with open(model.vocab_file, "rb") as file:
            return file.read()
    except OSError as error:
        raise InputError(f"Cannot read {model.vocab_file}: {error.strerror}.") from error


def _check_safetensors() -> None:
    try:
        import safetensors.numpy  # noqa: F401
    except ImportError:
        raise InputError(
            "--format=huggingface needs the package safetensors. Install it with "
            "pip install -e '.[export]'."
        ) from None


if __name__ == "__main__":
    command_line.run(main)
