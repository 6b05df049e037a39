"""Shows how a text is cut, by one tokenizer or by several side by side.

Examples:
  python tokenizers/show_tokens.py --text="오늘은 정말 추운 날이네요." \\
    --vocab_file=vocab/wordpiece/vocab.txt,vocab/deeq/vocab.txt --tokenizer=wordpiece,deeq
  cat text.txt | python tokenizers/show_tokens.py --vocab_file=vocab.txt --do_lower_case=False

A vocabulary with a tokenizer_config.json beside it needs no --tokenizer: that file names it.
"""

import sys
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

from absl import flags, logging

from deeq_bert.tokenizers import command_line, contract, registry, tokenizer_flags
from deeq_bert.tokenizers.base import MORPHEME_START, WORD_START, Encoding, Tokenizer
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.vocabulary import UNK

FLAGS = flags.FLAGS

flags.DEFINE_string(
    "vocab_file",
    None,
    "The vocabulary, or several, separated by commas.",
    required=True,
)
flags.DEFINE_string(
    "tokenizer",
    None,
    "The tokenizer of each vocabulary, separated by commas; one name serves for all. Without it, "
    "what stands in the tokenizer_config.json beside the vocabulary, else wordpiece.",
)
flags.DEFINE_bool(
    "do_lower_case",
    None,
    "Whether wordpiece lower-cases and strips accents. Without it, what stands in the "
    "tokenizer_config.json beside the vocabulary, else True.",
)
flags.DEFINE_string("text", None, "The text. Without it, each line of the standard input is shown.")
flags.DEFINE_bool("deeq_compat", False, "Whether deeq repeats the quirks of the first one.")
flags.DEFINE_bool(
    "summary",
    False,
    "Whether to show only the tokens, in one line, instead of a table with ids and offsets.",
)
tokenizer_flags.define_analyzer_flags()

_HEADINGS = ("token", "id", "from", "to", "starts", "text")


def main() -> None:
    """Shows the tokens that the flags ask for."""
    tokenizers = list(_make_tokenizers())
    texts = [FLAGS.text] if FLAGS.text is not None else _standard_input()
    for text in texts:
        encodings = [tokenizer.encode(text) for _, tokenizer in tokenizers]
        for (title, tokenizer), encoding in zip(tokenizers, encodings):
            print(f"{title}: {_counts(encoding, tokenizer, text)}")
            if FLAGS.summary:
                print(f"  {' '.join(encoding.tokens)}")
        if not FLAGS.summary:
            tables = [list(_table(encoding, text)) for encoding in encodings]
            for line in _side_by_side(tables):
                print(line)
        print()


def _make_tokenizers() -> Iterator[tuple[str, Tokenizer]]:
    """Yields each tokenizer with a title for it."""
    vocab_files = [part.strip() for part in FLAGS.vocab_file.split(",") if part.strip()]
    names = [part.strip() for part in (FLAGS.tokenizer or "").split(",") if part.strip()]
    if not vocab_files:
        raise InputError("--vocab_file is empty; give the path of a vocabulary.")
    if len(names) > 1 and len(vocab_files) == 1:
        vocab_files *= len(names)
    if len(names) == 1:
        names *= len(vocab_files)
    if names and len(names) != len(vocab_files):
        raise InputError(
            f"--tokenizer names {len(names)} tokenizers and --vocab_file {len(vocab_files)} "
            "vocabularies. Give one of the one for each of the other, in the same order."
        )
    for index, vocab_file in enumerate(vocab_files):
        agreed = contract.contract_of_vocabulary(vocab_file) or {}
        name = names[index] if names else agreed.get("tokenizer", "wordpiece")
        lower = FLAGS.do_lower_case
        settings = tokenizer_flags.settings_of(
            name,
            vocab_file,
            do_lower_case=agreed.get("do_lower_case", True) if lower is None else lower,
            deeq_compat=name == "deeq" and (FLAGS.deeq_compat or agreed.get("deeq_compat", False)),
        )
        tokenizer = registry.make_tokenizer(settings)
        if agreed.get("tokenizer") == name:
            _warn_of_differences(vocab_file, agreed, contract.make_contract(name, tokenizer))
        yield f"{name} ({vocab_file})", tokenizer


def _warn_of_differences(vocab_file: str, agreed: dict[str, Any], shown: dict[str, Any]) -> None:
    differing = contract.differences(agreed, shown)
    if differing:
        described = contract.describe_differences(differing, contract.FILE_NAME, "what is shown")
        logging.warning("%s is not used as it was made for: %s.", vocab_file, described)


def _standard_input() -> Iterator[str]:
    for number, line in enumerate(sys.stdin.buffer, start=1):
        try:
            yield line.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise InputError(
                f"Line {number} of the standard input is not UTF-8. Convert it, for instance with "
                "`iconv -f cp949 -t utf-8`."
            ) from None


def _counts(encoding: Encoding, tokenizer: Tokenizer, text: str) -> str:
    unknown = encoding.ids.count(tokenizer.vocab.get(UNK, -1))
    words = len(text.split())
    return f"{len(encoding.ids)} tokens, {unknown} of them [UNK]; {words} words"


def _table(encoding: Encoding, text: str) -> Iterator[str]:
    """Yields lines of equal width on the screen."""
    rows = [_HEADINGS]
    for token, index, start, end, unit in zip(
        encoding.tokens, encoding.ids, encoding.starts, encoding.ends, encoding.units
    ):
        starts = "word" if unit & WORD_START else "morpheme" if unit & MORPHEME_START else ""
        rows.append((token, str(index), str(start), str(end), starts, text[start:end]))
    rows = [tuple(map(_printable, row)) for row in rows]
    widths = [max(map(_width, column)) for column in zip(*rows)]
    for row in rows:
        cells = (
            f"{' ' * (width - _width(cell))}{cell}" if place in (1, 2, 3) else _pad(cell, width)
            for place, (cell, width) in enumerate(zip(row, widths))
        )
        yield "  ".join(cells)


def _side_by_side(tables: Iterable[list[str]]) -> Iterator[str]:
    tables = list(tables)
    widths = [_width(table[0]) for table in tables]
    for place in range(max(map(len, tables))):
        cells = [
            _pad(table[place] if place < len(table) else "", width)
            for table, width in zip(tables, widths)
        ]
        yield f"  {' | '.join(cells)}".rstrip()


def _printable(text: str) -> str:
    """Returns `text` without what would move the cursor; such characters as their numbers."""
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)


def _width(text: str) -> int:
    """Returns how many columns of a terminal `text` takes: two for each Hangul syllable."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def _pad(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


if __name__ == "__main__":
    command_line.run(main)
