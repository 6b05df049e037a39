"""The input files of a script, found before its work begins."""

from absl import logging

from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import expand_patterns


def find_text_files(flag: str, patterns: str) -> list[str]:
    """Finds the text files that a flag names (see `expand_patterns`), and warns of oddities.

    Raises:
      InputError: Nothing matches.
    """
    files, unmatched = expand_patterns(patterns)
    if not files:
        raise InputError(
            f"--{flag}={patterns}: no file matches. Give the path of a text file, or a pattern in "
            "quotes."
        )
    for pattern in unmatched:
        logging.warning("--%s: nothing matches %s; going on with the other files.", flag, pattern)
    if len(set(files)) < len(files):
        logging.warning("--%s names some files more than once; they are read as often.", flag)
    return files
