"""Vocabulary files: one token a line, whose id is the number of the line, counted from 0."""

import collections
from collections.abc import Collection, Iterator

from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import read_lines

PAD, UNK, CLS, SEP, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
SPECIAL_TOKENS = (PAD, UNK, CLS, SEP, MASK)

_BYTE_ORDER_MARK = "\ufeff"
# Far above any model's vocabulary: a larger file is a corpus, given by mistake.
MAX_LINES = 10_000_000
_MAX_NAMED = 5


def load_vocab(vocab_file: str) -> dict[str, int]:
    """Reads a vocabulary (`load_vocab` of the original).

    Every line uses up an id, a blank one (the token "") and a repeated one too; a repeated token
    keeps its place in the order and gets the last of its ids.

    Returns:
      The id of each token, in the order of the file.

    Raises:
      InputError: The file cannot be read, is empty or far too long, is not UTF-8, or begins with a
        byte-order mark.
    """
    vocab: dict[str, int] = {}
    for index, token in enumerate(_read_tokens(vocab_file)):
        vocab[token] = index
    if not any(vocab):
        raise InputError(
            f"The vocabulary {vocab_file} is empty; expected one token a line. "
            "Name the vocab.txt the model is to be trained with."
        )
    return vocab


def check_no_duplicates(vocab_file: str) -> None:
    """Checks that no token has two ids.

    Raises:
      InputError: Tokens stand on several lines; names them and the lines, counted from 1.
    """
    lines: dict[str, list[int]] = collections.defaultdict(list)
    for number, token in enumerate(_read_tokens(vocab_file), start=1):
        lines[token].append(number)
    repeated = {token: numbers for token, numbers in lines.items() if len(numbers) > 1}
    if not repeated:
        return
    named = [
        f"{token or 'a blank line'} on lines {_enumerate(list(map(str, numbers)), ' and ')}"
        for token, numbers in repeated.items()
    ]
    raise InputError(
        f"{vocab_file} has tokens on more than one line: {_enumerate(named, '; ')}. Only the last "
        "line of each is ever used: to mend the file and keep every id, replace all but the last "
        "by placeholders that stand nowhere else, such as [unused0]."
    )


def check_special_tokens(vocab: Collection[str], vocab_file: str) -> None:
    """Checks that the vocabulary has the tokens BERT puts into its input.

    [PAD] need not be there: as in the original, padding is id 0, whatever token that is.

    Args:
      vocab: The tokens.
      vocab_file: Where they were read, for the message.

    Raises:
      InputError: [UNK], [CLS], [SEP] or [MASK] is missing; names all that are, [PAD] too.
    """
    missing = [token for token in SPECIAL_TOKENS if token not in vocab]
    if missing and missing != [PAD]:
        raise InputError(
            f"The vocabulary {vocab_file} has no {', '.join(missing)}; expected each on a line of "
            "its own. Name a vocabulary made for BERT, or put them in place of unused lines."
        )


def _read_tokens(vocab_file: str) -> Iterator[str]:
    for index, line in enumerate(read_lines(vocab_file)):
        if index == 0 and line.startswith(_BYTE_ORDER_MARK):
            raise InputError(
                f"{vocab_file} begins with a byte-order mark, which would become part of its first "
                "token. Save it as UTF-8 without one, for instance with "
                "`sed -i '1s/^\\xef\\xbb\\xbf//'`."
            )
        if index >= MAX_LINES:
            raise InputError(
                f"{vocab_file} has over {MAX_LINES:,} lines; expected a vocabulary with one token "
                "a line. Name the vocabulary, not the corpus."
            )
        yield line.strip()


def _enumerate(items: list[str], separator: str) -> str:
    # A message stays readable when there are thousands.
    more = [f"{len(items) - _MAX_NAMED} more"] if len(items) > _MAX_NAMED else []
    return separator.join(items[:_MAX_NAMED] + more)
