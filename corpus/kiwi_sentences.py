"""Paragraphs to sentences by Kiwi, which knows the words, and by the rules with Kiwi's help."""

import importlib.util
import os
import re
from collections.abc import Iterator
from typing import Any

from deeq_bert.corpus import sentences
from deeq_bert.tokenizers.errors import InputError

# Kiwi sees so much at a time: its memory grows with the length of a text.
_MAX_CHARACTERS = 4096
_SURROGATE = re.compile("[\ud800-\udfff]")

# What is shorter seldom holds two sentences, and Kiwi cuts about as many that are one.
_LONG_CHARACTERS = 60
_FINAL_PUNCTUATION = re.compile("[.!?…。！？][\"'”’)\\]」』》〉>]{0,4}\\Z")
_PUNCTUATION_CHARACTERS = 5

# Kiwis of the process that this one was forked from. Freeing one hangs, or ends this process.
_INHERITED: list[Any] = []


class KiwiSplitter:
    """Kiwi's own division into sentences.

    Kiwi is loaded for the first paragraph, which takes a second and a third of a gigabyte, and
    again in every other process: it cannot be used in a forked child, nor be sent to a new one.
    """

    def __init__(self):
        """Finds out whether Kiwi is there, without loading it.

        Raises:
          InputError: Kiwi is not installed.
        """
        if importlib.util.find_spec("kiwipiepy") is None:
            raise InputError(
                "The sentence splitters kiwi and hybrid need Kiwi, and it is not installed. "
                "Install it with: pip install -e '.[deeq]', or choose the sentence splitter rule."
            )
        self._kiwi: Any = None
        self._process = 0

    def __call__(self, paragraph: str) -> list[str]:
        """Splits a paragraph into sentences (see `sentences.split`)."""
        if "\n" in paragraph:
            return [sentence for line in paragraph.split("\n") for sentence in self(line)]
        text = paragraph.strip()
        begins = [0, *self._later_begins(text)]
        parts = (text[begin:end].strip() for begin, end in zip(begins, [*begins[1:], len(text)]))
        return [part for part in parts if part]

    def __reduce__(self) -> tuple:
        """A copy in another process loads its own Kiwi."""
        return type(self), ()

    def _later_begins(self, text: str) -> Iterator[int]:
        """Yields where the second sentence begins, the third and so on, in ascending order."""
        begin = 0
        while begin < len(text):
            end = _end_of_stretch(text, begin)
            found = self._begins(text[begin:end])
            yield from (begin + place for place in found)
            # The last sentence of a stretch may go on beyond it.
            begin = begin + found[-1] if found and end < len(text) else end

    def _begins(self, text: str) -> list[int]:
        if self._process != os.getpid():
            self._load()
        # Half of a surrogate pair is no character.
        text = _SURROGATE.sub("\ufffd", text)
        # With more options Kiwi takes what looks like an address or a serial number for one word.
        found = self._kiwi.split_into_sents(text, match_options=0, return_sub_sents=False)
        # Two sentences may overlap by a syllable, so only their beginnings count.
        return sorted({sentence.start for sentence in found} - {0})

    def _load(self) -> None:
        import kiwipiepy

        if self._kiwi is not None:
            _INHERITED.append(self._kiwi)
        # A single thread: the work is shared out among processes.
        self._kiwi = kiwipiepy.Kiwi(load_multi_dict=False, num_workers=-1)
        self._process = os.getpid()


class HybridSplitter:
    """The rules, and Kiwi for what they leave long and without final punctuation."""

    def __init__(self):
        """Finds out whether Kiwi is there, without loading it.

        Raises:
          InputError: Kiwi is not installed.
        """
        self._split_by_kiwi = KiwiSplitter()

    def __call__(self, paragraph: str) -> list[str]:
        """Splits a paragraph into sentences (see `sentences.split`)."""
        found = []
        for sentence in sentences.split(paragraph):
            if is_doubtful(sentence):
                found.extend(self._split_by_kiwi(sentence))
            else:
                found.append(sentence)
        return found


def is_doubtful(sentence: str) -> bool:
    """Tells whether a sentence of the rules is so long, and ends so, that it may be several."""
    return (
        len(sentence) >= _LONG_CHARACTERS
        and _FINAL_PUNCTUATION.search(sentence[-_PUNCTUATION_CHARACTERS:]) is None
    )


def _end_of_stretch(text: str, begin: int) -> int:
    """Returns where to stop, at a blank if there is one, so that Kiwi can take it from `begin`."""
    end = begin + _MAX_CHARACTERS
    if end >= len(text):
        return len(text)
    blank = max(text.rfind(" ", begin + 1, end), begin)
    return blank if blank > begin else end
