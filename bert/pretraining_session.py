"""Pre-training through its phases: where a run starts, how large its batch is, and its end."""

import contextlib
import functools
import hashlib
import itertools
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from absl import logging

from deeq_bert.bert import baseline, distribution, meters
from deeq_bert.bert.checkpoint import CheckpointFolder
from deeq_bert.bert.phases import Phase, batch_hint
from deeq_bert.bert.plan import PhasePlan, candidate_batches, try_batches
from deeq_bert.bert.pretraining_loop import Intervals, PretrainingLoop
from deeq_bert.bert.pretraining_records import PhaseRecords
from deeq_bert.bert.pretraining_run import PretrainingRun
from deeq_bert.bert.probing import Probe, largest_part, time_steps
from deeq_bert.bert.progress import Progress
from deeq_bert.bert.run_checkpoints import RunCheckpoints
from deeq_bert.bert.run_log import FILE_NAME, read_run_log
from deeq_bert.bert.run_reporter import RunReporter
from deeq_bert.bert.saving import BackgroundSaver
from deeq_bert.bert.stopping import StopRequest
from deeq_bert.bert.watchdog import Watchdog
from deeq_bert.tokenizers.errors import InputError

# How many records tell how often each token occurs.
_BASELINE_BATCHES, _BASELINE_BATCH = 200, 100
# The steps that look for the largest batch are only made to see whether they can be made.
_SEARCH_SECONDS = 0.0
# What it means that a setting has changed, where that is not plain.
_CONSEQUENCES = {
    "length_buckets": " Of the next records some have been seen in this pass, and some before them "
    "are left out; of the rest each comes once.",
}


class HeldOutSettings(NamedTuple):
    """How held-out records are evaluated: sequences a step, and the most steps."""

    batch_size: int
    max_steps: int


class Health(NamedTuple):
    """When the loss counts as diverged, and how often the run may go back then."""

    explosion_factor: float
    max_rollbacks: int


class Meter(NamedTuple):
    """What speed is held against: the peak of a device in TFLOP/s, and its price an hour."""

    peak_tflops: float | None
    price_per_gpu_hour: float | None


