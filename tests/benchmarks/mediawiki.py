"""How fast a dump of MediaWiki becomes paragraphs: ours; mwxml, and mwparserfromhell.

    python tests/benchmarks/mediawiki.py dump.xml
    python tests/benchmarks/mediawiki.py --data_dir=DIR    # what shared/data/unpack.sh laid out

All run in this process, in turn, on the same dump, timed in CPU seconds: the figures are MB of XML
a second and core, or MB of wikitext where only text is stripped. Give an uncompressed dump; with
another, decompression is timed too. Peers that are not installed are left out: pip install mwxml
mwparserfromhell.
"""

import argparse
import os
import pathlib
import time
from collections.abc import Callable

from deeq_bert.corpus.readers.base import BrokenRecord
from deeq_bert.corpus.readers.input_file import InputFile
from deeq_bert.corpus.readers.mediawiki import MediaWikiReader
from deeq_bert.corpus.readers.wikitext import strip_wikitext

try:
    import mwxml
except ImportError:
    mwxml = None
try:
    import mwparserfromhell
except ImportError:
    mwparserfromhell = None

FIXTURE = "fixtures/mediawiki/kowiki-fixture-pages-articles.xml"


def main() -> None:
    options = parse_arguments()
    path = options.file or str(pathlib.Path(options.data_dir) / FIXTURE)
    megabytes = os.path.getsize(path) / 1e6
    read(path)
    seconds = best_seconds(lambda: read(path), options.repeats)
    show("ours, read and stripped", megabytes / seconds)
    if mwxml is None:
        return
    texts: list[str] = []
    seconds = best_seconds(lambda: read_with_mwxml(path, texts), options.repeats)
    show("mwxml, read only", megabytes / seconds)
    # Of a large dump a part will do.
    texts = texts[: options.max_texts]
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    seconds = best_seconds(lambda: [strip_wikitext(text) for text in texts], options.repeats)
    show("ours, stripped only", megabytes / seconds)
    if mwparserfromhell is not None:
        seconds = best_seconds(lambda: strip_with_mwparserfromhell(texts), 1)
        show("mwparserfromhell, stripped only", megabytes / seconds)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", help="a dump")
    parser.add_argument("--data_dir", help="without a dump: the folder of the unpacked shared/data")
    parser.add_argument("--repeats", type=int, default=5, help="rounds, of which the best counts")
    parser.add_argument("--max_texts", type=int, default=1000, help="articles stripped only")
    options = parser.parse_args()
    if not options.file and not options.data_dir:
        parser.error("give a dump, or --data_dir")
    return options


def read(path: str) -> None:
    for record in MediaWikiReader().read(InputFile(path)):
        if isinstance(record, BrokenRecord):
            raise SystemExit(f"{record.place}: {record.problem}")


def read_with_mwxml(path: str, texts: list[str]) -> None:
    """Fills `texts` with the wikitext of the articles."""
    texts.clear()
    with open(path, encoding="utf-8") as file:
        for page in mwxml.Dump.from_file(file):
            if page.namespace == 0 and page.redirect is None:
                texts.extend(revision.text or "" for revision in page)


def strip_with_mwparserfromhell(texts: list[str]) -> None:
    for text in texts:
        mwparserfromhell.parse(text).strip_code()


def best_seconds(function: Callable[[], object], repeats: int) -> float:
    """Returns the CPU seconds of the fastest of some calls."""
    times = []
    for _ in range(repeats):
        begin = time.process_time()
        function()
        times.append(time.process_time() - begin)
    return min(times)


def show(name: str, speed: float) -> None:
    print(f"{name:<34} {speed:7.2f} MB/s")


if __name__ == "__main__":
    main()
