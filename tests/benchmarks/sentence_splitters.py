"""How well and how fast paragraphs become sentences: rule, hybrid, kiwi, a plain split, and kss.

    python tests/benchmarks/sentence_splitters.py --data_dir=DIR

DIR is what shared/data/unpack.sh laid out. The scores are explained in tests/sentence_scores.py.
"bare" is the same text without the final punctuation of its sentences. The speeds are MB of UTF-8
per CPU second, of all threads together, the best of some rounds; the slow ones see fewer lines.
kss takes part if it is installed.
"""

import argparse
import itertools
import json
import pathlib
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator

FOLDER = pathlib.Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
# The benchmark tokenizers.py beside this file bears the name of Hugging Face's package.
sys.path[:] = [path for path in sys.path if path != str(FOLDER)]
sys.path.append(str(ROOT / "tests"))

from sentence_scores import read_paragraphs, score  # noqa: E402

from deeq_bert.corpus import sentences  # noqa: E402
from deeq_bert.corpus.kiwi_sentences import is_doubtful  # noqa: E402
from deeq_bert.corpus.splitters import make_splitter  # noqa: E402
from deeq_bert.tokenizers.errors import InputError  # noqa: E402

Splitter = Callable[[str], list[str]]
FAST = ("rule", "plain")
_PLAIN = re.compile(r"(?<=[.!?])\s+")
_FINAL_PUNCTUATION = re.compile("[.!?…]+$")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", required=True, help="the folder of the unpacked shared/data")
    parser.add_argument("--repeats", type=int, default=3, help="rounds, of which the best counts")
    parser.add_argument("--splitters", help="some of them only, such as rule,plain")
    options = parser.parse_args()
    corpus = pathlib.Path(options.data_dir) / "corpus"

    splitters = make_splitters()
    if options.splitters:
        names = options.splitters.split(",")
        if not set(names) <= set(splitters):
            parser.error(f"--splitters={options.splitters}: there are {', '.join(splitters)}")
        splitters = {name: splitters[name] for name in names}
    print_scores(splitters, corpus)
    print_speeds(splitters, {"news": news(corpus), "reviews": reviews(corpus)}, options.repeats)


def make_splitters() -> dict[str, Splitter]:
    splitters: dict[str, Splitter] = {"plain": split_plainly, "rule": make_splitter("rule")}
    for name in ("hybrid", "kiwi"):
        try:
            splitters[name] = make_splitter(name)
        except InputError as error:
            print(f"{name} is left out: {error}")
    try:
        import kss
    except ImportError:
        print("kss is left out: it is not installed.")
    else:
        splitters["kss"] = kss.split_sentences
    return splitters


def split_plainly(text: str) -> list[str]:
    return [part for part in _PLAIN.split(text.strip()) if part]


def print_scores(splitters: dict[str, Splitter], corpus: pathlib.Path) -> None:
    print(f"\n{'EM / F1 / normalised F1':<26}" + "".join(f"{name:>20}" for name in splitters))
    for name, paragraphs in tests(corpus).items():
        cells = []
        for split in splitters.values():
            scores = score(split, paragraphs)
            cells.append(f"{scores.em:.3f} {scores.f1:.3f} {scores.normalized_f1:.3f}")
        print(f"{name:<26}" + "".join(f"{cell:>20}" for cell in cells), flush=True)


def print_speeds(splitters: dict[str, Splitter], texts: dict[str, list[str]], repeats: int) -> None:
    print(f"\n{'MB/s':<26}" + "".join(f"{name:>20}" for name in splitters))
    for kind, paragraphs in texts.items():
        cells = []
        for name, split in splitters.items():
            some = paragraphs if name in FAST else paragraphs[:: 100 if name == "kss" else 20]
            split(some[0])
            seconds = min(seconds_of_pass(split, some) for _ in range(repeats))
            cells.append(f"{megabytes(some) / seconds:.2f}")
        print(f"{kind:<26}" + "".join(f"{cell:>20}" for cell in cells), flush=True)
    for kind, paragraphs in texts.items():
        found = itertools.chain.from_iterable(map(sentences.split, paragraphs))
        share = megabytes(filter(is_doubtful, found)) / megabytes(paragraphs)
        print(f"hybrid gives Kiwi {share:.1%} of the {kind}")


def seconds_of_pass(split: Splitter, paragraphs: list[str]) -> float:
    start = time.process_time()
    for paragraph in paragraphs:
        split(paragraph)
    return time.process_time() - start


def megabytes(texts: Iterable[str]) -> float:
    return sum(len(text.encode()) for text in texts) / 1e6


def tests(corpus: pathlib.Path) -> dict[str, list[list[str]]]:
    """The paragraphs of each test, as lists of sentences."""
    found = {}
    for path in sorted(corpus.glob("wiki/kss_bench_txt/*.txt")):
        if path.name != "SOURCE.txt":
            found[f"kss_bench {path.stem}"] = list(read_paragraphs(path))
    found["kss_bench"] = list(itertools.chain.from_iterable(found.values()))
    paths = sorted(corpus.glob("ud/kaist_txt/M*.txt"))[::4]
    found["treebank, KAIST"] = [group for path in paths for group in groups(read_lines(path))]
    for path in corpus.glob("ud/conllu_raw/*.conllu"):
        mark = "# text = "
        lines = (line[len(mark) :] for line in read_lines(path) if line.startswith(mark))
        found["treebank, PUD"] = list(groups(lines))
    for path in corpus.glob("wiki/klue_ner_sentences_tsv/raw-sent/dev*.tsv"):
        rows = (line.split("\t") for line in read_lines(path))
        found["news, KLUE"] = list(groups(row[1] for row in rows if "wikitree" in row[0]))
    for name in list(found):
        if not name.startswith("kss_bench"):
            found[f"{name}, bare"] = [list(map(strip, group)) for group in found[name]]
    return found


def read_lines(path: pathlib.Path) -> Iterator[str]:
    lines = map(str.strip, path.read_text(encoding="utf-8").split("\n"))
    return filter(None, lines)


def groups(lines: Iterable[str], size: int = 5) -> Iterator[list[str]]:
    lines = iter(lines)
    return iter(lambda: list(itertools.islice(lines, size)), [])


def strip(sentence: str) -> str:
    return _FINAL_PUNCTUATION.sub("", sentence).strip() or sentence


def news(corpus: pathlib.Path) -> list[str]:
    paths = sorted(corpus.glob("web/dps_jsonl/*/*.jsonl"))
    return [json.loads(line)["text"] for path in paths for line in read_lines(path)]


def reviews(corpus: pathlib.Path, count: int = 100_000) -> list[str]:
    with open(corpus / "reviews" / "nsmc_reviews.jsonl", encoding="utf-8") as lines:
        return [json.loads(line)["review"] for line in itertools.islice(lines, count)]


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"ERROR: {error}")