class PretrainingSession:
    """Trains a model through phases, in a folder that holds all of the run."""

    def __init__(
        self,
        run: PretrainingRun,
        schedule: Sequence[Phase],
        records: Sequence[PhaseRecords],
        output_dir: str,
        device_names: Sequence[str],
        is_chief: bool,
    ):
        """Takes what there is to train.

        Args:
          run: The model on its devices.
          schedule: The phases.
          records: Those of each phase, open.
          output_dir: Where the run is kept.
          device_names: What this process computes on.
          is_chief: Whether this process writes; of several workers one does.
        """
        self._run = run
        self._schedule = schedule
        self._records = records
        self._output_dir = output_dir
        self._devices = list(device_names)
        self._is_chief = is_chief
        self._replicas = run.strategy.num_replicas_in_sync

    def train(
        self,
        folder: CheckpointFolder,
        initialize: Callable[[Mapping[str, Any]], None],
        settings: Mapping[str, Any],
        intervals: Intervals,
        held_out: HeldOutSettings,
        health: Health,
        meter: Meter,
    ) -> int:
        """Trains up to the end of the last phase, from the last checkpoint if there is one.

        Args:
          folder: The checkpoints; locked where this process writes.
          initialize: Gives the weights of a run that begins their values, by name.
          settings: What a checkpoint keeps to tell when flags have changed.
          intervals: When to report, save and evaluate.
          held_out: How to evaluate.
          health: When to go back.
          meter: What to hold speed against.

        Returns:
          The number of updates behind the model.

        Raises:
          StoppedError: The run was asked to stop, and is saved.
          DivergedError: The loss diverges.
          InputError: Records or checkpoints cannot be read or written, or no batch fits.
        """
        run = self._run
        best_folder = CheckpointFolder(os.path.join(self._output_dir, "best"), 1)
        with contextlib.ExitStack() as stack:
            saver = None
            if self._is_chief:
                stack.enter_context(best_folder.locked())
                saver = stack.enter_context(BackgroundSaver())
            checkpoints = RunCheckpoints(
                folder,
                best_folder,
                run.variables,
                run.model.variables,
                frozenset(run.scale_variables),
                settings,
                saver,
                lambda: distribution.agree(run.strategy, "a barrier", 0),
            )
            progress = self._start(folder, checkpoints, initialize, settings)
            last_step = self._schedule[-1].last_step
            if progress.step >= last_step:
                log = logging.warning if progress.step > last_step else logging.info
                log(
                    "Training is finished: %d steps are done and --num_train_steps is %d.",
                    progress.step,
                    last_step,
                )
                return progress.step
            stop = stack.enter_context(StopRequest())
            watchdog = stack.enter_context(Watchdog())
            reporter = stack.enter_context(
                contextlib.closing(
                    RunReporter(
                        self._output_dir,
                        self._devices,
                        last_step,
                        progress.step,
                        self._is_chief,
                    )
                )
            )
            loop = PretrainingLoop(
                progress, checkpoints, reporter, intervals, stop, watchdog, *health
            )
            while progress.step < last_step:
                self._train_phase(loop, checkpoints, reporter, folder, held_out, meter)
            reporter.ended(progress.step)
        return progress.step

    def plan(self, seconds: float) -> list[PhasePlan]:
        """Times steps of every phase at several batch sizes, for about so many seconds each.

        Sequences are of the full length, length buckets or not. The variables are others
        afterwards.
        """
        plans, run = [], self._run
        for number, phase in enumerate(self._schedule):
            parts = phase.gradient_accumulation_steps
            given = phase.train_batch_size or self._find_batch(number)
            probe = functools.partial(self._time_batch, number, seconds=seconds)
            plans.append(
                PhasePlan(
                    phase,
                    len(self._records[number].train),
                    given,
                    try_batches(candidate_batches(given, self._replicas, parts), probe),
                    run.flops_per_sequence(phase, self._records[number], given, full_length=True),
                )
            )
        return plans

    def _time_batch(self, phase_number: int, global_batch: int, seconds: float) -> Probe | None:
        """Makes real steps of a phase, which change the variables; see `probing.time_steps`."""
        phase, records = self._schedule[phase_number], self._records[phase_number]
        train_step = self._run.train_step(phase, global_batch)
        with self._run.batches(phase, records, global_batch, 0, full_length=True) as batches:
            return time_steps(train_step, batches, global_batch, self._devices, seconds)

    def _start(
        self,
        folder: CheckpointFolder,
        checkpoints: RunCheckpoints,
        initialize: Callable[[Mapping[str, Any]], None],
        settings: Mapping[str, Any],
    ) -> Progress:
        """Gives the variables the values that the run goes on from, or begins with."""
        latest = folder.latest_readable()
        if latest is None:
            initialize(self._run.model.variables)
            progress = Progress()
        else:
            step, state = checkpoints.restore(latest)
            logging.info("Going on from %s.", latest)
            progress = Progress.from_state(
                step, state, self._schedule[0].train_batch_size or settings["records"][0]
            )
            for name, value in settings.items():
                if state.get(name, value) != value:
                    logging.warning(
                        "Going on with %s = %s; it was %s before.%s",
                        name,
                        value,
                        state[name],
                        _CONSEQUENCES.get(name, ""),
                    )
        distribution.agree(self._run.strategy, "the checkpoint to go on from", progress.step)
        place = json.dumps([settings, progress.phase, progress.examples, len(self._schedule)])
        digest = hashlib.blake2b(place.encode(), digest_size=7).digest()
        distribution.agree(
            self._run.strategy, "flags and records (as a checksum)", int.from_bytes(digest, "big")
        )
        if progress.phase >= len(self._schedule):
            raise InputError(
                f"{latest} is of phase {progress.phase + 1}, and the schedule has "
                f"{len(self._schedule)}. Give the schedule the run was begun with, or another "
                "--output_dir."
            )
        # A schedule that was made longer after its end.
        if progress.step >= self._schedule[progress.phase].last_step:
            self._begin_next_phase(progress)
        return progress

    def _begin_next_phase(self, progress: Progress) -> None:
        """Moves on to the next phase, if there is one."""
        if progress.phase + 1 == len(self._schedule):
            return
        progress.phase += 1
        progress.examples = 0
        progress.best_loss = None
        progress.train_batch_size = None
        if self._schedule[progress.phase].reset_optimizer:
            self._run.reset_optimizer()

    def _train_phase(
        self,
        loop: PretrainingLoop,
        checkpoints: RunCheckpoints,
        reporter: RunReporter,
        folder: CheckpointFolder,
        held_out: HeldOutSettings,
        meter: Meter,
    ) -> None:
        run, progress = self._run, loop.progress
        number = progress.phase
        phase, records = self._schedule[number], self._records[number]
        global_batch = self._choose_batch(number, progress)
        if folder.latest() is None:
            # What cannot be written shows before the work, not after the first thousand steps.
            checkpoints.save_first(progress)
        reporter.begin(
            meters.Throughput(
                run.flops_per_sequence(phase, records, global_batch),
                global_batch,
                self._replicas,
                *meter,
                seconds_before=reporter.seconds_spent or self._seconds_before(progress),
                flops_of_later_phases=sum(
                    run.flops_per_sequence(later, of_later, batch) * batch * later.num_train_steps
                    for later, of_later in zip(self._schedule, self._records)
                    if later.first_step > phase.first_step and (batch := later.train_batch_size)
                ),
            )
        )
        self._describe(number, global_batch, progress)
        figures = self._baseline(phase, records)
        reporter.started(
            progress.step,
            {
                "phase": number,
                "examples": progress.examples,
                "train_batch_size": global_batch,
                "max_seq_length": phase.max_seq_length,
                "num_train_steps": self._schedule[-1].last_step,
                **figures,
            },
        )
        evaluation = None
        if phase.eval_input_file and records.held_out is not None:
            evaluation = run.held_out(phase, records, *held_out)
        loop.train_phase(
            phase,
            global_batch,
            run.train_step(phase, global_batch),
            lambda position: run.batches(phase, records, global_batch, position),
            evaluation,
            lambda: self._begin_next_phase(progress),
        )

    def _seconds_before(self, progress: Progress) -> float:
        """Returns what the run has taken, with what was lost after the last checkpoint."""
        path = os.path.join(self._output_dir, FILE_NAME)
        lost = read_run_log(path).seconds_spent if os.path.exists(path) else 0.0
        return max(progress.seconds, lost)

    def _choose_batch(self, number: int, progress: Progress) -> int:
        """Returns the global batch of a phase, and hints at what another one than before means."""
        phase, before = self._schedule[number], progress.train_batch_size
        size = phase.train_batch_size
        if size is None:
            size = before or self._find_batch(number)
            logging.info(
                "--train_batch_size=auto: %d, %d a device and part%s.",
                size,
                size // self._replicas // phase.gradient_accumulation_steps,
                ", as found before" if before else "",
            )
            size = self._fitting(size, phase)
        elif before and before != size:
            logging.warning("%s", batch_hint(progress.examples, phase, before, size))
        progress.train_batch_size = size
        return size

    def _fitting(self, size: int, phase: Phase) -> int:
        """Returns the largest batch up to `size` that divides by the devices in use."""
        unit = self._replicas * phase.gradient_accumulation_steps
        return max(unit, size // unit * unit)

    def _find_batch(self, number: int) -> int:
        """Tries how many sequences a device takes at once; the variables are as before after."""
        phase = self._schedule[number]
        unit = self._replicas * phase.gradient_accumulation_steps
        logging.info("--train_batch_size=auto: looking for the most sequences that fit.")
        before = {name: value.numpy() for name, value in self._run.variables.items()}

        def fits(part: int) -> bool:
            found = self._time_batch(number, part * unit, _SEARCH_SECONDS) is not None
            logging.info("  %d a device %s.", part, "fit" if found else "do not fit")
            return found

        part = largest_part(fits, self._devices == ["/cpu:0"])
        for name, variable in self._run.variables.items():
            variable.assign(before[name])
        if not part:
            raise InputError(
                "Not even one sequence a device fits into its memory. Choose a smaller model, a "
                "shorter --max_seq_length, or --dtype=bfloat16."
            )
        return part * unit

    def _baseline(self, phase: Phase, records: PhaseRecords) -> dict[str, float]:
        """Logs what a model that knows only how often each token occurs would get."""
        if not phase.eval_input_file or records.held_out is None or not self._is_chief:
            return {}
        size = self._run.config.vocab_size
        with self._run.batches_on_host(phase, records, _BASELINE_BATCH) as batches:
            train_labels = baseline.masked_labels(itertools.islice(batches, _BASELINE_BATCHES))
        held_out_labels = baseline.masked_labels(
            self._run.held_out_on_host(phase, records, _BASELINE_BATCH, _BASELINE_BATCHES)
        )
        unigram = baseline.unigram_baseline(train_labels, held_out_labels, size)
        figures = {
            "baseline_masked_lm_loss": unigram.loss,
            "baseline_masked_lm_accuracy": unigram.accuracy,
        }
        line = f"mlm {unigram.loss:.4f} (accuracy {unigram.accuracy:.2%})"
        if records.held_out_text:
            figures["baseline_bits_per_character"] = baseline.bits_per_character(
                unigram.loss, *records.held_out_text
            )
            line += f", {figures['baseline_bits_per_character']:.3f} bits a character"
        logging.info(
            "A model that knows only how often each token occurs would have on the held-out "
            "records: %s.",
            line,
        )
        return figures

    def _describe(self, number: int, global_batch: int, progress: Progress) -> None:
        """Logs what is about to happen: sizes, batch, steps and how often the records are seen."""
        phase, count = self._schedule[number], len(self._records[number].train)
        total = phase.num_train_steps * global_batch
        logging.info("***** Running training *****")
        if len(self._schedule) > 1:
            logging.info(
                "  Phase %d of %d: sequences of %d tokens, steps %d to %d",
                number + 1,
                len(self._schedule),
                phase.max_seq_length,
                phase.first_step + 1,
                phase.last_step,
            )
        logging.info("  Parameters = %s", f"{self._run.parameters:,}")
        logging.info("  Examples found = %s", f"{count:,}")
        logging.info("  Global batch = %d", global_batch)
        logging.info(
            "  Steps = %d, hence %.4g epochs, %.4g of them done",
            phase.num_train_steps,
            total / count,
            progress.examples / count,
        )
