"""What a pre-training run computes with: the model, its optimizer, the devices and the batches."""

import contextlib
import functools
import math
import statistics
from collections.abc import Callable, Iterator

import tensorflow as tf

from deeq_bert.bert import distribution, heads, loss_scaling, meters, optimization, pretraining
from deeq_bert.bert.config import BertConfig
from deeq_bert.bert.held_out import HeldOutRecords
from deeq_bert.bert.input_pipeline import RecordBatches
from deeq_bert.bert.length_buckets import Bucket
from deeq_bert.bert.phases import Phase
from deeq_bert.bert.pretraining_records import PhaseRecords
from deeq_bert.bert.records import RecordSet
from deeq_bert.bert.train_step import Batch, Metrics, TrainStep, make_train_step

# A mean over so many examples is known to one or two in a hundred.
_EXAMPLES_FOR_A_MEAN = 4096


class PretrainingRun:
    """A model with its optimizer on some devices, and what makes steps and batches for it.

    Attributes:
      strategy: The strategy the variables live under.
      model: The heads.PretrainingModel.
      seed: Of the initial weights, the order of the records, and the dropout.
    """

    def __init__(
        self,
        config: BertConfig,
        strategy: tf.distribute.Strategy,
        dtype: str,
        jit_compile: bool,
        optimizer: str,
        seed: int,
        length_buckets: bool = False,
    ):
        """Creates all variables.

        Args:
          config: The model's sizes.
          strategy: Where to.
          dtype: What matrix products are computed in: "float32", "bfloat16" or "float16", the
            last with a loss scale.
          jit_compile: Whether XLA compiles the forward and the backward pass.
          optimizer: "adam" or "lamb".
          seed: See the attribute.
          length_buckets: Whether training batches are of sequences of like lengths, without their
            padding; see `length_buckets`.
        """
        self.strategy = strategy
        self.seed = seed
        self._length_buckets = length_buckets
        self._jit_compile = jit_compile
        with strategy.scope():
            self.model = heads.PretrainingModel(config, seed, tf.dtypes.as_dtype(dtype))
            self._optimizer = optimization.create_optimizer(self.model.variables, optimizer)
            self._loss_scale = loss_scaling.LossScale() if dtype == "float16" else None

    @property
    def config(self) -> BertConfig:
        """The model's sizes."""
        return self.model.bert.config

    @property
    def parameters(self) -> int:
        """How many numbers there are to train."""
        return sum(math.prod(variable.shape) for variable in self.model.variables.values())

    @property
    def slots(self) -> dict[str, tf.Variable]:
        """The optimizer's variables by name."""
        return self._optimizer.slots

    @property
    def scale_variables(self) -> dict[str, tf.Variable]:
        """Those of the loss scale; a checkpoint of a run in another precision lacks them."""
        return self._loss_scale.variables if self._loss_scale else {}

    @property
    def variables(self) -> dict[str, tf.Variable]:
        """All variables by name."""
        return {**self.model.variables, **self.slots, **self.scale_variables}

    def reset_optimizer(self) -> None:
        """Lets the optimizer's moments start from zero."""
        for variable in self.slots.values():
            variable.assign(tf.zeros_like(variable))

    def train_step(self, phase: Phase, global_batch: int) -> TrainStep:
        """Returns what makes the steps of a phase."""
        make = functools.partial(self._make_train_step, phase, global_batch)
        return _step_by_length(self.strategy, make) if self._length_buckets else make()

    def _make_train_step(self, phase: Phase, global_batch: int) -> TrainStep:
        return make_train_step(
            self.strategy,
            list(self.model.variables.values()),
            self._optimizer,
            lambda step: optimization.learning_rate_at_step(
                step - phase.first_step,
                phase.learning_rate,
                phase.num_train_steps,
                phase.num_warmup_steps,
            ),
            pretraining.make_replica_loss(self.model, global_batch),
            self.seed,
            phase.gradient_accumulation_steps,
            self._loss_scale,
            self._jit_compile,
        )

    @contextlib.contextmanager
    def batches(
        self,
        phase: Phase,
        records: PhaseRecords,
        global_batch: int,
        position: int,
        full_length: bool = False,
    ) -> Iterator[Iterator[Batch]]:
        """Opens the distributed batches of a phase from a position in its records on.

        Args:
          phase: The phase.
          records: Its records.
          global_batch: Sequences in each.
          position: The number of records consumed before the first.
          full_length: Whether they are as long as sequences may be, length buckets or not.
        """
        batches = self._record_batches(records.train, phase, records).for_training(
            global_batch,
            position,
            self.seed,
            distribution.local_rows(self.strategy, global_batch),
            self._length_buckets and not full_length,
        )
        try:
            yield distribution.distribute(self.strategy, batches)
        finally:
            batches.close()

    def held_out(
        self, phase: Phase, records: PhaseRecords, batch_size: int, max_batches: int
    ) -> HeldOutRecords:
        """Returns what evaluates the model on the held-out records of a phase."""
        return HeldOutRecords(
            self.strategy,
            self.model,
            lambda: distribution.distribute(
                self.strategy,
                self._record_batches(records.held_out, phase, records).for_evaluation(
                    batch_size, max_batches, distribution.local_rows(self.strategy, batch_size)
                ),
            ),
            records.held_out_text,
        )

    def flops_per_sequence(
        self,
        phase: Phase,
        records: PhaseRecords,
        global_batch: int,
        full_length: bool = False,
    ) -> float:
        """Returns the operations that training on a sequence takes, in the mean; see `batches`."""
        sizes = [Bucket(phase.max_seq_length, phase.max_predictions_per_seq)]
        if self._length_buckets and not full_length:
            sizes = self._record_batches(records.train, phase, records).first_buckets(
                global_batch, _EXAMPLES_FOR_A_MEAN, self.seed
            )
        return statistics.fmean(
            meters.training_flops_per_sequence(self.config, *size) for size in sizes
        )

    @contextlib.contextmanager
    def batches_on_host(
        self, phase: Phase, records: PhaseRecords, batch_size: int
    ) -> Iterator[Iterator[Batch]]:
        """Opens batches to train on from the start, to be looked at and not trained on."""
        with contextlib.closing(
            self._record_batches(records.train, phase, records).for_training(
                batch_size, 0, self.seed
            )
        ) as batches:
            yield batches

    def held_out_on_host(
        self, phase: Phase, records: PhaseRecords, batch_size: int, count: int
    ) -> Iterator[Batch]:
        """Yields the first `count` batches to evaluate on, to be looked at."""
        return self._record_batches(records.held_out, phase, records).for_evaluation(
            batch_size, count
        )

    def _record_batches(self, records: RecordSet, phase: Phase, of: PhaseRecords) -> RecordBatches:
        return RecordBatches(
            records,
            phase.max_seq_length,
            phase.max_predictions_per_seq,
            self.config.vocab_size,
            of.masking,
        )


def _step_by_length(strategy: tf.distribute.Strategy, make: Callable[[], TrainStep]) -> TrainStep:
    """Returns what makes steps of batches of several lengths, each length in a graph of its own.

    One graph for all of them would take the place of the first one's only at the second length,
    and rounds otherwise: a run that goes on would no longer be the same bit for bit.
    """
    graphs: dict[int, Callable[..., Metrics]] = {}

    def step(batch: Batch, step: int | tf.Tensor, stop_vote: float | tf.Tensor = 0.0) -> Metrics:
        with tf.device("/cpu:0"):
            arguments = batch, tf.cast(step, tf.int64), tf.cast(stop_vote, tf.float32)
        length = strategy.experimental_local_results(batch["input_ids"])[0].shape[1]
        if length not in graphs:
            # Traced here and not by a call: TensorFlow warns of calls that trace again and again.
            graphs[length] = tf.function(make(), autograph=False).get_concrete_function(*arguments)
        return graphs[length](*arguments)

    return step
