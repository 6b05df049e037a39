"""Trains a tiny model as one of several workers, or alone, for test_multiworker.py.

Usage: python -m worker_results CONFIG RECORDS OUTPUT ACCUMULATION_STEPS, with TF_CONFIG in the
environment or not. The chief writes losses and weights to OUTPUT, an .npz file.
"""

import contextlib
import os
import sys

import numpy as np

from deeq_bert.bert import cluster, distribution
from deeq_bert.bert.config import BertConfig
from deeq_bert.bert.phases import Phase
from deeq_bert.bert.pretraining_records import PhaseRecords
from deeq_bert.bert.records import RecordSet

STEPS, BATCH = 6, 8


def main(config_file: str, records_file: str, output: str, accumulation_steps: str) -> None:
    workers = cluster.read_cluster(os.environ)
    strategy = distribution.make_strategy(["/cpu:0"], workers)
    from deeq_bert.bert.pretraining_run import PretrainingRun

    config = BertConfig.from_json_file(config_file)
    # Each replica draws its own dropout, so only without it are the results the same.
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
    run = PretrainingRun(config, strategy, "float32", False, "adam", 1)
    phase = Phase("", "", 128, 20, BATCH, int(accumulation_steps), 100, 4, 2e-4)
    records = PhaseRecords(RecordSet.scan([records_file]), None, {}, None, None)
    train_step = run.train_step(phase, BATCH)
    distribution.agree(strategy, "the first step", 0)
    with run.batches(phase, records, BATCH, 0) as batches, contextlib.suppress(StopIteration):
        # Only the second worker asks to stop; all of them learn it.
        vote = float(workers.index == 1)
        steps = [train_step(next(batches), step, vote) for step in range(STEPS)]
    if workers.is_chief:
        values = {name.replace("/", "."): v.numpy() for name, v in run.variables.items()}
        metrics = {f"step.{name}": [float(step[name]) for step in steps] for name in steps[0]}
        np.savez(output, **values, **metrics)


if __name__ == "__main__":
    main(*sys.argv[1:])
