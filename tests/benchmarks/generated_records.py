"""Pre-training records out of random numbers, shaped as those of real text are.

Nine in ten sequences are full, the others of any length, as create_pretraining_data.py makes them;
the frequency of a token is inverse to its rank, as that of words is. There is no TensorFlow here.
"""

import numpy as np

from deeq_bert.bert.example_encoding import ExampleEncoder
from deeq_bert.bert.instance_blocks import InstanceBlock
from deeq_bert.bert.records import frame_record
from deeq_bert.tokenizers.files import write_atomically

SHORT_SEQ_PROB = 0.1
MASKED_LM_PROB = 0.15
# In the place of [PAD], [UNK], [CLS], [SEP] and [MASK].
_SPECIAL_TOKENS = 5
_CLS, _SEP, _MASK = 2, 3, 4


def write_records(
    path: str,
    count: int,
    max_seq_length: int,
    max_predictions_per_seq: int,
    vocab_size: int,
    seed: int = 12345,
) -> None:
    """Writes a file of records.

    Args:
      path: Where to.
      count: How many.
      max_seq_length: Tokens a record, padding included.
      max_predictions_per_seq: Masked positions a record, padding included.
      vocab_size: What every id is below.
      seed: Of all that is random.
    """
    encoder = ExampleEncoder(max_seq_length, max_predictions_per_seq, vocab_size)
    block = generate_instances(count, max_seq_length, max_predictions_per_seq, vocab_size, seed)
    write_atomically(path, b"".join(map(frame_record, encoder.encode(block))))


def generate_instances(
    count: int, max_seq_length: int, max_predictions_per_seq: int, vocab_size: int, seed: int
) -> InstanceBlock:
    """Returns instances; see `write_records` for the arguments."""
    generator = np.random.default_rng(seed)
    words = vocab_size - _SPECIAL_TOKENS
    all_ids, all_positions, all_labels, first_lengths, random_next = [], [], [], [], []
    for _ in range(count):
        length = max_seq_length
        if generator.random() < SHORT_SEQ_PROB:
            length = int(generator.integers(5, max_seq_length + 1))
        ranks = np.exp(generator.random(length) * np.log(words)).astype(np.int64)
        ids = np.minimum(ranks - 1, words - 1) + _SPECIAL_TOKENS
        first_length = int(generator.integers(3, length - 1))
        ids[[0, first_length - 1, length - 1]] = _CLS, _SEP, _SEP
        candidates = np.setdiff1d(np.arange(1, length - 1), [first_length - 1])
        wanted = max(1, round(length * MASKED_LM_PROB))
        positions = np.sort(
            generator.choice(
                candidates, min(wanted, max_predictions_per_seq, len(candidates)), replace=False
            )
        )
        labels = ids[positions]
        ids[positions] = np.where(generator.random(len(positions)) < 0.8, _MASK, labels)
        all_ids.append(ids)
        all_positions.append(positions)
        all_labels.append(labels)
        first_lengths.append(first_length)
        random_next.append(generator.random() < 0.5)
    return InstanceBlock(
        np.concatenate(all_ids),
        np.cumsum([len(ids) for ids in all_ids]),
        np.array(first_lengths),
        np.array(random_next),
        np.concatenate(all_positions),
        np.concatenate(all_labels),
        np.cumsum([len(positions) for positions in all_positions]),
        units=None,
    )
