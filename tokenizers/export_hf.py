"""Writes a tokenizer as a folder that Hugging Face's transformers loads.

Example:
  python tokenizers/export_hf.py --vocab_file=vocab.txt --tokenizer=deeq --output_dir=hf

  from transformers import AutoTokenizer
  tokenizer = AutoTokenizer.from_pretrained("hf", trust_remote_code=True)

A wordpiece vocabulary becomes a BertTokenizer, which needs no trust_remote_code. A morpheme
vocabulary becomes a tokenizer of this project, whose code is in the folder; it needs `pip install
kiwipiepy` beside transformers. The folder may be that of a model: only the tokenizer's files are
written, and none of another tokenizer is overwritten.
"""

from absl import flags, logging

from deeq_bert.tokenizers import command_line, hf_folder, registry, tokenizer_flags
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.vocabulary import PAD

FLAGS = flags.FLAGS

flags.DEFINE_string(
    "vocab_file",
    None,
    "The vocabulary: UTF-8, a token a line, among them [UNK], [CLS], [SEP] and [MASK].",
    required=True,
)
flags.DEFINE_string(
    "output_dir",
    None,
    "The folder to write, made where it is missing.",
    required=True,
)
tokenizer_flags.define_tokenizer_flags()
flags.DEFINE_integer(
    "model_max_length",
    512,
    "The most tokens that the model takes: max_position_embeddings in its configuration. At least "
    "1.",
)


def main() -> None:
    """Exports the tokenizer that the flags ask for."""
    if FLAGS.model_max_length < 1:
        raise InputError(f"--model_max_length={FLAGS.model_max_length}: must be at least 1.")
    settings = tokenizer_flags.tokenizer_settings()
    tokenizer, contract = tokenizer_flags.load_tokenizer(settings)
    tokenizer.close()
    try:
        hf_folder.check_analyzer(contract)
    except InputError as error:
        tokenizer_flags.refuse_unless_allowed(error)
    if PAD not in tokenizer.vocab:
        logging.warning(
            "The vocabulary %s has no %s, so the tokenizer cannot pad until its pad_token is set.",
            settings.vocab_file,
            PAD,
        )
    contents = hf_folder.folder_files(tokenizer, contract, FLAGS.model_max_length)
    hf_folder.write_folder(FLAGS.output_dir, contents)
    remote = ", trust_remote_code=True" if registry.uses_analyzer(settings.name) else ""
    logging.info(
        "Wrote %d files. To load them: AutoTokenizer.from_pretrained(%r%s)",
        len(contents),
        FLAGS.output_dir,
        remote,
    )


if __name__ == "__main__":
    command_line.run(main)
