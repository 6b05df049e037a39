"""An analyser for tests, and a process that fills a cache with what it says.

Usage: python toy_analyzer.py FOLDER FIRST LAST, which analyses the texts of those numbers.
"""

import random
import re
import sys

from deeq_bert.tokenizers.analyzers.base import Analysis, Analyzer
from deeq_bert.tokenizers.analyzers.cache import CachedAnalyzer

TAGS = ("NNG", "JX", "JKO", "EF", "VV", "ETM", "SF", "NNP")


def analysis_of(text: str) -> Analysis:
    """Cuts each word into morphemes of one or two characters, the same way every time."""
    rng = random.Random(text)
    forms, tags, starts, ends, word_starts = [], [], [], [], []
    for word in re.finditer(r"\S+", text):
        start = word.start()
        while start < word.end():
            end = min(word.end(), start + rng.randint(1, 2))
            forms.append(text[start:end])
            tags.append(rng.choice(TAGS))
            starts.append(start)
            ends.append(end)
            word_starts.append(start == word.start())
            start = end
    return Analysis(forms, tags, starts, ends, bytes(word_starts))


class ToyAnalyzer(Analyzer):
    """Remembers what it was asked.

    Attributes:
      texts: All texts it was given, in order.
      streams: How often `analyze` was begun.
    """

    def __init__(self, version: str = "1", name: str = "toy"):
        self.texts: list[str] = []
        self.streams = 0
        self._identity = {"name": name, "version": version}

    def identity(self):
        return dict(self._identity)

    def analyze(self, texts):
        self.streams += 1
        for text in texts:
            self.texts.append(text)
            yield analysis_of(text)


def text_of(number: int) -> str:
    """A text of about 15 words."""
    rng = random.Random(number)
    words = ["".join(rng.choices("가나다라마바사아자차", k=rng.randint(1, 5))) for _ in range(15)]
    return f"{' '.join(words)} {number}."


def main(folder: str, first: int, last: int) -> None:
    cache = CachedAnalyzer(ToyAnalyzer(), folder, 1.0, {})
    for number, _ in enumerate(cache.analyze(map(text_of, range(first, last)))):
        if number % 100 == 0:
            print(number, flush=True)
    cache.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
