"""Writes what the layers of a model make of each token of texts, as lines of JSON.

Example:
  python bert/extract_features.py --input_file=texts.txt --output_file=features.jsonl \\
    --vocab_file=vocab.txt --bert_config_file=bert_config.json \\
    --init_checkpoint=out/bert/model.ckpt-100000 --layers=-1,-2,-3,-4 --do_lower_case=False

Each line of the input is a text, or two separated by " ||| "; each line of the output is
{"linex_index": n, "features": [{"token": ..., "layers": [{"index": -1, "values": [...]}]}]}.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from absl import flags, logging
from tqdm import tqdm

from deeq_bert.bert import distribution, init_checkpoint, text_features
from deeq_bert.bert.config import BertConfig
from deeq_bert.bert.text_features import InputFeatures
from deeq_bert.bert.tokenization import Tokenizer
from deeq_bert.tokenizers import command_line, contract, processes, tokenizer_flags
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import atomic_outputs, make_parent_folder, read_lines

if TYPE_CHECKING:
    from deeq_bert.bert.feature_extraction import FeatureExtractor

FLAGS = flags.FLAGS

flags.DEFINE_string(
    "input_file",
    None,
    'The texts: UTF-8, one a line, or two with " ||| " between them. At least one line.',
    required=True,
)
flags.DEFINE_string(
    "output_file",
    None,
    "The file of JSON lines to write, one for each line of the input. Must not be the input.",
    required=True,
)
flags.DEFINE_string(
    "layers",
    "-1,-2,-3,-4",
    "Which layers are written, separated by commas: -1 is the last, 0 the first. The model must "
    "have them.",
)
flags.DEFINE_string(
    "bert_config_file",
    None,
    "The JSON file with the sizes of the model. Must be that of the checkpoint.",
    required=True,
)
flags.DEFINE_integer(
    "max_seq_length",
    128,
    "The most tokens of a text, [CLS] and [SEP] included; longer ones are cut. At most the "
    "max_position_embeddings of the model.",
    lower_bound=3,
)
flags.DEFINE_string(
    "init_checkpoint",
    None,
    "The weights: the prefix of a checkpoint, or a folder of Hugging Face's.",
    required=True,
)
flags.DEFINE_string(
    "vocab_file", None, "The vocabulary of the model, a token a line.", required=True
)
tokenizer_flags.define_tokenizer_flags()
flags.DEFINE_integer(
    "batch_size", 32, "Texts a step, over all devices.", lower_bound=1, upper_bound=2**16
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
    "What matrix products are computed in; all but float32 round the features.",
)

# Known so that old command lines get one sentence about them rather than "unknown flag".
flags.DEFINE_bool("use_tpu", False, "Refused: this program runs on GPUs and CPUs.")
flags.DEFINE_string("master", None, "Refused: it is about TPUs.")
flags.DEFINE_integer("num_tpu_cores", 8, "Has no effect: it is about TPUs.")
flags.DEFINE_bool("use_one_hot_embeddings", False, "Has no effect: it is about the speed of TPUs.")

# Lines that one process makes JSON of at a time: some MB.
_LINES_A_TASK = 4
_IN_FLIGHT_PER_WORKER = 2

# A text with its tokens and what the layers make of them.
_Result = tuple[InputFeatures, list[str], np.ndarray]


def main() -> None:
    """Writes the features that the flags ask for."""
    _check_flags()
    config = BertConfig.from_json_file(FLAGS.bert_config_file)
    layers = text_features.parse_layers(FLAGS.layers, config.num_hidden_layers)
    if FLAGS.max_seq_length > config.max_position_embeddings:
        raise InputError(
            f"--max_seq_length={FLAGS.max_seq_length} is more than the max_position_embeddings "
            f"{config.max_position_embeddings} of {FLAGS.bert_config_file}. Lower it."
        )
    if not any(True for _ in read_lines(FLAGS.input_file)):
        raise InputError(f"{FLAGS.input_file} is empty; expected a text a line.")
    # Vocabularies are compared below, by their contracts and sizes.
    init_checkpoint.check_init_checkpoint(FLAGS.init_checkpoint, config, (), ())
    make_parent_folder(FLAGS.output_file)
    tokenizer = _load_tokenizer(config)
    try:
        _extract(config, layers, tokenizer)
    finally:
        tokenizer.close()


def _check_flags() -> None:
    given = [f"--{name}" for name in ("use_tpu", "master") if FLAGS[name].value]
    if given:
        raise InputError(
            f"{' and '.join(given)}: this program runs on GPUs and CPUs, not on TPUs. Leave TPU "
            "flags out and choose devices with --gpus."
        )
    for name in ("num_tpu_cores", "use_one_hot_embeddings"):
        if command_line.explicitly_given(name):
            logging.warning("--%s is about TPUs and has no effect.", name)
    for name in ("input_file", "output_file", "bert_config_file", "init_checkpoint", "vocab_file"):
        if not FLAGS[name].value:
            raise InputError(f"--{name} is empty; give it a value, or see --help.")
    if os.path.realpath(FLAGS.input_file) == os.path.realpath(FLAGS.output_file):
        raise InputError(
            f"--output_file={FLAGS.output_file} is the input, which would be overwritten. Choose "
            "another name."
        )
    if os.path.exists(FLAGS.input_file) and not os.path.isfile(FLAGS.input_file):
        raise InputError(
            f"--input_file={FLAGS.input_file} is a folder or a pipe; expected a file, since it is "
            "read more than once."
        )
    distribution.check_gpus(FLAGS.gpus)


def _load_tokenizer(config: BertConfig) -> Tokenizer:
    """Makes the tokenizer, and checks that it is the model's as far as that is known."""
    tokenizer, ours = tokenizer_flags.load_tokenizer(tokenizer_flags.tokenizer_settings())
    if len(tokenizer.vocab) > config.vocab_size:
        raise InputError(
            f"--vocab_file={FLAGS.vocab_file} has {len(tokenizer.vocab)} tokens, but vocab_size is "
            f"{config.vocab_size} in {FLAGS.bert_config_file}. Give the vocabulary the model was "
            "trained with."
        )
    is_folder = os.path.isdir(FLAGS.init_checkpoint)
    folder = FLAGS.init_checkpoint if is_folder else os.path.dirname(FLAGS.init_checkpoint)
    path = os.path.join(folder, contract.FILE_NAME)
    theirs = contract.read_contract(path)
    differing = contract.differences(theirs, ours) if theirs else {}
    if "tokenizer" in differing:
        # All else follows from it.
        differing = {"tokenizer": differing["tokenizer"]}
    if differing:
        described = contract.describe_differences(differing, path, FLAGS.vocab_file)
        tokenizer_flags.refuse_unless_allowed(
            InputError(
                f"--init_checkpoint={FLAGS.init_checkpoint} was trained on text cut in another "
                f"way: {described}. Give its vocabulary and tokenizer, or pass "
                "--allow_tokenizer_mismatch if the difference is meant."
            )
        )
    return tokenizer


