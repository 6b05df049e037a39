"""A peer of pretraining.py: the input pipeline alone.

Its arguments are a file of records, the batch size, and how many batches make a step.
"""

import os
import sys

# Beside this file is one that bears the name of Hugging Face's package.
_FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [*(folder for folder in sys.path if folder != _FOLDER), _FOLDER]

import contextlib  # noqa: E402
import itertools  # noqa: E402

import step_server  # noqa: E402

from deeq_bert.bert.input_pipeline import RecordBatches  # noqa: E402
from deeq_bert.bert.records import RecordSet  # noqa: E402


def main() -> None:
    path, (batch_size, count) = sys.argv[1], map(int, sys.argv[2:])
    batches = RecordBatches(
        RecordSet.scan([path]),
        step_server.SEQ_LENGTH,
        step_server.PREDICTIONS,
        step_server.MODEL["vocab_size"],
    )

    def read(number: int) -> float:
        position = number * count * batch_size
        # Closed every time: what has been read ahead is paid for and not counted, which flatters
        # nobody.
        with contextlib.closing(batches.for_training(batch_size, position, 12345)) as stream:
            for _ in itertools.islice(stream, count):
                pass
        return 0.0

    step_server.answer_commands(read)


if __name__ == "__main__":
    main()
