"""What a masked-LM score means: the score of guessing, and a unit that vocabularies share.

There is no TensorFlow on this path.
"""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from deeq_bert.tokenizers.errors import InputError


class Baseline(NamedTuple):
    """What guessing gets on masked tokens.

    Attributes:
      loss: The mean of -log(probability of the token), in nats, as `masked_lm_loss` is.
      accuracy: The share of right guesses, from 0 to 1, as `masked_lm_accuracy` is.
    """

    loss: float
    accuracy: float


def masked_labels(batches: Iterable[Mapping[str, ArrayLike]]) -> np.ndarray:
    """Gathers the ids of the masked tokens of some batches.

    Args:
      batches: Batches of features, with static or dynamic masking: arrays or tensors
        `masked_lm_ids` and `masked_lm_weights`, of one shape. Where the weight is 0, nothing is
        masked. It is read to its end: cut an endless one with itertools.islice.

    Returns:
      An int64 array of one dimension.
    """
    labels = [np.empty(0, np.int64)]
    for batch in batches:
        weights = np.asarray(batch["masked_lm_weights"])
        labels.append(np.asarray(batch["masked_lm_ids"])[weights > 0].astype(np.int64))
    return np.concatenate(labels)


def unigram_baseline(train_labels: ArrayLike, eval_labels: ArrayLike, vocab_size: int) -> Baseline:
    """Scores a model that knows only how often each token is masked, and nothing of the context.

    Each token of the vocabulary gets the probability (count + 1) / (all counts + vocab_size), with
    the counts of training, so that one which training never masked costs no infinite loss; and the
    guess is always the token that training masks most often. A model that does no better on the
    same held-out tokens has learnt nothing from the words around them.

    Args:
      train_labels: Ids of masked tokens of training, as `masked_labels` gathers them. With fewer
        than several times vocab_size of them, the loss is that of the smoothing more than that of
        the language, and too easy to beat.
      eval_labels: Ids of masked tokens held out.
      vocab_size: Every id is smaller.

    Raises:
      InputError: There are no held-out tokens, or an id is out of range.
    """
    train, held_out = (
        _checked(labels, name, vocab_size)
        for labels, name in ((train_labels, "training"), (eval_labels, "held-out"))
    )
    if not len(held_out):
        raise InputError(
            "No token is masked in the held-out records, so there is nothing to compare with. "
            "Expected records of create_pretraining_data.py with a --masked_lm_prob above 0."
        )
    counts = np.bincount(train, minlength=vocab_size)
    losses = math.log(len(train) + vocab_size) - np.log(counts[held_out] + 1.0)
    return Baseline(float(losses.mean()), float((held_out == counts.argmax()).mean()))


def bits_per_character(masked_lm_loss: float, tokens: int, characters: int) -> float:
    """Turns a masked-LM loss into a number that models with different vocabularies share.

    A loss is a mean over tokens, and a vocabulary that cuts text into more and shorter tokens has
    easier ones to guess. Spread over the characters, which no vocabulary changes, it compares:

        bits per character = loss / ln 2 * tokens / characters

    What this assumes:
    - the masked tokens are a fair sample of all tokens (they are drawn evenly, and no token is left
      out for its kind), so that their mean loss is that of any token;
    - `tokens` and `characters` are counted over the same text, the held-out one, and `characters`
      in the same way for each model (blanks counted or not, the same normalisation). [CLS], [SEP]
      and padding stand for no text and do not count;
    - no text hides behind [UNK]: it is easy to guess and says nothing of its characters, so a
      vocabulary with many of them looks better than it is;
    - the models see as much around a masked token: the same length in characters, share of masked
      tokens and --mask_unit. The pieces of a word are easier to guess where its other pieces are
      in sight, which favours a vocabulary of short pieces under --mask_unit=token.

    It is no measure of compression, since a masked model sees the text on both sides, and it does
    not compare with the bits per character of models that read from left to right.

    Args:
      masked_lm_loss: Nats a masked token.
      tokens: How many tokens the held-out text is cut into, at least 1.
      characters: How many characters it has, at least 1.
    """
    return masked_lm_loss / math.log(2) * tokens / characters


def _checked(labels: ArrayLike, name: str, vocab_size: int) -> np.ndarray:
    ids = np.asarray(labels, np.int64)
    if len(ids) and not 0 <= ids.min() <= ids.max() < vocab_size:
        worst = ids.min() if ids.min() < 0 else ids.max()
        raise InputError(
            f"A masked token of the {name} records has the id {worst}, but ids go from 0 to "
            f"{vocab_size - 1}. Give the --bert_config_file that belongs to the vocabulary the "
            "records were made with."
        )
    return ids
