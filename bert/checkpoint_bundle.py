"""One checkpoint on disk, in the name-based format of Google's scripts: its reading and writing.

A checkpoint is `model.ckpt-STEP.index` and `model.ckpt-STEP.data-00000-of-00001`, with every
variable under its own name, Adam's slots under `NAME/adam_m` and `NAME/adam_v`, and `global_step`.
What a resume needs beyond the variables rides along as a JSON string under a name that the known
converters skip.
"""

import errno
import json
import os
import re
from collections.abc import Collection, Mapping

import numpy as np
import tensorflow as tf

from deeq_bert.tokenizers.errors import InputError

GLOBAL_STEP = "global_step"
# Converters of other projects skip any name with a component "global_step", and fail on names they
# do not know.
RESUME_STATE = "global_step/resume_state"

# What TensorFlow's reader raises for files that are missing, cut off or something else.
_READ_ERRORS = (tf.errors.OpError, ValueError, RuntimeError, IndexError)
# Where in its graph something failed, and under which temporary name, which tells a user nothing.
_TENSORFLOW_NAMES = re.compile(r"\{\{.*?\}\}|\[Op:.*?\].*|\S+\.tempstate\d+; ")
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
# Enough to see what is wrong; a whole BERT would fill the screen.
_NAMES_SHOWN = 4


class Checkpoint:
    """A checkpoint opened for reading: Google's, or one of ours.

    Attributes:
      path: The prefix of its files, such as "out/model.ckpt-1000".
      shapes: The shape of every variable by name.
    """

    def __init__(self, path: str):
        """Opens the checkpoint at `path`, a prefix or the name of its .index file.

        Raises:
          InputError: There is no readable checkpoint there.
        """
        self.path = path.removesuffix(".index")
        try:
            self._reader = tf.train.load_checkpoint(self.path)
        except _READ_ERRORS as error:
            raise InputError(
                f"Cannot read a checkpoint at {self.path}: {reason_of(error)} Expected the "
                "prefix of an .index and a .data file, such as out/model.ckpt-1000."
            ) from error
        self.shapes: dict[str, list[int]] = self._reader.get_variable_to_shape_map()

    def read(self, name: str) -> np.ndarray:
        """Returns the value of one variable.

        Raises:
          InputError: The data file is damaged or misses.
        """
        try:
            return self._reader.get_tensor(name)
        except _READ_ERRORS as error:
            raise InputError(
                f"Cannot read {name} from the checkpoint {self.path}: {reason_of(error)} "
                "Go back to an earlier checkpoint by naming it in the file `checkpoint`."
            ) from error

    def verify(self) -> None:
        """Reads every value, against the checksum it was written with.

        Raises:
          InputError: The checkpoint is cut off or damaged.
        """
        for name in sorted(self.shapes):
            self.read(name)

    def global_step(self) -> int:
        """Returns the number of updates behind the checkpoint, 0 where it does not say."""
        return int(self.read(GLOBAL_STEP)) if GLOBAL_STEP in self.shapes else 0

    def resume_state(self) -> dict:
        """Returns what `save` was given to resume from; empty for a checkpoint of Google's.

        Raises:
          InputError: It is something else than this version writes.
        """
        if RESUME_STATE not in self.shapes:
            return {}
        value = self.read(RESUME_STATE)
        try:
            state = json.loads(bytes(value))
        except (ValueError, TypeError, RecursionError):
            state = None
        if not isinstance(state, dict):
            raise InputError(
                f"{self.path} holds a resume state that this version cannot read. Go on with the "
                "version that wrote it, or start a new run from its weights with "
                "--init_checkpoint."
            )
        return state

    def restore(
        self, variables: Mapping[str, tf.Variable], optional: Collection[str] = ()
    ) -> list[str]:
        """Assigns every one of `variables` (by checkpoint name) its value in the checkpoint.

        Args:
          variables: Those to assign; what else the checkpoint holds is left.
          optional: Names that may be missing in the checkpoint, as the loss scale is in one that
            was saved in float32. Their variables keep their values then.

        Returns:
          Those of `optional` that are missing.

        Raises:
          InputError: Another name is missing or a shape differs; nothing has been assigned then.
        """
        missing = [name for name in variables if name in optional and name not in self.shapes]
        wanted = {name: variables[name] for name in variables if name not in missing}
        problems = [
            f"{name} is not in it"
            if name not in self.shapes
            else f"{name} is {self.shapes[name]} there and {variable.shape.as_list()} here"
            for name, variable in wanted.items()
            if self.shapes.get(name) != variable.shape.as_list()
        ]
        if problems:
            more = len(problems) - _NAMES_SHOWN
            raise InputError(
                f"The checkpoint {self.path} does not fit the model: "
                f"{'; '.join(problems[:_NAMES_SHOWN])}{f'; and {more} more' if more > 0 else ''}. "
                "Give the bert_config.json it was trained with, or another --output_dir or "
                "--init_checkpoint."
            )
        for name, variable in wanted.items():
            variable.assign(self.read(name))
        return missing


def is_complete(path: str) -> bool:
    """Whether both files of the checkpoint with prefix (or .index file) `path` are there."""
    prefix = path.removesuffix(".index")
    folder, name = os.path.split(os.path.abspath(prefix))
    if not os.path.exists(f"{prefix}.index"):
        return False
    return any(file.startswith(f"{name}.data-") for file in os.listdir(folder))


def bundle_files(name: str) -> list[str]:
    """Returns the names of the files `write_bundle` makes: the data, then the index."""
    return [f"{name}.data-00000-of-00001", f"{name}.index"]


def write_bundle(
    prefix: str,
    step: int,
    variables: Mapping[str, tf.Variable | tf.Tensor],
    resume_state: dict,
) -> None:
    """Writes a checkpoint and waits until both files are on the disk, though not their names.

    Raises:
      OSError, tf.errors.OpError: It cannot be written.
    """
    with tf.device("/CPU:0"):
        tensors = {name: tf.convert_to_tensor(variable) for name, variable in variables.items()}
        tensors[GLOBAL_STEP] = tf.constant(step, tf.int64)
        tensors[RESUME_STATE] = tf.constant(json.dumps(resume_state, sort_keys=True))
        names = sorted(tensors)
        tf.raw_ops.SaveV2(
            prefix=prefix,
            tensor_names=names,
            shape_and_slices=[""] * len(names),
            tensors=[tensors[name] for name in names],
        )
    folder, name = os.path.split(prefix)
    for file in bundle_files(name):
        with open(os.path.join(folder, file), "rb") as written:
            os.fsync(written.fileno())


def bytes_needed(variables: Mapping[str, tf.Variable | tf.Tensor]) -> int:
    """Returns the size of the values of `variables`, about that of a checkpoint of them."""
    return sum(value.shape.num_elements() * value.dtype.size for value in variables.values())


def is_no_space(error: Exception) -> bool:
    """Whether `error`, or what led to it, is that of a full disk or an exhausted quota."""
    cause = error.__cause__ if isinstance(error, InputError) else error
    if isinstance(cause, OSError):
        return cause.errno in _NO_SPACE
    # TensorFlow gives one code to these and to want of memory or of file descriptors.
    return any(os.strerror(code) in str(cause) for code in _NO_SPACE)


def reason_of(error: Exception) -> str:
    """Returns what went wrong as one sentence, without TensorFlow's own bearings."""
    if isinstance(error, OSError):
        return f"{error.strerror}."
    line = str(getattr(error, "message", error)).strip().split("\n")[0]
    line = _TENSORFLOW_NAMES.sub("", line).strip()
    return line if line.endswith(".") else f"{line}."
