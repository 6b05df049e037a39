"""What a training run tells: throughput, cost of a sequence, the log line, TensorBoard events."""

import time
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from deeq_bert.bert.config import BertConfig


def training_flops_per_sequence(
    config: BertConfig, seq_length: int, predictions_per_seq: int
) -> float:
    """Returns the floating-point operations that training on one sequence takes.

    Matrix products only, a multiplication and an addition each, the backward pass counted as twice
    the forward one (the usual terms of model FLOPs utilisation: PaLM, appendix B). Padding counts,
    since it is computed.

    Args:
      config: The model's sizes.
      seq_length: Tokens a sequence, padding included.
      predictions_per_seq: Masked positions a sequence, padding included.
    """
    hidden = config.hidden_size
    per_token_and_layer = 4 * hidden**2 + 2 * hidden * config.intermediate_size
    attention_per_layer = 2 * seq_length**2 * hidden
    encoder = config.num_hidden_layers * (seq_length * per_token_and_layer + attention_per_layer)
    masked_lm = predictions_per_seq * hidden * (hidden + config.vocab_size)
    next_sentence = hidden * (hidden + 2)
    return 3 * 2 * float(encoder + masked_lm + next_sentence)


class Throughput:
    """Sequences a second, and what follows from it, between one report and the next."""

    def __init__(
        self,
        flops_per_sequence: float,
        global_batch: int,
        replicas: int,
        peak_tflops: float | None = None,
    ):
        """Prepares the figures; the clock starts with the first step.

        Args:
          flops_per_sequence: See `training_flops_per_sequence`.
          global_batch: Sequences a step, over all replicas.
          replicas: How many devices share the work.
          peak_tflops: What one device can do at most, in 10^12 operations a second; None: unknown.
        """
        self._flops_per_sequence = flops_per_sequence
        self._global_batch = global_batch
        self._replicas = replicas
        self._peak_tflops = peak_tflops
        self._since: float | None = None
        self._steps = 0

    def count_step(self) -> None:
        """Counts a step. The first one, which is compiled, only starts the clock."""
        if self._since is None:
            self._since = time.perf_counter()
        else:
            self._steps += 1

    def exclude(self, seconds: float) -> None:
        """Leaves out time spent on something else, such as saving."""
        if self._since is not None:
            self._since += seconds

    def report(self, steps_left: int) -> dict[str, float]:
        """Returns the figures of the steps counted since the last report, and starts anew.

        Returns:
          steps_per_second, sequences_per_second, tflops (a device), eta_seconds; mfu, a share of
          the peak, where the peak is known. Empty where no step has been counted yet.
        """
        if self._since is None or not self._steps:
            return {}
        now = time.perf_counter()
        steps_per_second = self._steps / max(now - self._since, 1e-9)
        self._since, self._steps = now, 0
        sequences = steps_per_second * self._global_batch
        tflops = sequences * self._flops_per_sequence / self._replicas / 1e12
        figures = {
            "steps_per_second": steps_per_second,
            "sequences_per_second": sequences,
            "tflops": tflops,
            "eta_seconds": steps_left / steps_per_second,
        }
        if self._peak_tflops:
            figures["mfu"] = tflops / self._peak_tflops
        return figures


def log_line(step: int, losses: Mapping[str, float], figures: Mapping[str, float]) -> str:
    """Returns the line that a run logs: where it is, how it goes, how fast, how long yet.

    Args:
      step: Updates made.
      losses: `loss`, `masked_lm_loss`, `next_sentence_loss`, `learning_rate`.
      figures: See `Throughput.report`; left out of the line where empty.
    """
    line = (
        f"step {step}: loss {losses['loss']:.4f} (mlm {losses['masked_lm_loss']:.4f}, "
        f"nsp {losses['next_sentence_loss']:.4f}), lr {losses['learning_rate']:.3g}"
    )
    if not figures:
        return line
    mfu = f"mfu {figures['mfu']:.1%}" if "mfu" in figures else f"{figures['tflops']:.3g} TFLOP/s"
    return (
        f"{line}, {figures['sequences_per_second']:.1f} sequences/s, {mfu}, "
        f"{duration(figures['eta_seconds'])} left"
    )


def duration(seconds: float) -> str:
    """Returns a time span as people say it: "45 s", "12 min", "3 h 20 min", "4 d 5 h"."""
    minutes, hours, days = seconds / 60, seconds / 3600, seconds / 86400
    if seconds < 90:
        return f"{seconds:.0f} s"
    if minutes < 90:
        return f"{minutes:.0f} min"
    if hours < 48:
        return f"{int(hours)} h {int(minutes % 60):02d} min"
    return f"{int(days)} d {int(hours % 24)} h"


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
