"""TensorBoard event files, written without the tensorboard package."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf


class EventWriter:
    """Writes scalars as TensorBoard event files, without the tensorboard package."""

    def __init__(self, folder: str):
        self._writer = tf.summary.create_file_writer(folder)
        # tf.summary.scalar imports tensorboard only to build this.
        self._metadata = tf.compat.v1.SummaryMetadata(
            plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars"),
            data_class="DATA_CLASS_SCALAR",
        )

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Writes one value a name, for the given number of updates, and flushes."""
        with self._writer.as_default():
            for name, value in scalars.items():
                tf.summary.write(name, np.float32(value), step=step, metadata=self._metadata)
        self._writer.flush()
