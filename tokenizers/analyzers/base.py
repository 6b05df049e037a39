"""What a morpheme analyser is here, and what it says of a text."""

import abc
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any


@dataclasses.dataclass(slots=True)
class Analysis:
    """The morphemes of one text, in order, as columns of equal length.

    Forms and tags follow the conventions of the deeq server: endings that are bare consonants are
    written with compatibility jamo (U+3131 to U+318E), a contracted syllable is taken apart
    (했 is 하 + 았), punctuation marks are single. Offsets are those of the characters a morpheme
    comes from: within an eojeol, the morphemes share its characters out from left to right,
    except that morphemes contracted into one syllable all have that syllable.

    Attributes:
      forms: What each morpheme is; never empty, and without whitespace.
      tags: Its part of speech, in the tag set of the 21st Century Sejong project as deeq has it.
      starts: Where its first character stands in the text.
      ends: Where the character after its last stands; always above the start.
      word_starts: A byte for each morpheme, 1 where it is the first of an eojeol (a stretch of
        text between whitespace), 0 elsewhere.
    """

    forms: Sequence[str]
    tags: Sequence[str]
    starts: Sequence[int]
    ends: Sequence[int]
    word_starts: bytes


@dataclasses.dataclass(frozen=True)
class AnalyzerSettings:
    """What makes an analyser. It can be pickled, so that every process makes its own.

    Attributes:
      name: "deeq" or "bareun", which are servers, "kiwi" or "mecab", which run in the process;
        None for deeq where `server` is given, and kiwi otherwise.
      server: "host:port" of the server.
      api_key_file: The file that holds the key a bareun server asks for.
      domain: The name of the custom dictionary that the server shall use.
      timeout: The seconds a server has to answer a request.
      user_words: Nouns that the analyser shall not take apart (kiwi only).
      cache_dir: The folder analyses are kept in between runs; None for none.
      cache_gigabytes: How large the cache may become.
    """

    name: str | None = None
    server: str | None = None
    api_key_file: str | None = None
    domain: str | None = None
    timeout: float = 60.0
    user_words: tuple[str, ...] = ()
    cache_dir: str | None = None
    cache_gigabytes: float = 20.0


class Analyzer(abc.ABC):
    """Splits text into morphemes."""

    @abc.abstractmethod
    def identity(self) -> dict[str, Any]:
        """Returns what decides how text is cut: "name", and where known version and options.

        Two analysers with equal identities give equal analyses. The values can be put into JSON.
        """

    @abc.abstractmethod
    def analyze(self, texts: Iterable[str]) -> Iterator[Analysis]:
        """Yields the analysis of each text, in order.

        Texts may be read ahead, many at a time, so an endless iterable is fine and an interactive
        one is not.

        Args:
          texts: None is blank, begins or ends with whitespace, or holds a control character, a
            newline among them.

        Raises:
          InputError: The analysis failed; nothing is left out silently.
        """

    def close(self) -> None:  # noqa: B027  most analysers have nothing to close
        """Releases connections and files; the analyser cannot be used after."""
