"""The README.md of a model: what it is, how to load it, and what is known of its training."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from deeq_bert.bert.config import BertConfig
from deeq_bert.bert.training_facts import TrainingFacts
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.registry import uses_analyzer

_LICENSE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,63}")
_TASKS = {
    "BertForPreTraining": "fill-mask",
    "BertForMaskedLM": "fill-mask",
    "BertForSequenceClassification": "text-classification",
    "BertForQuestionAnswering": "question-answering",
}
_COUNTS = ("sentences", "tokens", "characters")
_SIZES = (
    "num_hidden_layers",
    "hidden_size",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "vocab_size",
)


def check_license(name: str | None) -> None:
    """Checks the name of a license.

    Raises:
      InputError: It is none that a card can have.
    """
    if name is not None and not _LICENSE.fullmatch(name):
        raise InputError(
            f"--license={name[:80]}: expected a short name without blanks, such as apache-2.0 or "
            "cc-by-sa-4.0."
        )


def make_card(
    architecture: str,
    config: BertConfig,
    num_parameters: int,
    contract: Mapping[str, Any],
    step: int | None,
    facts: TrainingFacts,
    license_name: str | None = None,
) -> bytes:
    """Returns the content of README.md.

    Args:
      architecture: The class of transformers that loads the model.
      config: The sizes.
      num_parameters: How many numbers the weights are.
      contract: That of the vocabulary.
      step: The updates behind the weights, None where not known.
      facts: What is known of the training.
      license_name: What the owner puts it under; None leaves the field out.
    """
    blocks = [
        _front_matter(architecture, license_name),
        f"# Korean BERT, {_tokenizer_name(contract)}",
        f"{architecture} with {num_parameters:,} parameters, in float32.",
        _usage(architecture, contract),
        "## Sizes",
        _table(("", ""), [(name, f"{getattr(config, name):,}") for name in _SIZES]),
        "## Tokenizer",
        _table(("", ""), _tokenizer_rows(contract)),
        *_training(step, facts),
    ]
    return ("\n\n".join(blocks) + "\n").encode()


def _front_matter(architecture: str, license_name: str | None) -> str:
    lines = ["---", "language: ko"]
    if license_name is not None:
        lines.append(f"license: {license_name}")
    lines.append("library_name: transformers")
    if architecture in _TASKS:
        lines.append(f"pipeline_tag: {_TASKS[architecture]}")
    return "\n".join([*lines, "tags:", "- bert", "---"])


def _tokenizer_name(contract: Mapping[str, Any]) -> str:
    names = {"deeq": "morphemes", "deeq-wordpiece": "WordPieces of morphemes"}
    return names.get(contract["tokenizer"], "WordPiece")


def _usage(architecture: str, contract: Mapping[str, Any]) -> str:
    remote = ", trust_remote_code=True" if uses_analyzer(contract["tokenizer"]) else ""
    lines = [
        "```python",
        f"from transformers import AutoTokenizer, {architecture}",
        "",
        f'tokenizer = AutoTokenizer.from_pretrained("FOLDER"{remote})',
        f'model = {architecture}.from_pretrained("FOLDER")',
        'outputs = model(**tokenizer("서울은 한국의 수도입니다.", return_tensors="pt"))',
        "```",
    ]
    if remote:
        lines += ["", "The tokenizer's code is in the folder; it needs `pip install kiwipiepy`."]
    return "\n".join(lines)


def _tokenizer_rows(contract: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for name in ("tokenizer", "do_lower_case", "deeq_compat", "vocab_size", "vocab_sha256"):
        if name in contract:
            yield name, _show(contract[name])
    analyzer = contract.get("analyzer")
    if isinstance(analyzer, dict):
        for name, value in analyzer.items():
            if name != "user_words":
                yield f"analyzer: {name}", _show(value)


def _training(step: int | None, facts: TrainingFacts) -> list[str]:
    rows = [("updates", f"{step:,}")] if step is not None else []
    rows += [(name, ", ".join(map(_show, values))) for name, values in facts.settings.items()]
    for name, value in facts.figures.items():
        rows.append(
            ("tokens trained on, about", f"{float(f'{value:.3g}'):,.0f}")
            if name == "tokens"
            else (f"{name}, at the last report", f"{value:.4f}")
        )
    blocks = ["## Training", _table(("", ""), rows)] if rows else []
    if facts.held_out:
        of_step = f" after {facts.held_out_step:,} updates" if facts.held_out_step else ""
        blocks += [
            f"On held-out records{of_step}:",
            _table(("metric", "value"), [(n, f"{v:.4f}") for n, v in facts.held_out.items()]),
        ]
    if facts.records:
        blocks += [
            "The sets of records that the run read, for training and to hold out:",
            _table(
                ("records", *_COUNTS, "made with"),
                [
                    (
                        f"{each['records']:,}",
                        *(f"{each[name]:,}" if name in each else "" for name in _COUNTS),
                        ", ".join(
                            f"{name} {_show(value)}"
                            for name, value in each.items()
                            if name not in ("records", *_COUNTS)
                        ),
                    )
                    for each in facts.records
                ],
            ),
        ]
    return blocks


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(_in_cell, cells))} |" for cells in lines)


def _in_cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _show(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)[:200]
