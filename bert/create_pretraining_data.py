"""Makes the records that BERT is pre-trained on: text in, TFRecord files out.

Example:
  python bert/create_pretraining_data.py --input_file="text/*.txt" --vocab_file=vocab.txt \\
    --do_lower_case=False --output_file=records/train.tfrecord
"""

import functools
import itertools
import os
import random
import re
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from absl import flags, logging
from tqdm import tqdm

from deeq_bert.bert import instances, record_info, record_reports, records
from deeq_bert.bert.documents import Document, DocumentReader
from deeq_bert.bert.examples import ExampleEncoder, UnmaskedExampleEncoder
from deeq_bert.bert.tokenization import Tokenizer, TokenizerSettings, make_tokenizer
from deeq_bert.tokenizers import command_line, files, parallel, tokenizer_flags
from deeq_bert.tokenizers.base import MASK_UNITS
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.text_files import find_text_files
from deeq_bert.tokenizers.vocabulary import MASK, UNK

FLAGS = flags.FLAGS

flags.DEFINE_string(
    "input_file",
    None,
    "The text: UTF-8, a sentence a line, a blank line between documents. Paths and glob patterns, "
    "separated by commas; at least one file must match.",
    required=True,
)
flags.DEFINE_string(
    "output_file",
    None,
    "The TFRecord file to write, or several, separated by commas, which get the instances in "
    "turn. None may be an input file.",
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
    "every pass over the records, so that --dupe_factor=1 is enough and the default. The flags of "
    "masking are then given there, and must not be given here.",
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
    "What is masked as a whole: each token by itself, all tokens of a morpheme, or all of a word, "
    "which with the deeq tokenizers is what stands between blanks. Without it, token; morpheme "
    "needs a deeq tokenizer.",
)
flags.DEFINE_integer(
    "max_seq_length",
    128,
    "How many tokens an instance has, [CLS] and both [SEP] included; shorter ones are padded. At "
    "least 5, and the same in pre-training.",
)
flags.DEFINE_integer(
    "max_predictions_per_seq",
    20,
    "How many tokens of an instance are masked at most. At least 1; to cap nothing, at least "
    "max_seq_length times masked_lm_prob.",
)
flags.DEFINE_integer(
    "random_seed",
    12345,
    "What the random choices start from: the same seed, text and flags give the same records. Any "
    "integer.",
)
flags.DEFINE_integer(
    "dupe_factor",
    10,
    "How many times each document is used, every time with other masks and pairs; 1 if not given "
    "and with --dynamic_masking. At least 1.",
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

# The [UNK] share of so many lines tells whether text and vocabulary belong together.
_SAMPLE_LINES = 1000

# What masking is about.
_MASKING_FLAGS = ("mask_unit", "do_whole_word_mask", "masked_lm_prob", "max_predictions_per_seq")

_HANGUL = re.compile("[\uac00-\ud7a3]")


def main() -> None:
    """Makes the records that the flags ask for."""
    started = time.monotonic()
    _check_ranges()
    _check_masking_flags()
    settings = tokenizer_flags.tokenizer_settings()
    num_workers = tokenizer_flags.num_workers(settings.name)
    tokenizer, contract = tokenizer_flags.load_tokenizer(settings)
    mask_unit = _mask_unit(settings, tokenizer)
    input_files = find_text_files("input_file", FLAGS.input_file)
    logging.info("*** Reading from input files ***")
    for path in input_files:
        logging.info("  %s", path)
    output_files = _prepare_output_files(input_files)
    if not FLAGS.dynamic_masking:
        _warn_of_unfit_predictions()

    # With several processes this one tokenizes nothing, so that no analyser is started in it.
    factory = functools.partial(make_tokenizer, settings) if num_workers > 1 else lambda: tokenizer
    reader = DocumentReader(
        tokenizer.vocab[UNK], keep_units=FLAGS.dynamic_masking or mask_unit != "token"
    )
    _read_documents(reader, input_files, factory, num_workers)
    tokenizer.close()
    rng = random.Random(FLAGS.random_seed)
    examples, counts = _make_examples(reader.documents, tokenizer, mask_unit, rng)
    rng.shuffle(examples)

    record_reports.log_first_examples(examples, tokenizer)
    info = {
        **_choices(tokenizer, mask_unit),
        "sentences": reader.counts.sentences,
        "tokens": reader.counts.tokens,
        "characters": reader.counts.characters,
        "vocab_file": os.path.abspath(FLAGS.vocab_file),
        "tokenizer": contract,
    }
    _write_records(examples, output_files, info)
    record_reports.log_summary(
        reader.counts,
        counts,
        FLAGS.max_seq_length,
        output_files,
        sum(os.path.getsize(path) for path in input_files),
        time.monotonic() - started,
    )
    record_reports.warn_of_next_sentences(reader.counts, counts)


def _check_ranges() -> None:
    for name, lowest in (("max_seq_length", 5), ("max_predictions_per_seq", 1), ("dupe_factor", 1)):
        if FLAGS[name].value < lowest:
            raise InputError(f"--{name}={FLAGS[name].value}: must be {lowest} or more.")
    for name in ("masked_lm_prob", "short_seq_prob"):
        # Written so that NaN fails.
        if not 0 <= FLAGS[name].value <= 1:
            raise InputError(f"--{name}={FLAGS[name].value}: must be from 0 to 1.")


def _check_masking_flags() -> None:
    if not FLAGS.dynamic_masking:
        return
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


def _prepare_output_files(input_files: Iterable[str]) -> list[str]:
    output_files = [path for part in FLAGS.output_file.split(",") if (path := part.strip())]
    if not output_files:
        raise InputError(
            f"--output_file={FLAGS.output_file}: names no file. Give the path of the file to write."
        )
    taken = {os.path.realpath(path): "--input_file" for path in input_files}
    taken[os.path.realpath(FLAGS.vocab_file)] = "--vocab_file"
    for path in output_files:
        flag = taken.setdefault(os.path.realpath(path), "--output_file")
        if flag != "--output_file":
            raise InputError(
                f"--output_file={path} would overwrite what {flag} names. Choose another name."
            )
    if len({os.path.realpath(path) for path in output_files}) < len(output_files):
        raise InputError(
            f"--output_file={FLAGS.output_file}: names a file twice. Choose different names."
        )
    for path in output_files:
        files.make_parent_folder(path)
    return output_files


def _warn_of_unfit_predictions() -> None:
    if FLAGS.max_predictions_per_seq > FLAGS.max_seq_length:
        logging.warning(
            "--max_predictions_per_seq=%d is more than --max_seq_length=%d can use: what is over "
            "makes the records larger and pre-training slower.",
            FLAGS.max_predictions_per_seq,
            FLAGS.max_seq_length,
        )
    needed = round(FLAGS.max_seq_length * FLAGS.masked_lm_prob)
    if FLAGS.max_predictions_per_seq < needed:
        logging.warning(
            "--max_predictions_per_seq=%d is too small for --masked_lm_prob=%g: a full instance of "
            "%d tokens would have %d masks, and gets %d. The smallest --max_predictions_per_seq "
            "that caps nothing is %d.",
            FLAGS.max_predictions_per_seq,
            FLAGS.masked_lm_prob,
            FLAGS.max_seq_length,
            needed,
            FLAGS.max_predictions_per_seq,
            needed,
        )


def _read_documents(
    reader: DocumentReader,
    input_files: list[str],
    factory: Callable[[], Tokenizer],
    num_workers: int,
) -> None:
    size = sum(os.path.getsize(path) for path in input_files)
    with tqdm(
        total=size, unit="B", unit_scale=True, desc="Reading text", disable=None
    ) as progress_bar:
        lines = parallel.tokenize_lines(
            factory, _read_lines(input_files, progress_bar), num_workers
        )
        has_hangul = False
        for line, tokenized in itertools.islice(lines, _SAMPLE_LINES):
            reader.add_line(line, tokenized)
            has_hangul = has_hangul or bool(_HANGUL.search(line))
        progress_bar.clear()
        record_reports.warn_of_unknown_tokens(reader.counts, FLAGS.do_lower_case and has_hangul)
        for line, tokenized in lines:
            reader.add_line(line, tokenized)
    if not reader.documents:
        raise InputError(
            f"--input_file={FLAGS.input_file}: there is no text in it. Expected a sentence a line "
            "and a blank line between documents."
        )


def _read_lines(input_files: Iterable[str], progress_bar: tqdm) -> Iterator[str]:
    for path in input_files:
        for line in files.read_lines(path):
            yield line
            if not progress_bar.disable:
                progress_bar.update(len(line.encode()) + 1)


def _make_examples(
    documents: list[Document],
    tokenizer: Tokenizer,
    mask_unit: str,
    rng: random.Random,
) -> tuple[list[bytes], record_reports.RecordCounts]:
    vocab_size = max(tokenizer.vocab.values()) + 1
    examples, counts = [], record_reports.RecordCounts()
    with tqdm(
        total=len(documents) * _dupe_factor(),
        unit=" documents",
        desc="Making instances",
        disable=None,
    ) as progress_bar:
        arguments = (
            FLAGS.max_seq_length,
            _dupe_factor(),
            FLAGS.short_seq_prob,
            rng,
            progress_bar.update,
        )
        if FLAGS.dynamic_masking:
            encoder = UnmaskedExampleEncoder(FLAGS.max_seq_length, vocab_size)
            made = instances.create_unmasked_instances(documents, tokenizer, *arguments)
        else:
            encoder = ExampleEncoder(
                FLAGS.max_seq_length, FLAGS.max_predictions_per_seq, vocab_size
            )
            masker = instances.Masker(
                tokenizer, FLAGS.masked_lm_prob, FLAGS.max_predictions_per_seq, mask_unit, rng
            )
            made = instances.create_training_instances(documents, tokenizer, masker, *arguments)
        for instance in made:
            # Bytes at once: an instance as Python objects takes several times the memory.
            examples.append(encoder.encode(instance))
            counts.add(instance)
    return examples, counts


def _choices(tokenizer: Tokenizer, mask_unit: str) -> dict[str, Any]:
    """Returns how the records were made, or what masking them takes."""
    choices = {
        "max_seq_length": FLAGS.max_seq_length,
        "short_seq_prob": FLAGS.short_seq_prob,
        "dupe_factor": _dupe_factor(),
        "random_seed": FLAGS.random_seed,
        "dynamic_masking": FLAGS.dynamic_masking,
    }
    if FLAGS.dynamic_masking:
        return {
            **choices,
            "mask_id": tokenizer.vocab[MASK],
            # A random word may be any of the vocabulary.
            "num_ids": max(tokenizer.vocab.values()) + 1,
            "mask_units": list(tokenizer.mask_units),
        }
    return {
        **choices,
        "max_predictions_per_seq": FLAGS.max_predictions_per_seq,
        "masked_lm_prob": FLAGS.masked_lm_prob,
        "mask_unit": mask_unit,
    }


def _write_records(
    examples: Iterable[bytes], output_files: list[str], info: dict[str, Any]
) -> None:
    logging.info("*** Writing to output files ***")
    for path in output_files:
        logging.info("  %s", path)
    info_files = [record_info.info_path(path) for path in output_files]
    with files.atomic_outputs([*output_files, *info_files]) as outputs:
        for example, output in zip(examples, itertools.cycle(outputs[: len(output_files)])):
            output.write(records.frame_record(example))
        for output, info_output in zip(outputs, outputs[len(output_files) :]):
            info_output.write(record_info.encode_info({"bytes": output.tell(), **info}))


if __name__ == "__main__":
    command_line.run(main)
