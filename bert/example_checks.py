"""Whether many examples are what create_pretraining_data writes, and what they sum up to.

The examples come as arrays, a row each (see `example_arrays`).
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from deeq_bert.bert.instance_blocks import NEVER_MASKED


class KnownIds(NamedTuple):
    """The ids that a vocabulary gives the tokens BERT puts into its input.

    Attributes:
      class_id: Of [CLS].
      separator_id: Of [SEP].
      mask_id: Of [MASK].
    """

    class_id: int
    separator_id: int
    mask_id: int


class Expectations(NamedTuple):
    """What is known of records besides themselves; None for what is not.

    Attributes:
      num_ids: Every id is below.
      ids: Those of the special tokens.
      masked_lm_prob: The share of the tokens that is masked.
      mask_unit: What is masked as a whole. Where that is more than a token, there may be no mask,
        because none fits.
    """

    num_ids: int | None = None
    ids: KnownIds | None = None
    masked_lm_prob: float | None = None
    mask_unit: str | None = None


class Fault(NamedTuple):
    """What is wrong with some examples.

    Attributes:
      kind: The rule that they break.
      rows: Which they are.
      detail: Returns what of it a row shows.
    """

    kind: str
    rows: np.ndarray
    detail: Callable[[int], str]


@dataclasses.dataclass
class ExampleSums:
    """What examples sum to.

    Attributes:
      records: How many there are.
      instance_tokens: Their tokens, special ones included and padding not.
      padding: The places that are padding.
      lengths: How many have 0, 1, 2 ... tokens.
      random_next: How many have the label that B is from a random place.
      predictions: Their masked positions.
      without_masks: How many have none.
      hidden: Masked positions that show [MASK]; this and the next two only where its id is known.
      kept: Those that show what is to be predicted.
      replaced: Those that show another token.
    """

    records: int = 0
    instance_tokens: int = 0
    padding: int = 0
    lengths: list[int] = dataclasses.field(default_factory=list)
    random_next: int = 0
    predictions: int = 0
    without_masks: int = 0
    hidden: int = 0
    kept: int = 0
    replaced: int = 0

    def add(self, other: "ExampleSums") -> None:
        """Adds what other examples sum to."""
        for field in dataclasses.fields(self):
            if field.name != "lengths":
                total = getattr(self, field.name) + getattr(other, field.name)
                setattr(self, field.name, total)
        missing = len(other.lengths) - len(self.lengths)
        self.lengths += [0] * missing
        for length, count in enumerate(other.lengths):
            self.lengths[length] += count


def check_examples(values: Mapping[str, np.ndarray], expected: Expectations) -> list[Fault]:
    """Finds what is wrong with examples, masked or not.

    Args:
      values: By feature [count, length].
      expected: What is known.

    Returns:
      The faults; of each example, the first that was found.
    """
    sound = np.ones(len(values["input_ids"]), bool)
    faults = []
    for kind, wrong, detail in _rules(values, expected):
        rows = np.flatnonzero(wrong & sound)
        if len(rows):
            faults.append(Fault(kind, rows, detail))
            sound[rows] = False
    return faults


def sum_up(values: Mapping[str, np.ndarray], mask_id: int | None) -> ExampleSums:
    """Sums up examples, of which only sound ones tell something."""
    input_ids, input_mask = values["input_ids"], values["input_mask"]
    lengths = np.count_nonzero(input_mask, axis=1)
    sums = ExampleSums(
        records=len(lengths),
        instance_tokens=int(lengths.sum()),
        padding=input_ids.size - int(lengths.sum()),
        lengths=np.bincount(lengths, minlength=input_ids.shape[1] + 1).tolist(),
        random_next=int(np.count_nonzero(values["next_sentence_labels"])),
    )
    if "masked_lm_weights" not in values:
        return sums
    in_use = values["masked_lm_weights"] != 0
    counts = np.count_nonzero(in_use, axis=1)
    sums.predictions = int(counts.sum())
    sums.without_masks = int(np.count_nonzero(counts == 0))
    if mask_id is not None:
        rows, places = np.nonzero(in_use)
        shown = input_ids[rows, values["masked_lm_positions"][rows, places]]
        hidden = shown == mask_id
        kept = (shown == values["masked_lm_ids"][rows, places]) & ~hidden
        sums.hidden, sums.kept = int(np.count_nonzero(hidden)), int(np.count_nonzero(kept))
        sums.replaced = sums.predictions - sums.hidden - sums.kept
    return sums


# A rule, which examples break it, and what of that one of them shows.
_Rule = tuple[str, np.ndarray, Callable[[int], str]]


def _rules(values: Mapping[str, np.ndarray], expected: Expectations) -> Iterator[_Rule]:
    """Yields the rules. Each takes for granted, of an example, that it follows those before."""
    input_ids, segment_ids = values["input_ids"], values["segment_ids"]
    rows = np.arange(len(input_ids))
    columns = np.arange(input_ids.shape[1])
    lengths = np.count_nonzero(values["input_mask"], axis=1)
    inside = columns < lengths[:, np.newaxis]
    first_lengths = lengths - np.count_nonzero(segment_ids, axis=1)
    ends = np.maximum(np.stack([first_lengths, lengths]) - 1, 0)

    yield (
        "input_mask must be 1s and then 0s",
        (values["input_mask"] != inside).any(axis=1) | (lengths == 0),
        lambda row: f"{lengths[row]} of its values are not 0",
    )
    second = inside & (columns >= first_lengths[:, np.newaxis])
    yield (
        "segment_ids must be 0s, then 1s, and 0s in the padding",
        (segment_ids != second).any(axis=1),
        lambda row: f"{lengths[row] - first_lengths[row]} of its values are not 0",
    )
    yield (
        "input_ids must be 0 in the padding",
        ((input_ids != 0) & ~inside).any(axis=1),
        lambda row: f"it starts at {lengths[row]}",
    )
    yield _id_rule("input_ids", input_ids, expected.num_ids)
    if expected.ids:
        for name, id_, places in (
            ("[CLS]", expected.ids.class_id, np.zeros_like(ends[0])),
            ("[SEP]", expected.ids.separator_id, ends[0]),
            ("[SEP]", expected.ids.separator_id, ends[1]),
        ):
            yield (
                "[CLS] must be first, and [SEP] at the end of each segment",
                input_ids[rows, places] != id_,
                lambda row, name=name, places=places: (
                    f"at {places[row]} there is the id {input_ids[row, places[row]]}, not {name}"
                ),
            )
    labels = values["next_sentence_labels"][:, 0]
    yield (
        "next_sentence_labels must be 0 or 1",
        (labels != 0) & (labels != 1),
        lambda row: f"it is {labels[row]}",
    )
    if "token_units" in values:
        yield from _unit_rules(values["token_units"], inside, ends)
    else:
        yield from _mask_rules(values, lengths, ends, expected)


def _id_rule(name: str, ids: np.ndarray, num_ids: int | None) -> _Rule:
    wrong = (ids < 0).any(axis=1)
    known = ""
    if num_ids is not None:
        wrong |= (ids >= num_ids).any(axis=1)
        known = f" and below {num_ids}"
    return (
        f"{name} must not be negative{known}",
        wrong,
        lambda row: f"they are from {ids[row].min()} to {ids[row].max()}",
    )


def _unit_rules(units: np.ndarray, inside: np.ndarray, ends: np.ndarray) -> Iterator[_Rule]:
    yield (
        "token_units must be from 0 to 7",
        ((units < 0) | (units > 7)).any(axis=1),
        lambda row: f"they are from {units[row].min()} to {units[row].max()}",
    )
    yield (
        "token_units must be 0 in the padding",
        ((units != 0) & ~inside).any(axis=1),
        lambda row: f"the last that is not is at {np.flatnonzero(units[row])[-1]}",
    )
    rows = np.arange(len(units))
    special = np.stack([units[:, 0], units[rows, ends[0]], units[rows, ends[1]]])
    yield (
        "token_units must say that [CLS] and [SEP] are never masked",
        (special & NEVER_MASKED == 0).any(axis=0),
        lambda row: f"at 0, {ends[0, row]} and {ends[1, row]} they are {special[:, row].tolist()}",
    )


def _mask_rules(
    values: Mapping[str, np.ndarray],
    lengths: np.ndarray,
    ends: np.ndarray,
    expected: Expectations,
) -> Iterator[_Rule]:
    weights, positions = values["masked_lm_weights"], values["masked_lm_positions"]
    labels = values["masked_lm_ids"]
    counts = np.count_nonzero(weights, axis=1)
    in_use = np.arange(weights.shape[1]) < counts[:, np.newaxis]
    yield (
        "masked_lm_weights must be 1.0s and then 0.0s",
        (weights != in_use).any(axis=1),
        lambda row: f"{counts[row]} of its values are not 0",
    )
    yield (
        "masked_lm_positions and masked_lm_ids must be 0 where the weight is",
        (((positions != 0) | (labels != 0)) & ~in_use).any(axis=1),
        lambda row: f"it has {counts[row]} masks",
    )
    yield (
        "masked_lm_positions must ascend",
        ((positions[:, 1:] <= positions[:, :-1]) & in_use[:, 1:]).any(axis=1),
        lambda row: f"they are {positions[row, : counts[row]].tolist()}",
    )
    outside = (positions < 0) | (positions >= lengths[:, np.newaxis])
    yield (
        "masked_lm_positions must not be in the padding",
        (outside & in_use).any(axis=1),
        lambda row: f"{positions[row, : counts[row]].max()} is, since it starts at {lengths[row]}",
    )
    special = (positions == 0) | (positions == ends[0, :, np.newaxis])
    special |= positions == ends[1, :, np.newaxis]
    yield (
        "masked_lm_positions must not be those of [CLS] and [SEP]",
        (special & in_use).any(axis=1),
        lambda row: f"{positions[row][special[row] & in_use[row]].tolist()} are",
    )
    yield _id_rule("masked_lm_ids", labels, expected.num_ids)
    if expected.ids:
        special_ids = expected.ids.class_id, expected.ids.separator_id
        yield (
            "masked_lm_ids must not be those of [CLS] and [SEP]",
            (np.isin(labels, special_ids) & in_use).any(axis=1),
            lambda row: f"they are {labels[row, : counts[row]].tolist()}",
        )
    if expected.masked_lm_prob is not None:
        # To even, as the rounding of the masks is.
        wanted = np.maximum(np.rint(lengths * expected.masked_lm_prob), 1)
        yield (
            f"there must be no more masks than masked_lm_prob {expected.masked_lm_prob:g} gives",
            counts > wanted,
            lambda row: f"there are {counts[row]} in {lengths[row]} tokens",
        )
    if expected.mask_unit == "token":
        yield (
            "there must be a mask",
            counts == 0,
            lambda row: f"there is none in {lengths[row]} tokens",
        )
