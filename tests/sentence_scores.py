"""How well a splitter finds the sentences that people found.

The measures are those of Kiwi's benchmark of sentence splitters, over the sentences of all
paragraphs. White space does not count.

- EM: the share of the true sentences that were found exactly.
- F1: each sentence that was found goes to the true one that it overlaps most, where the overlap is
  twice the characters in common by the characters of both. A true sentence scores its largest
  overlap, 0 if it has none; F1 is the mean.
- Normalised F1: in a paragraph cut into more sentences than there are, each score is multiplied by
  the number of the true ones by the number of those found.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Iterable, Iterator


@dataclasses.dataclass
class Scores:
    """Sums over paragraphs."""

    true: int = 0
    found: int = 0
    exact: int = 0
    overlap: float = 0.0
    normalized_overlap: float = 0.0

    def add(self, true: list[str], found: list[str]) -> None:
        """Enters a paragraph."""
        true_spans, found_spans = _spans(true), _spans(found)
        assert true_spans[-1][1] == found_spans[-1][1], f"text was lost from {' '.join(true)}"
        best = [0.0] * len(true_spans)
        first = 0
        for span in found_spans:
            while true_spans[first][1] <= span[0]:
                first += 1
            index = first
            overlaps = []
            while index < len(true_spans) and true_spans[index][0] < span[1]:
                overlaps.append((_overlap(span, true_spans[index]), index))
                index += 1
            overlap, index = max(overlaps)
            best[index] = max(best[index], overlap)
        self.true += len(true_spans)
        self.found += len(found_spans)
        self.exact += len(set(true_spans) & set(found_spans))
        self.overlap += sum(best)
        self.normalized_overlap += sum(best) * min(1, len(true_spans) / len(found_spans))

    @property
    def em(self) -> float:
        return self.exact / self.true

    @property
    def f1(self) -> float:
        return self.overlap / self.true

    @property
    def normalized_f1(self) -> float:
        return self.normalized_overlap / self.true


def score(split: Callable[[str], list[str]], paragraphs: Iterable[list[str]]) -> Scores:
    """Returns the scores of a splitter on paragraphs, each a list of its sentences."""
    scores = Scores()
    for sentences in paragraphs:
        scores.add(sentences, split(" ".join(sentences)))
    return scores


def read_paragraphs(path: pathlib.Path) -> Iterator[list[str]]:
    """Yields the paragraphs of a file: a sentence a line, a blank line between paragraphs."""
    for block in path.read_text(encoding="utf-8").split("\n\n"):
        sentences = [line.strip() for line in block.split("\n") if line.strip()]
        if sentences:
            yield sentences


def _spans(sentences: list[str]) -> list[tuple[int, int]]:
    spans = []
    end = 0
    for sentence in sentences:
        begin = end
        end += len("".join(sentence.split()))
        spans.append((begin, end))
    return spans


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> float:
    common = min(one[1], other[1]) - max(one[0], other[0])
    return 2 * common / (one[1] - one[0] + other[1] - other[0])
