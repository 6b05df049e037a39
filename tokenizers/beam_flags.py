"""The command line of the scripts whose work is done by Apache Beam."""

import contextlib
import logging as python_logging
import sys
from collections.abc import Iterator

from absl import flags

from deeq_bert.tokenizers import command_line
from deeq_bert.tokenizers.errors import InputError

FLAGS = flags.FLAGS

flags.DEFINE_string(
    "runner",
    "DirectRunner",
    "What runs the job, as Beam names it: DirectRunner on this machine, FlinkRunner, SparkRunner, "
    "PortableRunner, DataflowRunner ... Its options stand after --.",
)


def take_beam_options() -> list[str]:
    """Takes what stands after -- off the command line, and returns it.

    To be called before the flags are parsed: the options are those of Beam and of its runner.
    """
    if "--" not in sys.argv:
        return []
    place = sys.argv.index("--")
    options = sys.argv[place + 1 :]
    del sys.argv[place:]
    return options


def refuse_num_workers() -> None:
    """Checks that --num_workers, which is for scripts that start processes, is not given.

    Raises:
      InputError: It is.
    """
    if command_line.explicitly_given("num_workers"):
        raise InputError(
            "--num_workers: how many work is an option of the runner and stands after --, as in "
            "-- --direct_running_mode=multi_processing --direct_num_workers=8."
        )


@contextlib.contextmanager
def importing_beam(instead: str) -> Iterator[None]:
    """Surrounds the import of modules that need Beam, which is not always installed.

    Args:
      instead: What does the same without it.

    Raises:
      InputError: It is not installed.
    """
    # Its notes about itself, some of them made while it is imported, would bury the log.
    python_logging.getLogger("apache_beam").setLevel(python_logging.WARNING)
    python_logging.disable(python_logging.WARNING)
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "apache_beam":
            raise
        raise InputError(
            'Apache Beam is not installed. Install it with pip install "deeq-bert[beam]", or use '
            f"{instead}, which needs nothing more, on one machine."
        ) from None
    finally:
        python_logging.disable(python_logging.NOTSET)
