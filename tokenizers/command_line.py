"""What every script's command line does alike: --help, stray words, errors, exit codes.

Exit codes: 0 done; 1 a flag, a file or a value cannot be used; 130 or 143 stopped by Ctrl-C or
SIGTERM; others are the script's own, raised as SystemExit.
"""

import os
import signal
import sys
from collections.abc import Callable

from absl import app, flags, logging

from deeq_bert.tokenizers.errors import InputError

_HELP_WORDS = ("--help", "-help", "-h", "--helpshort", "-helpshort")


def run(main: Callable[[], None]) -> None:
    """Parses the flags, runs `main`, and turns errors into a sentence and an exit code."""
    # absl would exit with 1, which reads as a failure.
    if "--helpfull" in sys.argv[1:]:
        app.usage(writeto_stdout=True, exitcode=0)
    if any(word in _HELP_WORDS for word in sys.argv[1:]):
        app.usage(shorthelp=True, writeto_stdout=True, exitcode=0)
    # TensorFlow's notes on instruction sets would bury the log; its warnings stay.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")

    def guarded(argv: list[str]) -> None:
        logging.set_verbosity(logging.INFO)
        try:
            refuse_stray_words(argv)
            main()
        except InputError as error:
            fail(str(error))
        except KeyboardInterrupt as interrupt:
            fail("Stopped.", interrupt_code(interrupt))

    # As an exception, so that temporary files are removed on the way out.
    signal.signal(signal.SIGTERM, _raise_terminated)
    app.run(guarded)


class Terminated(KeyboardInterrupt):
    """SIGTERM, as `docker stop` and batch systems send it."""


def _raise_terminated(number: int, frame: object) -> None:
    raise Terminated


def interrupt_code(interrupt: KeyboardInterrupt) -> int:
    """Returns the exit code of a process that was stopped by Ctrl-C or SIGTERM."""
    return 128 + (signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT)


def fail(message: str, code: int = 1) -> None:
    """Prints `message` as the error it is and leaves with `code`."""
    logging.flush()
    print(f"ERROR: {message}", file=sys.stderr)
    sys.exit(code)


def refuse_stray_words(argv: list[str]) -> None:
    """Stops at words that are no flag, and mends the command where a blank follows `--flag=`.

    Args:
      argv: What flag parsing left over, the script's name first.

    Raises:
      InputError: There is such a word.
    """
    if len(argv) < 2:
        return
    word = argv[1]
    for given, following in zip(sys.argv, sys.argv[1:]):
        if given.startswith("--") and given.endswith("=") and following == word:
            raise InputError(
                f"There is a blank after {given}, so its value is empty and {word} stands alone. "
                f"Write {given}{word} instead."
            )
    raise InputError(
        f"Unexpected word on the command line: {word}. Every value belongs to a flag, as in "
        "--flag=value; put quotes around a value that has blanks or wildcards in it."
    )


def explicitly_given(name: str) -> bool:
    """Whether the flag `name` was given on the command line rather than left at its default."""
    return flags.FLAGS[name].present > 0