def _extract(config: BertConfig, layers: list[int], tokenizer: Tokenizer) -> None:
    workers = tokenizer_flags.num_workers(FLAGS.tokenizer)
    if not FLAGS.num_workers:
        workers = processes.default_num_workers()
    from deeq_bert.bert.feature_extraction import FeatureExtractor

    devices = distribution.use_gpus(FLAGS.gpus)
    if devices == ["/cpu:0"] and FLAGS.gpus != "0":
        logging.warning("NO GPU WAS FOUND: THE CPU SERVES, AND IS FAR SLOWER.")
    else:
        logging.info("Devices: %s, for --gpus=%s.", ", ".join(devices), FLAGS.gpus)
    extractor = FeatureExtractor(
        config, FLAGS.init_checkpoint, layers, distribution.make_strategy(devices), FLAGS.dtype
    )
    features = text_features.features_of_lines(
        read_lines(FLAGS.input_file), tokenizer, FLAGS.max_seq_length
    )
    # Writing numbers as text costs more than computing them on a GPU.
    encoded = processes.map_in_processes(
        functools.partial(_encode, tuple(layers)),
        _no_state,
        _groups(_results(features, extractor, tokenizer), _LINES_A_TASK),
        workers,
        max_in_flight=_IN_FLIGHT_PER_WORKER * workers,
    )
    count = 0
    with (
        atomic_outputs([FLAGS.output_file]) as (file,),
        tqdm(unit=" texts", disable=None) as progress,
    ):
        for lines, number in encoded:
            file.write(lines)
            count += number
            progress.update(number)
    logging.info("Wrote the features of %d texts to %s.", count, FLAGS.output_file)


def _results(
    features: Iterator[InputFeatures], extractor: FeatureExtractor, tokenizer: Tokenizer
) -> Iterator[_Result]:
    for batch in _groups(features, FLAGS.batch_size):
        for of_text, values in zip(batch, extractor.extract(batch)):
            yield of_text, tokenizer.convert_ids_to_tokens(of_text.ids), values


def _groups(items: Iterable, size: int) -> Iterator[list]:
    items = iter(items)
    while group := list(itertools.islice(items, size)):
        yield group


def _no_state() -> None:
    """What a process needs to make JSON."""


def _encode(layers: tuple[int, ...], state: None, results: list[_Result]) -> tuple[bytes, int]:
    lines = (
        text_features.encode_features(features, tokens, layers, values)
        for features, tokens, values in results
    )
    return "".join(f"{line}\n" for line in lines).encode("ascii"), len(results)


if __name__ == "__main__":
    command_line.run(main)
