"""One batch size of gpu_pretraining.py: real steps, in a process that nothing has run in before.

Its argument is the path of a JSON file with the fields of `Trial`; the result goes beside it.
"""

import os
import sys

# Beside this file is one that bears the name of Hugging Face's package.
_FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [*(folder for folder in sys.path if folder != _FOLDER), _FOLDER]

import contextlib  # noqa: E402
import json  # noqa: E402
import math  # noqa: E402
import re  # noqa: E402
import time  # noqa: E402
from typing import Any, NamedTuple  # noqa: E402

# Measured from here on, what was read ahead during the compilation is used up, or nearly.
_WARM_UP_STEPS, _WARM_UP_SECONDS = 10, 3.0
_FEWEST_STEPS, _MOST_STEPS = 3, 10_000


class Trial(NamedTuple):
    """What is to be measured.

    Attributes:
      config: The fields of a BertConfig.
      max_seq_length: Tokens a sequence.
      max_predictions_per_seq: Masked positions a sequence.
      records: A file of such records.
      batch: Sequences a step.
      dtype: Of the matrix products.
      use_xla: Whether XLA compiles the step.
      seconds: How long steps are made, after the first ones.
      on_cpu: Whether to do without a GPU.
    """

    config: dict[str, Any]
    max_seq_length: int
    max_predictions_per_seq: int
    records: str
    batch: int
    dtype: str
    use_xla: bool
    seconds: float
    on_cpu: bool


def result_path(trial_path: str) -> str:
    """Returns where a trial leaves its result."""
    return f"{trial_path}.result"


def says_out_of_memory(text: str) -> bool:
    """Whether an error or a log says that a device has not enough memory."""
    return bool(re.search("RESOURCE_EXHAUSTED|out of memory", text, re.IGNORECASE))


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        trial = Trial(**json.load(file))
    result = run(trial)
    with open(result_path(sys.argv[1]), "w", encoding="utf-8") as file:
        json.dump(result, file)


def run(trial: Trial) -> dict[str, Any]:
    """Makes the steps.

    Returns:
      What they have cost; or `out_of_memory`, true; or `fatal`, why no trial can succeed here; or
      `failed`, why this one has not.
    """
    import tensorflow as tf

    from deeq_bert.bert import devices, distribution, probing

    names = distribution.use_gpus("0" if trial.on_cpu else "1")
    if names == ["/cpu:0"] and not trial.on_cpu:
        return {
            "fatal": f"TensorFlow {tf.__version__} sees no GPU here. Look at `nvidia-smi`, and for "
            "what TensorFlow misses at `python -c 'import tensorflow as tf; "
            'print(tf.config.list_physical_devices("GPU"))\'`; --smoke tries everything on a CPU.'
        }
    gpu_names = devices.gpu_names()
    result = {"device": gpu_names[0] if gpu_names else "CPU", "tensorflow": tf.__version__}
    try:
        result |= measure(trial, names)
    except tf.errors.OpError as error:
        # What XLA lacks memory for, it may report under the name of another error.
        if probing.is_out_of_memory(error) or says_out_of_memory(str(error.message)):
            return result | {"out_of_memory": True}
        return result | {"failed": f"{type(error).__name__}: {str(error.message)[-500:]}"}
    if not math.isfinite(result["loss"]):
        return result | {"failed": f"the loss is {result['loss']} after {result['steps']} steps"}
    return result


def measure(trial: Trial, device_names: list[str]) -> dict[str, Any]:
    """Returns what steps cost on the devices."""
    import tensorflow as tf

    from deeq_bert.bert import devices, distribution
    from deeq_bert.bert.config import BertConfig
    from deeq_bert.bert.input_pipeline import RecordBatches
    from deeq_bert.bert.phases import Phase
    from deeq_bert.bert.pretraining_run import PretrainingRun
    from deeq_bert.bert.records import RecordSet
    from deeq_bert.bert.steps import TrainingSteps
    from deeq_bert.bert.watchdog import Watchdog

    # As a run does that does not ask for --allow_tf32.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    config = BertConfig.from_dict(trial.config)
    lengths = trial.max_seq_length, trial.max_predictions_per_seq
    strategy = distribution.make_strategy(device_names)
    pretraining_run = PretrainingRun(
        config, strategy, trial.dtype, jit_compile=trial.use_xla, optimizer="adam", seed=12345
    )
    phase = Phase(
        input_file=trial.records,
        eval_input_file="",
        max_seq_length=trial.max_seq_length,
        max_predictions_per_seq=trial.max_predictions_per_seq,
        train_batch_size=trial.batch,
        gradient_accumulation_steps=1,
        num_train_steps=1_000_000,
        num_warmup_steps=10_000,
        learning_rate=1e-4,
    )
    records = RecordSet.scan([trial.records])
    batches = RecordBatches(records, *lengths, config.vocab_size).for_training(
        trial.batch, 0, seed=12345
    )
    taken = []
    with contextlib.closing(batches), Watchdog() as watchdog:
        steps = TrainingSteps(
            pretraining_run.train_step(phase, trial.batch),
            distribution.distribute(strategy, batches),
            0,
            _MOST_STEPS,
            lambda step: False,
            lambda: False,
            watchdog,
        )
        for result in steps:
            if result.compiled:
                compile_seconds, warm_up_end = result.seconds, time.monotonic() + _WARM_UP_SECONDS
                continue
            # The first one after the compilation still fills caches.
            if result.step == 2 or (
                result.step <= _WARM_UP_STEPS and time.monotonic() < warm_up_end
            ):
                continue
            taken.append(result)
            seconds = sum(each.seconds for each in taken)
            if len(taken) >= _FEWEST_STEPS and seconds >= trial.seconds:
                steps.stop()
    seconds = sum(each.seconds for each in taken)
    memory = devices.memory_peak(device_names)
    return {
        "batch": trial.batch,
        "sequences_per_second": trial.batch * len(taken) / seconds,
        "tokens_per_second": sum(each.metrics["tokens"] for each in taken) / seconds,
        "step_seconds": seconds / len(taken),
        "data_wait_share": sum(each.wait_seconds for each in taken) / seconds,
        "memory_peak_bytes": devices.process_memory_peak() if memory is None else memory,
        "compile_seconds": compile_seconds,
        "steps": len(taken),
        "loss": taken[-1].metrics["loss"],
    }


if __name__ == "__main__":
    main()
