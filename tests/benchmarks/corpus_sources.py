"""Cleans every source of the data through its configuration, and prints what became of each.

    python tests/benchmarks/corpus_sources.py --data_dir=DIR --output_dir=OUT

DIR is what shared/data/unpack.sh laid out. Each source is a run of corpus/clean_corpus.py of its
own, with a report in OUT/NAME-report; --only=news,nikl runs those whose name has such a part.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

LINES = {"reader.paragraphs": "line"}
# Name, files, kind of source, reader or "", changes of the configuration.
SOURCES = [
    ("blogs/nacyot_rss_xml", "corpus/blogs/nacyot_rss_xml/*.xml", "web", "rss", {}),
    ("blogs/ratsgo_md", "corpus/blogs/ratsgo_md/**/*.md", "web", "", {}),
    (
        "books/bible_krv_json",
        "corpus/books/bible_krv_json/*.json",
        "books",
        "",
        {"reader.document": "chapters[]", "reader.text": "verses[].text"},
    ),
    (
        "books/novels_txt",
        "corpus/books/novels_txt/*.txt",
        "books",
        "",
        {"reader.documents": "file", "reader.join_lines": True},
    ),
    (
        "comments/kocohub",
        "corpus/comments/kocohub_unlabeled_txt/*/*.txt",
        "comments",
        "",
        {},
    ),
    (
        "comments/malicious_csv",
        "corpus/comments/malicious_csv/*.csv",
        "comments",
        "tsv",
        {"reader.text": "content"},
    ),
    (
        "dialog/chatbot_csv",
        "corpus/dialog/chatbot_csv/*.csv",
        "dialogue",
        "",
        {"reader.text": "Q,A"},
    ),
    (
        "dialog/3i4k_txt intodep",
        "corpus/dialog/3i4k_txt/intodep.txt",
        "dialogue",
        "tsv",
        {"reader.header": False, "reader.text": "3"},
    ),
    (
        "dialog/3i4k_txt fci",
        "corpus/dialog/3i4k_txt/fci.txt",
        "dialogue",
        "tsv",
        {"reader.header": False, "reader.text": "2"},
    ),
    (
        "dialog/parakqc_txt",
        "corpus/dialog/parakqc_txt/*.txt",
        "dialogue",
        "tsv",
        {"reader.header": False, "reader.text": "3"},
    ),
    (
        "dialog/sae4k_txt",
        "corpus/dialog/sae4k_txt/*.txt",
        "dialogue",
        "tsv",
        {"reader.header": False, "reader.text": "1"},
    ),
    (
        "dialog/common_voice_txt",
        "corpus/dialog/common_voice_txt/*.txt",
        "dialogue",
        "",
        {"reader.documents": "line"},
    ),
    ("docs/ms_dynamics_md", "corpus/docs/ms_dynamics_md/**/*.md", "web", "", {}),
    ("docs/rust_book_md", "corpus/docs/rust_book_md/**/*.md", "web", "", {}),
    ("docs/d2l_md", "corpus/docs/d2l_md/**/*.md", "web", "", {}),
    ("docs/korean_html", "corpus/docs/korean_html/**/*.html", "web", "", {}),
    ("docs/python_txt", "corpus/docs/python_txt/**/*.txt", "web", "rst", LINES),
    ("law/konlpy_txt", "corpus/law/konlpy_txt/**/*.txt", "books", "", {"reader.documents": "file"}),
    ("law/statutes_md", "corpus/law/statutes_md/**/*.md", "books", "", {}),
    (
        "news/press_release_csv",
        "corpus/news/press_release_csv/**/*.csv",
        "news",
        "",
        {"reader.title": "title"},
    ),
    (
        "news/sci_news_json",
        "corpus/news/sci_news_json/*.json",
        "news",
        "",
        {"reader.text": "sentences[]", "reader.title": "title"},
    ),
    (
        "reviews/nsmc_reviews",
        "corpus/reviews/nsmc_reviews.jsonl",
        "comments",
        "",
        {"reader.text": "review"},
    ),
    (
        "reviews/nsmc_raw_json",
        "corpus/reviews/nsmc_raw_json_sample/[0-9]*.json",
        "comments",
        "",
        {"reader.document": "[]", "reader.text": "review"},
    ),
    ("ud/kaist_txt", "corpus/ud/kaist_txt/*.txt", "books", "", {"reader.documents": "file"}),
    ("ud/conllu_raw", "corpus/ud/conllu_raw/*.conllu", "books", "", {}),
    ("web/dps_jsonl", "corpus/web/dps_jsonl/**/*.jsonl", "web", "", {}),
    (
        "web/petitions_jsonl",
        "corpus/web/petitions_jsonl/*.jsonl",
        "web",
        "",
        {"reader.text": "content", "reader.title": "title"},
    ),
    (
        "wiki/klue_ner_tsv",
        "corpus/wiki/klue_ner_sentences_tsv/**/*.tsv",
        "web",
        "",
        {"reader.header": False, "reader.text": "2"},
    ),
    (
        "wiki/korquad1_json",
        "corpus/wiki/korquad1_dev_json/**/*.json",
        "encyclopedia",
        "json",
        {"reader.document": "data[].paragraphs[]", "reader.text": "context"},
    ),
    ("wiki/namuwiki_json", "corpus/wiki/namuwiki_json/*.json", "namuwiki", "", {}),
    ("wiki/namuwiki_escaped", "corpus/wiki/namuwiki_escaped_json/*.json", "namuwiki", "", {}),
    ("wiki/kss_bench_txt", "corpus/wiki/kss_bench_txt/*.txt", "books", "", {}),
    ("fixtures/nikl", "fixtures/nikl/**/*.json,fixtures/nikl/**/*.sjml", "nikl", "", {}),
    ("fixtures/aihub", "fixtures/aihub/*/*.json", "aihub", "", {}),
    (
        "fixtures/aihub_csv",
        "fixtures/aihub/*/*.csv",
        "news",
        "",
        {"reader.text": "원문"},
    ),
    ("fixtures/aihub_trn", "fixtures/aihub/*/*.trn", "dialogue", "", {}),
    ("fixtures/sejong", "fixtures/sejong/*.txt", "sejong", "", {}),
    ("fixtures/mediawiki_xml", "fixtures/mediawiki/*.xml", "encyclopedia", "", {}),
    ("fixtures/mediawiki_bz2", "fixtures/mediawiki/*.xml.bz2", "encyclopedia", "", {}),
    (
        "fixtures/wikiextractor",
        "fixtures/mediawiki/wikiextractor_wiki_00",
        "encyclopedia",
        "wikiextractor",
        {},
    ),
    (
        "fixtures/wikiextractor_json",
        "fixtures/mediawiki/wikiextractor_wiki_00.json",
        "encyclopedia",
        "jsonl",
        {},
    ),
    (
        "fixtures/kowikitext",
        "fixtures/mediawiki/kowikitext_format.txt",
        "encyclopedia",
        "kowikitext",
        {},
    ),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_dir", required=True, type=pathlib.Path)
    parser.add_argument("--output_dir", required=True, type=pathlib.Path)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    wanted = [part for part in options.only.split(",") if part]
    print(
        "| source | files | documents in | out | lines in | sentences | lines out | MB in | MB out "
        "| MB/s | most frequent rules (lines changed + removed) |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|")
    failed = []
    for source in SOURCES:
        if not wanted or any(part in source[0] for part in wanted):
            row = clean(source, options)
            if row is None:
                failed.append(source[0])
            else:
                print(row, flush=True)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def clean(source: tuple, options: argparse.Namespace) -> str | None:
    """Returns a row of the table, or None where the run failed."""
    name, patterns, kind, reader, changes = source
    stem = options.output_dir / name.replace("/", "-").replace(" ", "-")
    files = ",".join(os.path.join(options.data_dir, part) for part in patterns.split(","))
    command = [
        sys.executable,
        ROOT / "corpus" / "clean_corpus.py",
        f"--input_file={files}",
        "--exclude=SOURCE.txt",
        f"--source={kind}",
        f"--output_file={stem}.txt",
        "--overwrite",
        *([f"--reader={reader}"] if reader else []),
        *(f"--set={option}={value}" for option, value in changes.items()),
    ]
    started = time.perf_counter()
    completed = subprocess.run(command, capture_output=True, text=True)
    seconds = time.perf_counter() - started
    if completed.returncode:
        print(f"{name}: {completed.stderr[-1000:]}", file=sys.stderr)
        return None
    report = json.loads(pathlib.Path(f"{stem}-report", "report.json").read_text(encoding="utf-8"))
    total = report["total"]
    rules = sorted(
        ((rule["lines_changed"] + rule["lines_removed"], rule["name"]) for rule in total["rules"]),
        reverse=True,
    )
    frequent = ", ".join(f"{rule} {count:,}" for count, rule in rules[:4] if count)
    return (
        f"| {name} | {total['files']:,} | {total['documents_in']:,} | {total['documents_out']:,} "
        f"| {total['lines_in']:,} | {total['sentences']:,} | {total['lines_out']:,} "
        f"| {total['bytes_in'] / 1e6:.2f} | {total['bytes_out'] / 1e6:.2f} "
        f"| {total['mb_per_cpu_second']:.1f} ({seconds:.0f} s) | {frequent} |"
    )


if __name__ == "__main__":
    main()
