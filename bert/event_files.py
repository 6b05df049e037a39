"""TensorBoard event files, written without the tensorboard package and without TensorFlow's writer.

That one ends a run on a full disk, and leaves a torn record in the middle of the file.
"""

import itertools
import os
import socket
import time
from collections.abc import Iterator, Mapping
from typing import BinaryIO

import numpy as np
import tensorflow as tf
from absl import logging

from deeq_bert.bert.records import frame_record
from deeq_bert.tokenizers.files import make_folder

_VERSION = "brain.Event:2"


class EventWriter:
    """Writes scalars as TensorBoard event files."""

    def __init__(self, folder: str):
        """Makes the folder; the file is begun with the first scalars.

        Raises:
          InputError: The folder can be neither made nor written.
        """
        make_folder(folder)
        self._folder = folder
        self._file: BinaryIO | None = None
        self._failed = False
        # tf.summary.scalar imports tensorboard only to build this.
        self._metadata = tf.compat.v1.SummaryMetadata(
            plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars"),
            data_class="DATA_CLASS_SCALAR",
        )

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Writes one value a name, for the given number of updates.

        A disk that is full does not end the run: the values are lost, which is logged once.
        """
        values = [
            tf.compat.v1.Summary.Value(
                tag=name, metadata=self._metadata, tensor=tf.make_tensor_proto(np.float32(value))
            )
            for name, value in scalars.items()
        ]
        summary = tf.compat.v1.Summary(value=values)
        try:
            if self._file is None:
                self._file = self._begin()
            self._append(tf.compat.v1.Event(step=step, summary=summary))
        except OSError as error:
            if not self._failed:
                logging.error(
                    "Cannot write the events of %s: %s. The run goes on; they are lost until it "
                    "can.",
                    self._folder,
                    error.strerror or error,
                )
            self._failed = True
        else:
            self._failed = False

    def _begin(self) -> BinaryIO:
        for path in self._paths():
            try:
                # Unbuffered: an event is one write, and the system's from then on.
                return open(path, "xb", buffering=0)
            except FileExistsError:
                continue

    def _paths(self) -> Iterator[str]:
        name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{os.getpid()}"
        return (os.path.join(self._folder, f"{name}.{number}.v2") for number in itertools.count())

    def _append(self, event: tf.compat.v1.Event) -> None:
        """Writes an event whole or not at all; the first one of a file behind its version."""
        size = os.fstat(self._file.fileno()).st_size
        events = [event] if size else [tf.compat.v1.Event(file_version=_VERSION), event]
        now = time.time()
        content = b""
        for each in events:
            each.wall_time = now
            content += frame_record(each.SerializeToString())
        try:
            if self._file.write(content) != len(content):
                raise OSError("the disk took only a part of them")
        except OSError:
            self._file.truncate(size)
            # After a truncation the next write would leave a gap.
            self._file.seek(size)
            raise
