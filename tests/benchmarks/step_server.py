"""What a peer of pretraining.py runs: training steps on command, in a process of its own.

A peer is a script that calls `serve`; its first argument is a file of batches. It answers each line
with a number of steps by a line of JSON. Only NumPy is needed here, so that a peer can live in
another environment.
"""

import json
import sys
import time
from collections.abc import Callable

import numpy as np

# Under Google's names, which are those of Hugging Face's configuration too.
MODEL = {
    "vocab_size": 32000,
    "hidden_size": 256,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 1024,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "initializer_range": 0.02,
}
BATCH_SIZE, SEQ_LENGTH, PREDICTIONS = 16, 128, 20
LEARNING_RATE, WEIGHT_DECAY, CLIP_NORM = 1e-4, 0.01, 1.0
TRAIN_STEPS, WARMUP_STEPS = 1_000_000, 10_000
# A peer's first steps build and compile it.
_UNMEASURED_STEPS = 3

Batch = dict[str, np.ndarray]
# Makes a step and returns the loss it found.
Step = Callable[[Batch], float]


def serve(make_step: Callable[[], Step]) -> None:
    """Makes training steps on the batches of the file that the first argument names."""
    with np.load(sys.argv[1]) as file:
        stacked = dict(file)
    count = len(stacked["input_ids"]) // BATCH_SIZE
    batches = [
        {name: rows[at * BATCH_SIZE : (at + 1) * BATCH_SIZE] for name, rows in stacked.items()}
        for at in range(count)
    ]
    step = make_step()
    answer_commands(lambda number: step(batches[number % count]))


def answer_commands(step: Callable[[int], float]) -> None:
    """Makes steps as it is told on the standard input, until that ends.

    Args:
      step: Takes the number of the step, from 0 on, and returns its loss. The first few are made
        before the first command.
    """
    losses = [step(number) for number in range(_UNMEASURED_STEPS)]
    _answer({"first_loss": losses[0]})
    done = len(losses)
    for line in sys.stdin:
        wanted = int(line)
        cpu_start, start = time.process_time(), time.perf_counter()
        for number in range(done, done + wanted):
            loss = step(number)
        _answer(
            {
                "cpu_seconds": time.process_time() - cpu_start,
                "seconds": time.perf_counter() - start,
                "loss": loss,
            }
        )
        done += wanted


def _answer(figures: dict[str, float]) -> None:
    print(json.dumps(figures), flush=True)
