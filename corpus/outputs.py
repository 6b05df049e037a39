"""Names of the files that a run writes, and what may already stand under them."""

import os
import re
from collections.abc import Sequence

from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import make_parent_folder

_PLACEHOLDER = re.compile(r"@?(#+)")


class OutputName:
    """The name of one text file, or of a series: in train-@####.txt a number of four digits.

    Attributes:
      is_series: Whether the name has a place for a number.
      stem: The name without that place and its ending, for the names of what belongs to it.
    """

    def __init__(self, output_file: str):
        """Reads the name.

        Raises:
          InputError: It has more than one place for a number, or one in its folder.
        """
        folder, name = os.path.split(output_file)
        places = list(_PLACEHOLDER.finditer(name))
        if not name or len(places) > 1 or "#" in folder:
            raise InputError(
                f"--output_file={output_file}: expected the name of a file, with at most one "
                "place for a number, as in corpus/train-@####.txt."
            )
        self._folder = folder
        self.is_series = bool(places)
        self._before, self._after, self._digits = name, "", 0
        if places:
            self._before, self._after = name[: places[0].start()], name[places[0].end() :]
            self._digits = len(places[0][1])
        digits = f"\\d{{{self._digits},}}" if self.is_series else ""
        self._pattern = re.compile(f"{re.escape(self._before)}{digits}{re.escape(self._after)}")
        bare = self._before if self.is_series else os.path.splitext(name)[0]
        self.stem = os.path.join(folder, bare.rstrip("-_.") or "corpus")

    @property
    def heldout_path(self) -> str:
        """Where held-out text goes unless told otherwise: no pattern for the others finds it."""
        folder, name = os.path.split(self.stem)
        return os.path.join(folder, f"heldout-{name}.txt")

    def path(self, number: int) -> str:
        """Returns the path of the file with this number, from 1; without a place, the only one."""
        digits = f"{number:0{self._digits}d}" if self.is_series else ""
        return os.path.join(self._folder, f"{self._before}{digits}{self._after}")

    def has(self, path: str) -> bool:
        """Whether a path is that of a file of the series, or of the one file."""
        folder, name = os.path.split(path)
        is_here = os.path.realpath(folder) == os.path.realpath(self._folder)
        return is_here and self._pattern.fullmatch(name) is not None

    def existing(self) -> list[str]:
        """Returns the files of the series, or the one file, that are there."""
        if not self.is_series:
            return [self.path(1)] if os.path.lexists(self.path(1)) else []
        folder = self._folder or "."
        if not os.path.isdir(folder):
            return []
        names = sorted(name for name in os.listdir(folder) if self._pattern.fullmatch(name))
        return [os.path.join(self._folder, name) for name in names]


def check_outputs(output: OutputName, inputs: Sequence[str], others: Sequence[str]) -> None:
    """Makes the folders of the outputs, and refuses to read what is to be written.

    Args:
      output: The text files.
      inputs: The files that are read.
      others: Other files that are written.

    Raises:
      InputError: A folder cannot be made, an input is an output, or two outputs are one file.
    """
    for path in [output.path(1), *others]:
        make_parent_folder(path)
    for path in others:
        if output.has(path):
            raise InputError(
                f"--heldout_file={path} is a name that --output_file writes, too. Give another."
            )
    written = {os.path.realpath(path) for path in [*output.existing(), output.path(1), *others]}
    for path in inputs:
        if os.path.realpath(path) in written:
            raise InputError(
                f"{path} is an input, but is to be written by --output_file. Give another name, "
                "or a pattern for the input that leaves it out."
            )
