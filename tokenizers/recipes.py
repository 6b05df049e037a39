"""From counts of words to a vocabulary: morphemes by frequency, or WordPiece training."""

import collections
import dataclasses
import heapq
import math
import unicodedata
import zlib
from collections.abc import Collection, Iterable, Iterator

from absl import logging

from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import read_lines
from deeq_bert.tokenizers.vocabulary import SPECIAL_TOKENS, UNK
from deeq_bert.tokenizers.wordpiece import CONTINUATION, BasicTokenizer

# In order of the words, and can be gone through again and again.
Counts = Iterable[tuple[str, int]]

_MAX_USER_WORDS = 100_000
_MAX_USER_WORD_CHARACTERS = 100

# What the trainer of WordPiece is given at most. It takes about ten seconds for a hundred million
# occurrences, and about a kilobyte for each different word.
_MAX_OCCURRENCES = 100_000_000
_MAX_TRAINING_WORDS = 5_000_000
_WORDS_AT_ONCE = 10_000


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What a vocabulary shall be like.

    Attributes:
      vocab_size: How many tokens it has, if there are as many to be found.
      min_frequency: How often a token of two or more characters comes at least.
      min_char_frequency: How often a character comes at least.
      num_unused: How many places are kept free, as [unused0] and so on.
      user_words: Words that are tokens however often they come.
    """

    vocab_size: int
    min_frequency: int = 2
    min_char_frequency: int = 5
    num_unused: int = 0
    user_words: tuple[str, ...] = ()


@dataclasses.dataclass
class Vocabulary:
    """The tokens in order, and how many there are of each kind, in the order of the kinds."""

    tokens: list[str]
    composition: dict[str, int]


@dataclasses.dataclass
class Characters:
    """What the counted words are made of.

    Attributes:
      distinct_words: How many different words there are.
      words: How many there are in all.
      counts: How often each character comes in them.
      order: Sorts the characters as they first appear in the list of all words, the most frequent
        first, and equally frequent ones in the order of their characters.
    """

    distinct_words: int
    words: int
    counts: dict[str, int]
    order: dict[str, tuple[int, str, int]]

    def frequent(self, min_frequency: int) -> list[str]:
        """Returns the characters that come so often, in order of first appearance.

        Raises:
          InputError: There is none.
        """
        frequent = [char for char, count in self.counts.items() if count >= min_frequency]
        if not frequent:
            raise InputError(
                f"No character comes {min_frequency} times or more, as --min_char_frequency asks. "
                "Give more text, or lower --min_char_frequency."
            )
        return sorted(frequent, key=self.order.__getitem__)

    def left_out(self, min_frequency: int) -> list[tuple[str, int]]:
        """Returns the other characters with their counts, the most frequent first."""
        rare = [(char, count) for char, count in self.counts.items() if count < min_frequency]
        return sorted(rare, key=lambda entry: (-entry[1], entry[0]))


def read_user_words(path: str) -> tuple[str, ...]:
    """Reads words, one a line; blank lines and repeated words are passed over.

    Raises:
      InputError: The file cannot be read, has no word or too many, or a word is too long or has a
        blank or a control character in it.
    """
    # As a dict, for a set does not keep the order.
    words: dict[str, None] = {}
    for number, line in enumerate(read_lines(path), start=1):
        word = line.strip()
        if not word:
            continue
        if len(word) > _MAX_USER_WORD_CHARACTERS:
            raise InputError(
                f"{path}, line {number}: longer than {_MAX_USER_WORD_CHARACTERS} characters; "
                "expected one word a line."
            )
        for char in word:
            if char.isspace() or unicodedata.category(char).startswith("C"):
                raise InputError(
                    f"{path}, line {number}: {word!r} has a blank or an invisible character "
                    f"(U+{ord(char):04X}) in it; expected one word a line."
                )
        words[word] = None
        if len(words) > _MAX_USER_WORDS:
            raise InputError(f"{path} has over {_MAX_USER_WORDS:,} words; give the important ones.")
    if not words:
        raise InputError(f"{path} has no words; expected one a line, or leave --user_words out.")
    return tuple(words)


def whole_words(user_words: Iterable[str], basic_tokenizer: BasicTokenizer) -> tuple[str, ...]:
    """Returns those of `user_words` that WordPiece meets as one word, and warns of the others."""
    whole, split = [], []
    for word in user_words:
        (whole if basic_tokenizer.tokenize(word) == [word] else split).append(word)
    if split:
        logging.warning(
            "%d user words are left out, for wordpiece splits them at punctuation or ideographs, "
            "or writes them another way: %s.",
            len(split),
            ", ".join(split[:5]) + (" ..." if len(split) > 5 else ""),
        )
    return tuple(whole)


def survey_characters(counts: Counts) -> Characters:
    """Finds out what the counted words are made of.

    Raises:
      InputError: There are no words.
    """
    distinct = words = 0
    char_counts: dict[str, int] = collections.defaultdict(int)
    order: dict[str, tuple[int, str, int]] = {}
    highest: dict[str, int] = {}
    for word, count in counts:
        distinct += 1
        words += count
        for index, char in enumerate(word):
            char_counts[char] += count
            # Of equally frequent words the first stays, which is the first in order, too.
            if count > highest.get(char, 0):
                highest[char] = count
                order[char] = (-count, word, index)
    if not words:
        raise InputError("There is no text in --input_file; expected a sentence a line.")
    return Characters(distinct, words, dict(char_counts), order)


def make_morpheme_vocabulary(counts: Counts, characters: Characters, recipe: Recipe) -> Vocabulary:
    """Makes a vocabulary of characters and whole morphemes, as that of the deeq tokenizer.

    After the special tokens come the characters in order of first appearance in the list of all
    morphemes by frequency; then user words; then morphemes of two or more characters by frequency.
    Equally frequent morphemes stand in the order of their characters.

    Raises:
      InputError: Not all characters and user words have room.
    """
    builder = _Builder(recipe)
    builder.add("characters", characters.frequent(recipe.min_char_frequency))
    builder.add("user_words", recipe.user_words)
    room = builder.room()
    candidates = (
        (-count, form)
        for form, count in counts
        if len(form) > 1 and count >= recipe.min_frequency and form not in builder.known
    )
    builder.add("morphemes", [form for _, form in heapq.nsmallest(room, candidates)])
    return builder.finish()


def make_wordpiece_vocabulary(counts: Counts, characters: Characters, recipe: Recipe) -> Vocabulary:
    """Makes a vocabulary of pieces of words, by the WordPiece trainer of Hugging Face.

    After the special tokens come the characters, each as the start of a word, and where it comes
    there, as the continuation of one (with "##"); then user words; then longer pieces, in the
    order the trainer finds them. A word with a character that is left out is [UNK], and takes no
    part in the training.

    Raises:
      InputError: Not all characters and user words have room, or the trainer is not installed.
    """
    first = sorted(
        characters.frequent(recipe.min_char_frequency),
        key=lambda char: (-characters.counts[char], char),
    )
    words = _WordsOf(counts, frozenset(first))
    continuation_counts, frequencies = words.survey()
    later = [
        CONTINUATION + char
        for char in sorted(continuation_counts, key=lambda char: (-continuation_counts[char], char))
    ]
    builder = _Builder(recipe)
    builder.add("characters", [*first, *later])
    builder.add("user_words", recipe.user_words)
    if builder.room():
        # Some of the pieces may be user words.
        num_pieces = builder.room() + len(recipe.user_words)
        factor = _thinning_factor(frequencies)
        if factor > 1:
            logging.info(
                "The trainer gets every %.3gth occurrence of a word, so that its memory suffices.",
                factor,
            )
        pieces = _train_wordpiece(
            words.thinned(factor),
            [*first, *later],
            num_pieces,
            max(1, round(recipe.min_frequency / factor)),
        )
        new_pieces = [piece for piece in pieces if piece not in builder.known]
        builder.add("pieces", new_pieces[: builder.room()])
    return builder.finish()


def check_trainer() -> None:
    """Checks that the trainer of WordPiece is installed.

    Raises:
      InputError: It is not.
    """
    try:
        # Not this project's folder of that name, which is no package.
        from tokenizers import trainers  # noqa: F401
    except ImportError:
        raise InputError(
            "WordPiece is trained by Hugging Face's tokenizers, which is not installed. "
            "Install it with: pip install -e '.[vocab]'"
        ) from None


class _Builder:
    """Puts a vocabulary together, kind by kind."""

    def __init__(self, recipe: Recipe):
        self._recipe = recipe
        self._composition: dict[str, int] = {}
        # As a dict, for it keeps the order.
        self.known: dict[str, None] = {}
        self.add("special", SPECIAL_TOKENS)
        self.add("unused", [f"[unused{number}]" for number in range(recipe.num_unused)])

    def add(self, kind: str, tokens: Iterable[str]) -> None:
        """Adds those of `tokens` that are not there yet."""
        before = len(self.known)
        self.known.update(dict.fromkeys(tokens))
        self._composition[kind] = len(self.known) - before

    def room(self) -> int:
        """Returns how many more tokens the vocabulary may have.

        Raises:
          InputError: It has too many already.
        """
        room = self._recipe.vocab_size - len(self.known)
        if room < 0:
            parts = ", ".join(
                f"{count} {kind.replace('_', ' ')}" for kind, count in self._composition.items()
            )
            raise InputError(
                f"--vocab_size={self._recipe.vocab_size} is too small: {len(self.known)} tokens "
                f"must be in it ({parts}). Raise --vocab_size, or raise --min_char_frequency to "
                "leave rare characters out."
            )
        return room

    def finish(self) -> Vocabulary:
        """Returns the vocabulary, and warns where it is smaller than it was to be."""
        room = self.room()
        if room:
            logging.warning(
                "The vocabulary has %d tokens, not the %d of --vocab_size: there are no more that "
                "come %d times or more, as --min_frequency asks. Give more text, lower "
                "--min_frequency, or set vocab_size in the model's configuration to %d.",
                len(self.known),
                self._recipe.vocab_size,
                self._recipe.min_frequency,
                len(self.known),
            )
        return Vocabulary(list(self.known), self._composition)


class _WordsOf:
    """The words that are made of an alphabet."""

    def __init__(self, counts: Counts, alphabet: Collection[str]):
        self._counts = counts
        self._alphabet = frozenset(alphabet)

    def __iter__(self) -> Iterator[tuple[str, int]]:
        for word, count in self._counts:
            # A word that begins like a continuation would be taken for one.
            if self._alphabet.issuperset(word) and not word.startswith(CONTINUATION):
                yield word, count

    def survey(self) -> tuple[dict[str, int], dict[int, int]]:
        """Returns how often each character continues a word, and how many words have each count."""
        continuation_counts: collections.Counter[str] = collections.Counter()
        frequencies: collections.Counter[int] = collections.Counter()
        for word, count in self:
            frequencies[count] += 1
            for char in word[1:]:
                continuation_counts[char] += count
        return continuation_counts, frequencies

    def thinned(self, factor: float) -> Iterator[tuple[str, int]]:
        """Yields the words with their counts divided by `factor`.

        What the division leaves is rounded up for as large a share of the words as it is, so that
        the many rare words together keep their weight; the word itself decides, not chance.
        """
        if factor <= 1:
            yield from self
            return
        for word, count in self:
            thinned = int(count / factor + zlib.crc32(word.encode()) / 2**32)
            if thinned:
                yield word, thinned


def _thinning_factor(frequencies: dict[int, int]) -> float:
    total = sum(count * number for count, number in frequencies.items())
    factor = max(1.0, total / _MAX_OCCURRENCES)
    entries = sorted(frequencies.items())
    while (
        math.fsum(number * min(1.0, count / factor) for count, number in entries)
        > _MAX_TRAINING_WORDS
    ):
        factor *= 1.1
    return factor


def _train_wordpiece(
    words: Iterable[tuple[str, int]], alphabet: list[str], num_pieces: int, min_frequency: int
) -> list[str]:
    """Returns pieces of two or more characters, the first found first.

    Args:
      words: Words with their counts.
      alphabet: The characters the words are made of, those that continue a word with "##".
      num_pieces: How many pieces are looked for.
      min_frequency: A piece is put together only where its parts meet so often.
    """
    check_trainer()
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token=UNK))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    # Left to itself, the trainer numbers the continuations in the order of a hash table, which is
    # another in every run, and of pairs that are equally frequent it takes the lowest numbers.
    trainer = trainers.WordPieceTrainer(
        vocab_size=len(alphabet) + num_pieces,
        min_frequency=min_frequency,
        special_tokens=alphabet,
        continuing_subword_prefix=CONTINUATION,
        show_progress=False,
    )
    tokenizer.train_from_iterator(_repeated(words), trainer)
    vocab = tokenizer.get_vocab(with_added_tokens=False)
    return sorted(vocab.keys() - set(alphabet), key=vocab.__getitem__)


def _repeated(words: Iterable[tuple[str, int]]) -> Iterator[str]:
    # The trainer takes text, not counts.
    batch: list[str] = []
    for word, count in words:
        while count:
            repeats = min(count, _WORDS_AT_ONCE - len(batch))
            batch += [word] * repeats
            count -= repeats
            if len(batch) == _WORDS_AT_ONCE:
                yield " ".join(batch)
                batch = []
    yield " ".join(batch)
