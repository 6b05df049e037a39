"""The morpheme tokenizers for Hugging Face transformers, as `hf_folder` puts them into a folder.

There this module stands with those it imports, and needs only transformers and kiwipiepy:
`AutoTokenizer.from_pretrained(folder, trust_remote_code=True)`. It is the one module here that
imports transformers, which is not among this project's requirements, so nothing else imports it.
"""

import importlib.util
import itertools
import os
import warnings
from collections.abc import Mapping
from typing import Any

from transformers import PreTrainedTokenizer

from deeq_bert.tokenizers.analyzers.kiwi import KiwiAnalyzer
from deeq_bert.tokenizers.deeq import DeeqTokenizer, DeeqWordpieceTokenizer, MorphemeTokenizer
from deeq_bert.tokenizers.vocabulary import SPECIAL_TOKENS

_VOCAB_FILE = "vocab.txt"


class DeeqBertTokenizer(PreTrainedTokenizer):
    """A tokenizer of this project that has text analysed to morphemes, for transformers.

    It gives the ids that the project's own gives. Special tokens of the vocabulary that stand in
    the text are tokens. The analyser is Kiwi, which is loaded with the first text, in each process
    anew.
    """

    vocab_files_names = {"vocab_file": _VOCAB_FILE}
    model_input_names = ["input_ids", "token_type_ids", "attention_mask"]

    def __init__(
        self,
        vocab_file: str,
        unk_token: str = "[UNK]",
        sep_token: str = "[SEP]",
        pad_token: str | None = "[PAD]",
        cls_token: str = "[CLS]",
        mask_token: str = "[MASK]",
        **kwargs: Any,
    ):
        """Reads the vocabulary.

        Args:
          vocab_file: One token a line.
          unk_token: Stands for what the vocabulary lacks.
          sep_token: Ends each part of the input.
          pad_token: Fills up short inputs; None for a vocabulary without one.
          cls_token: Begins the input.
          mask_token: Stands for what is to be predicted.
          **kwargs: The contract of the vocabulary: which tokenizer, which analyser. Beside it, what
            every tokenizer of transformers takes.

        Raises:
          ImportError: kiwipiepy is not installed.
        """
        self._morphemes = _make_tokenizer(vocab_file, kwargs)
        super().__init__(
            unk_token=unk_token,
            sep_token=sep_token,
            pad_token=pad_token,
            cls_token=cls_token,
            mask_token=mask_token,
            **kwargs,
        )

    @property
    def vocab_size(self) -> int:
        """How many tokens the vocabulary has, without those added since."""
        return len(self._morphemes.vocab)

    def get_vocab(self) -> dict[str, int]:
        """Returns the id of each token, with those added since."""
        return {**self._morphemes.vocab, **self._added_tokens_encoder}

    def tokenize(self, text: str, **kwargs: Any) -> list[str]:
        """Returns the tokens of `text`.

        Raises:
          ValueError: Special tokens were to be taken for ordinary text, which the models that this
            tokenizer belongs to were not trained with.
        """
        if kwargs.get("split_special_tokens", self.split_special_tokens):
            raise ValueError("DeeqBertTokenizer cannot split special tokens; remove them instead.")
        if self._added_tokens_encoder.keys() <= set(SPECIAL_TOKENS):
            # These the tokenizer cuts the text at itself, in its own way.
            return self._tokenize(text)
        return super().tokenize(text, **kwargs)

    def _tokenize(self, text: str, **kwargs: Any) -> list[str]:
        return self._morphemes.tokenize(text)

    def _convert_token_to_id(self, token: str) -> int:
        vocab = self._morphemes.vocab
        return vocab.get(token, vocab[str(self.unk_token)])

    def _convert_id_to_token(self, index: int) -> str:
        return self._morphemes.inv_vocab.get(index, str(self.unk_token))

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """Returns readable text, with blanks where Kiwi thinks that they belong."""
        vocab = self._morphemes.vocab
        parts: list[str] = []
        for is_known, group in itertools.groupby(tokens, vocab.__contains__):
            if is_known:
                parts.append(self._morphemes.decode(map(vocab.__getitem__, group)))
            else:
                parts.extend(group)
        return " ".join(parts)

    def build_inputs_with_special_tokens(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None
    ) -> list[int]:
        """Returns [CLS] A [SEP], or [CLS] A [SEP] B [SEP]."""
        ids = [self.cls_token_id, *token_ids_0, self.sep_token_id]
        return ids if token_ids_1 is None else [*ids, *token_ids_1, self.sep_token_id]

    def create_token_type_ids_from_sequences(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None
    ) -> list[int]:
        """Returns 0 for each token of the first part, 1 for each of the second."""
        types = [0] * (len(token_ids_0) + 2)
        return types if token_ids_1 is None else types + [1] * (len(token_ids_1) + 1)

    def get_special_tokens_mask(
        self,
        token_ids_0: list[int],
        token_ids_1: list[int] | None = None,
        already_has_special_tokens: bool = False,
    ) -> list[int]:
        """Returns 1 for each special token that is put around the text, 0 for others."""
        if already_has_special_tokens:
            return super().get_special_tokens_mask(token_ids_0, token_ids_1, True)
        mask = [1, *[0] * len(token_ids_0), 1]
        return mask if token_ids_1 is None else [*mask, *[0] * len(token_ids_1), 1]

    def save_vocabulary(
        self, save_directory: str, filename_prefix: str | None = None
    ) -> tuple[str, ...]:
        """Writes the vocabulary into a folder, and returns the path of the file."""
        name = f"{filename_prefix}-{_VOCAB_FILE}" if filename_prefix else _VOCAB_FILE
        path = os.path.join(save_directory, name)
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{token}\n" for token in self._morphemes.vocab)
        return (path,)


def _make_kiwi(expected: Mapping[str, Any]) -> KiwiAnalyzer:
    """Makes the analyser, and warns where it is not the one that was used for the vocabulary.

    Args:
      expected: The identity of that one; empty if unknown.
    """
    is_kiwi = expected.get("name", "kiwi") == "kiwi"
    if importlib.util.find_spec("kiwipiepy") is None:
        versions = (expected.get("version"), expected.get("model"))
        packages = "kiwipiepy"
        if is_kiwi and all(versions):
            packages = "kiwipiepy=={} kiwipiepy_model=={}".format(*versions)
        raise ImportError(
            f"This tokenizer splits text into morphemes by Kiwi. Run `pip install {packages}`."
        )
    kiwi = KiwiAnalyzer(expected.get("user_words", ()) if is_kiwi else ())
    present = kiwi.identity()
    differing = [
        f"{key} {present.get(key)} instead of {expected.get(key)}"
        for key in {**expected, **present}
        if present.get(key) != expected.get(key)
    ]
    if expected and differing:
        warnings.warn(
            "Some text is cut in another way than for the vocabulary, whose analyser was another: "
            f"here it is {', '.join(differing)}.",
            stacklevel=2,
        )
    return kiwi


def _make_tokenizer(vocab_file: str, contract: Mapping[str, Any]) -> MorphemeTokenizer:
    name = contract.get("tokenizer")
    if name == "deeq":
        kiwi = _make_kiwi(contract.get("analyzer", {}))
        return DeeqTokenizer(vocab_file, kiwi, contract.get("deeq_compat", False))
    if name == "deeq-wordpiece":
        return DeeqWordpieceTokenizer(vocab_file, _make_kiwi(contract.get("analyzer", {})))
    raise ValueError(
        f"tokenizer is {name!r} in tokenizer_config.json; expected deeq or deeq-wordpiece. Export "
        "the tokenizer again."
    )
