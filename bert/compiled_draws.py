"""The same instances as those of `plain_draws`, drawn by the compiled module `_instances`."""

import random
from array import array

import numpy as np

from deeq_bert.bert.documents import Documents
from deeq_bert.bert.masking import MaskingFacts, Predictions
from deeq_bert.bert.plain_draws import DrawnInstances

try:
    from deeq_bert.bert import _instances
except ImportError:
    _instances = None

# That of _instances.c; an older one is left from an earlier installation.
_VERSION = 1


def is_compiled() -> bool:
    """Whether the module could be compiled when this package was installed, and is up to date."""
    return _instances is not None and _instances.VERSION == _VERSION


class CompiledDraws:
    """Does what `PlainDraws` does."""

    def __init__(
        self,
        documents: Documents,
        max_tokens: int,
        short_seq_prob: float,
        facts: MaskingFacts | None,
        seed: int | str,
    ) -> None:
        """Starts the stream of random numbers; the arguments are those of `PlainDraws`."""
        self._state = array("I", random.Random(seed).getstate()[1])
        self._documents = documents
        self._max_tokens = max_tokens
        self._short_seq_prob = short_seq_prob
        self._is_masked = facts is not None
        self._facts = facts or MaskingFacts(array("i"), b"", b"", False, array("i"))

    def shuffle(self, items: array) -> None:
        """Does what `random.shuffle` does; `items` is an array of type "q"."""
        _instances.shuffle(self._state, items)

    def make(self, order: array, begin: int, end: int) -> DrawnInstances:
        """Makes the instances of the documents from `begin` to `end` of an order of all."""
        segments, random_next, counts, places, unchanged, replaced, replacements = _instances.make(
            self._state,
            order,
            self._documents.sentence_starts,
            self._documents.document_starts,
            begin,
            end,
            self._max_tokens,
            self._short_seq_prob,
            *self._facts,
        )
        predictions = None
        if self._is_masked:
            predictions = Predictions(
                np.frombuffer(counts, np.int32),
                np.frombuffer(places, np.int32),
                np.frombuffer(unchanged, np.int64),
                np.frombuffer(replaced, np.int64),
                np.frombuffer(replacements, np.int32),
            )
        return DrawnInstances(
            np.frombuffer(segments, np.int64).reshape(-1, 4),
            np.frombuffer(random_next, np.bool_),
            predictions,
        )
