"""What Google's run_squad made of a sample of the project's own, run by run."""

import functools
import gzip
import json
import pathlib

from deeq_bert.bert.squad_examples import SquadExample, read_squad_examples
from deeq_bert.bert.squad_features import (
    SquadFeatures,
    WindowSettings,
    convert_examples_to_features,
)
from deeq_bert.bert.squad_placement import place_by_words
from deeq_bert.tokenizers.full_tokenizer import FullTokenizer


def read_golden(folder: pathlib.Path) -> dict:
    """Reads the runs and the cases of get_final_text."""
    with gzip.open(folder / "squad" / "squad.json.gz", "rt", encoding="utf-8") as file:
        return json.load(file)


def examples_of(folder: pathlib.Path, run: dict) -> list[SquadExample]:
    """Reads the questions of a run."""
    examples = read_squad_examples(str(folder / "squad" / "squad_sample.json"), is_training=False)
    if run["is_training"] and not run["version_2_with_negative"]:
        examples = [example for example in examples if not example.is_impossible]
    return examples


def features_of(
    folder: pathlib.Path, run: dict, vocab_file: pathlib.Path
) -> tuple[FullTokenizer, SquadFeatures]:
    """Makes our features of the questions of a run."""
    tokenizer = FullTokenizer(str(vocab_file), do_lower_case=run["do_lower_case"])
    settings = WindowSettings(run["max_seq_length"], run["doc_stride"], run["max_query_length"])
    features = convert_examples_to_features(
        examples_of(folder, run),
        tokenizer,
        functools.partial(place_by_words, tokenizer),
        settings,
        run["is_training"],
    )
    return tokenizer, features
