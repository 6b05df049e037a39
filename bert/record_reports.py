"""What create_pretraining_data.py tells of the text it read and the records it made of it."""

import itertools
from collections.abc import Iterable

from absl import logging

from deeq_bert.bert.compiled_draws import is_compiled
from deeq_bert.bert.documents import TextCounts
from deeq_bert.bert.examples import decode_example
from deeq_bert.bert.record_making import RecordCounts
from deeq_bert.tokenizers.base import Tokenizer

# A larger share of [UNK] tells that text and vocabulary do not belong together.
_MAX_UNKNOWN_SHARE = 0.05

_LOGGED_EXAMPLES = 20

_FEW_DOCUMENTS = 100


def tell_if_not_compiled() -> None:
    """Tells that records could be made faster."""
    if not is_compiled():
        logging.info(
            "A part of record making is not compiled here, so that it takes up to twice the time. "
            "pip install -e . compiles it where there are a C compiler and the headers of Python."
        )


def warn_of_unknown_tokens(counts: TextCounts, is_lower_cased_hangul: bool) -> None:
    """Tells, when a part of the text has been read, that the vocabulary does not know it."""
    if counts.unknown_share <= _MAX_UNKNOWN_SHARE:
        return
    advice = "Make sure that --vocab_file was made from text like this."
    if is_lower_cased_hangul:
        advice = (
            "--do_lower_case=True takes Hangul apart: for a Korean vocabulary in whole syllables "
            "give --do_lower_case=False."
        )
    logging.warning(
        "%.1f%% of the first %d tokens are [UNK]. %s",
        100 * counts.unknown_share,
        counts.tokens,
        advice,
    )


def log_first_examples(examples: Iterable[bytes], tokenizer: Tokenizer) -> None:
    """Logs the features of the first examples, as the original does."""
    for example in itertools.islice(examples, _LOGGED_EXAMPLES):
        features = decode_example(example)
        token_ids = features["input_ids"][: sum(features["input_mask"])]
        logging.info("*** Example ***")
        logging.info("tokens: %s", " ".join(tokenizer.convert_ids_to_tokens(token_ids)))
        for name, values in features.items():
            logging.info("%s: %s", name, " ".join(map(str, values)))


def log_text(text: TextCounts) -> None:
    """Logs what was read."""
    # After the examples, the warning given while reading is far up.
    logging.log(
        logging.WARNING if text.unknown_share > _MAX_UNKNOWN_SHARE else logging.INFO,
        "Read %d documents, %d sentences, %d tokens, %.2f%% of them [UNK].",
        text.documents,
        text.sentences,
        text.tokens,
        100 * text.unknown_share,
    )


def log_records(counts: RecordCounts, max_seq_length: int, outputs: str) -> None:
    """Logs what was written, and where."""
    padding_share = 1 - counts.instance_tokens / (counts.records * max_seq_length)
    logging.info(
        "Wrote %d total instances to %s: %.1f%% padding, %.1f%% random next.",
        counts.records,
        outputs,
        100 * padding_share,
        100 * counts.random_next / counts.records,
    )


def log_speed(input_bytes: int, seconds: float) -> None:
    """Logs how fast it went."""
    megabytes = input_bytes / 1e6
    logging.info(
        "Took %.1f seconds: %.2f MB of text, %.2f MB/s.", seconds, megabytes, megabytes / seconds
    )


def warn_of_next_sentences(text: TextCounts, records: RecordCounts) -> None:
    """Tells where next-sentence prediction learns nothing, or the wrong thing."""
    if text.documents == 1:
        logging.warning(
            "The text is a single document, so that random next sentences come from it too and may "
            "be the true ones. Put a blank line between documents."
        )
    if records.random_next in (0, records.records):
        logging.warning(
            "%s instance has a random next sentence, so that next-sentence prediction learns "
            "nothing. Expected about half: give documents of several sentences each, a sentence a "
            "line, a blank line only between documents.",
            "No" if records.random_next == 0 else "Every",
        )


def warn_of_few_documents(documents: float) -> None:
    """Tells where shards have so few documents that the same random next sentences come often."""
    if documents < _FEW_DOCUMENTS:
        logging.warning(
            "A shard has %.1f documents on average, and random next sentences come from these. "
            "Lower --num_shards, so that there are %d at least.",
            documents,
            _FEW_DOCUMENTS,
        )
