"""A run of cleaning over all its stages, in this process, on small text of our own."""

import dataclasses
import json
import os
import pathlib

import pytest

from deeq_bert.corpus.pipeline import clean_corpus
from deeq_bert.corpus.run_settings import RunSettings, describe_run
from deeq_bert.corpus.sources import make_source
from deeq_bert.corpus.work_folder import WorkFolder
from deeq_bert.tokenizers.errors import InputError

FOG = "아침부터 안개가 짙게 끼어 앞이 보이지 않았다."
FORECAST = "기상청은 오후부터 기온이 오르겠다고 예보했다."
SUN = "점심 무렵이 되자 햇볕이 들면서 안개가 걷혔다."
WIND = "저녁에는 다시 바람이 불어 체감 온도가 떨어졌다."
NOTICE = "오늘도 찾아 주신 모든 분께 깊이 감사드리는 마음을 전합니다."


def settings(folder: pathlib.Path, **changes) -> RunSettings:
    defaults = RunSettings(
        output_file=str(folder / "train.txt"),
        heldout_file=str(folder / "heldout.txt"),
        report_dir=str(folder / "report"),
        heldout_fraction=0.0,
        near_dedup=None,
        repeated_lines=20,
        repeated_line_documents=10,
        decontaminate=(),
        errors="strict",
        strict=False,
        num_samples=5,
        shard_mb=64.0,
        seed=1,
        dedup_memory_mb=16,
        num_workers=1,
        restart=False,
        overwrite=False,
    )
    return dataclasses.replace(defaults, **changes)


def write(path: pathlib.Path, *documents: str) -> str:
    path.write_text("\n\n".join(documents) + "\n", encoding="utf-8")
    return str(path)


def numbered(count: int, more: str = "") -> list[str]:
    """Documents of two lines that have nothing in common."""
    return [
        f"{number}번째 아침에는 안개가 끼어 {number * 7}미터 앞이 보이지 않았다.\n"
        f"제{number}호 예보는 오후부터 기온이 {number * 3}도 오르겠다고 했다.{more}"
        for number in range(count)
    ]


def documents_of(path: pathlib.Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    return text.removesuffix("\n").split("\n\n") if text else []


def lines_of(path: pathlib.Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").split("\n") if line]


def assert_balanced(result: dict) -> None:
    for source in result["sources"].values():
        assert source["balance"]["documents"]["difference"] == 0
        assert source["balance"]["sentences"]["difference"] == 0


def removed(result: dict, rule: str) -> tuple[int, int]:
    """How many documents and lines a rule removed."""
    for entry in result["total"]["rules"]:
        if entry["name"] == rule:
            return entry["documents_removed"], entry["lines_removed"]
    return 0, 0


def test_a_document_of_another_source_goes_and_the_first_stays(tmp_path):
    one = write(tmp_path / "one.txt", f"{FOG}\n{SUN}", f"{FORECAST}\n{WIND}")
    other = write(tmp_path / "other.txt", f"{FORECAST}\n{WIND}", NOTICE, f"{FOG}\n{SUN}")
    sources = [make_source(one, source="books"), make_source(other, source="books", name="other")]
    result = clean_corpus(sources, settings(tmp_path))
    assert documents_of(tmp_path / "train.txt") == [f"{FOG}\n{SUN}", f"{FORECAST}\n{WIND}", NOTICE]
    assert removed(result, "duplicate_documents") == (2, 4)
    assert_balanced(result)


def test_a_line_of_an_earlier_document_goes_and_the_order_stays(tmp_path):
    path = write(tmp_path / "a.txt", f"{FOG}\n{SUN}", f"{WIND}\n{FOG}\n{FORECAST}")
    result = clean_corpus([make_source(path, source="books")], settings(tmp_path))
    assert documents_of(tmp_path / "train.txt") == [f"{FOG}\n{SUN}", f"{WIND}\n{FORECAST}"]
    assert removed(result, "duplicate_lines") == (0, 1)
    assert_balanced(result)


def test_lines_of_a_document_that_is_dropped_do_not_count_as_the_first(tmp_path):
    # The second document goes whole, so the third has the only copy of nothing else.
    path = write(tmp_path / "a.txt", f"{FOG}\n{SUN}", f"{FOG}\n{SUN}", f"{SUN}\n{WIND}")
    clean_corpus([make_source(path, source="books")], settings(tmp_path))
    assert documents_of(tmp_path / "train.txt") == [f"{FOG}\n{SUN}", WIND]


def test_a_document_that_loses_its_last_line_goes(tmp_path):
    path = write(tmp_path / "a.txt", f"{FOG}\n{SUN}", SUN, WIND)
    result = clean_corpus([make_source(path, source="books")], settings(tmp_path))
    assert documents_of(tmp_path / "train.txt") == [f"{FOG}\n{SUN}", WIND]
    assert removed(result, "nothing_left") == (1, 0)
    assert_balanced(result)


@pytest.mark.parametrize(
    "what, left",
    [
        ("documents,lines", [f"{FOG}\n{SUN}", WIND]),
        ("documents", [f"{FOG}\n{SUN}", f"{FOG}\n{WIND}"]),
        ("lines", [f"{FOG}\n{SUN}", WIND]),
        ("", [f"{FOG}\n{SUN}", f"{FOG}\n{SUN}", f"{FOG}\n{WIND}"]),
    ],
)
def test_what_is_deduplicated_is_the_source_s_to_say(tmp_path, what, left):
    path = write(tmp_path / "a.txt", f"{FOG}\n{SUN}", f"{FOG}\n{SUN}", f"{FOG}\n{WIND}")
    source = make_source(path, source="books", changes=[f"deduplicate={what}"])
    assert_balanced(clean_corpus([source], settings(tmp_path)))
    assert documents_of(tmp_path / "train.txt") == left


def test_a_source_that_is_not_deduplicated_takes_nothing_from_another(tmp_path):
    first = make_source(
        write(tmp_path / "a.txt", f"{FOG}\n{SUN}"), source="books", changes=["deduplicate="]
    )
    second = make_source(write(tmp_path / "b.txt", f"{FOG}\n{SUN}"), source="books", name="second")
    clean_corpus([first, second], settings(tmp_path))
    assert documents_of(tmp_path / "train.txt") == [f"{FOG}\n{SUN}", f"{FOG}\n{SUN}"]


def test_a_line_repeated_in_many_documents_goes_everywhere(tmp_path):
    path = write(tmp_path / "a.txt", *numbered(25, f"\n{NOTICE}"))
    result = clean_corpus([make_source(path, source="books")], settings(tmp_path))
    assert NOTICE not in lines_of(tmp_path / "train.txt")
    assert removed(result, "repeated_lines") == (0, 25)
    assert result["repeated_lines"][0] == {"count": 25, "documents": 25, "line": NOTICE}
    assert_balanced(result)


@pytest.mark.parametrize(
    "changes", [{"repeated_lines": 0}, {"repeated_lines": 26}, {"repeated_line_documents": 26}]
)
def test_a_line_repeated_less_than_that_stays_once(tmp_path, changes):
    path = write(tmp_path / "a.txt", *numbered(25, f"\n{NOTICE}"))
    clean_corpus([make_source(path, source="books")], settings(tmp_path, **changes))
    assert lines_of(tmp_path / "train.txt").count(NOTICE) == 1


def test_near_copies_go_and_what_is_not_alike_stays(tmp_path):
    # Sixty words, of which the copy has another one.
    words = [f"단어{number}번" for number in range(60)]
    others = [f"낱말{number}호" for number in range(60)]
    copy = [*words[:30], "딴말", *words[31:]]
    documents = [" ".join(text) + " 입니다." for text in (words, others, copy)]
    path = write(tmp_path / "a.txt", *documents)
    source = make_source(path, source="books")
    result = clean_corpus([source], settings(tmp_path, near_dedup=0.8))
    assert documents_of(tmp_path / "train.txt") == documents[:2]
    assert removed(result, "near_duplicate_documents") == (1, 1)
    assert result["near_duplicate_clusters"][0]["size"] == 2
    assert_balanced(result)


@pytest.mark.parametrize("what", ["documents,lines", "documents", ""])
def test_heldout_text_is_in_no_training_text(tmp_path, what):
    # Every document shares its second line with four others.
    texts = [
        f"{number}번 글은 {number * 7}자이다.\n{number % 80}번 말은 누구나 한다."
        for number in range(400)
    ]
    path = write(tmp_path / "a.txt", *texts, *texts[:50])
    source = make_source(path, source="books", changes=[f"deduplicate={what}"])
    result = clean_corpus([source], settings(tmp_path, heldout_fraction=0.25, repeated_lines=0))
    heldout, train = lines_of(tmp_path / "heldout.txt"), lines_of(tmp_path / "train.txt")
    assert not set(heldout) & set(train)
    assert 0.15 < result["total"]["heldout_documents"] / 400 < 0.4
    assert_balanced(result)


@pytest.mark.parametrize("first, second", [("", "documents,lines"), ("documents,lines", "")])
def test_heldout_text_of_one_source_is_not_in_that_of_another(tmp_path, first, second):
    one = write(tmp_path / "one.txt", *numbered(200))
    other = write(tmp_path / "other.txt", *(text.replace("\n", "\n\n") for text in numbered(200)))
    sources = [
        make_source(one, source="books", name="one", changes=[f"deduplicate={first}"]),
        make_source(other, source="books", name="other", changes=[f"deduplicate={second}"]),
    ]
    result = clean_corpus(sources, settings(tmp_path, heldout_fraction=0.3))
    assert not set(lines_of(tmp_path / "heldout.txt")) & set(lines_of(tmp_path / "train.txt"))
    assert_balanced(result)


def test_what_is_held_out_is_decided_by_the_text_and_the_seed(tmp_path):
    held = []
    for folder, seed, more in (("a", 1, []), ("b", 1, [NOTICE]), ("c", 2, [])):
        (tmp_path / folder).mkdir()
        path = write(tmp_path / folder / "a.txt", *more, *numbered(200))
        run = settings(tmp_path / folder, heldout_fraction=0.2, seed=seed)
        clean_corpus([make_source(path, source="books")], run)
        held.append(set(lines_of(tmp_path / folder / "heldout.txt")) - {NOTICE})
    assert held[0] == held[1]
    assert held[0] != held[2]


def test_a_weight_of_a_half_takes_about_half_of_the_documents(tmp_path):
    path = write(tmp_path / "a.txt", *numbered(400))
    result = clean_corpus([make_source(path, source="books", weight=0.5)], settings(tmp_path))
    taken = documents_of(tmp_path / "train.txt")
    assert 160 < len(taken) < 240
    assert removed(result, "not_taken")[0] == 400 - len(taken)
    assert_balanced(result)


def test_a_weight_of_two_and_a_half_writes_each_document_twice_or_thrice(tmp_path):
    texts = numbered(200)
    path = write(tmp_path / "a.txt", *texts)
    clean_corpus([make_source(path, source="books", weight=2.5)], settings(tmp_path))
    taken = documents_of(tmp_path / "train.txt")
    counts = [taken.count(text) for text in texts]
    assert set(counts) == {2, 3}
    assert 70 < counts.count(3) < 130


def test_a_cap_takes_about_so_many_megabytes(tmp_path):
    path = write(tmp_path / "a.txt", *numbered(2000))
    source = make_source(path, source="books", cap_mb=0.1)
    assert_balanced(clean_corpus([source], settings(tmp_path)))
    assert 0.09 < os.path.getsize(tmp_path / "train.txt") / 1e6 < 0.11


def test_a_cap_above_what_is_there_takes_all(tmp_path):
    path = write(tmp_path / "a.txt", *numbered(20))
    clean_corpus([make_source(path, source="books", cap_mb=5)], settings(tmp_path))
    assert documents_of(tmp_path / "train.txt") == numbered(20)


def test_sentences_of_tasks_are_left_out(tmp_path):
    path = write(tmp_path / "a.txt", f"{FOG}\n{SUN}", WIND)
    task = tmp_path / "task.tsv"
    task.write_text(
        "id\ttext\n1\t저녁에는  다시 바람이 불어, 체감온도가 떨어졌다!\n", encoding="utf-8"
    )
    result = clean_corpus(
        [make_source(path, source="books")], settings(tmp_path, decontaminate=(str(task),))
    )
    assert documents_of(tmp_path / "train.txt") == [f"{FOG}\n{SUN}"]
    assert removed(result, "decontamination") == (0, 1)
    assert_balanced(result)


def test_a_changed_list_of_tasks_is_another_run(tmp_path):
    sources = [make_source(write(tmp_path / "a.txt", FOG, WIND), source="books")]
    task = tmp_path / "task.txt"
    task.write_text(FOG, encoding="utf-8")
    run = settings(tmp_path, decontaminate=(str(task),))
    clean_corpus(sources, run)
    task.write_text(WIND, encoding="utf-8")
    os.utime(task, ns=(1, 1))
    with pytest.raises(InputError, match="is there already"):
        clean_corpus(sources, run)
    clean_corpus(sources, dataclasses.replace(run, overwrite=True))
    assert documents_of(tmp_path / "train.txt") == [FOG]


def test_a_changed_list_of_stop_lines_is_another_run(tmp_path):
    stop = tmp_path / "stop.txt"
    stop.write_text(FOG + "\n", encoding="utf-8")
    path = write(tmp_path / "a.txt", FOG, WIND)
    sources = [make_source(path, source="books", changes=[f"stop_lines.file={stop}"])]
    clean_corpus(sources, settings(tmp_path))
    stop.write_text("\n".join([FOG, SUN, WIND]), encoding="utf-8")
    with pytest.raises(InputError, match="is there already"):
        clean_corpus(sources, settings(tmp_path))


def test_every_kind_of_line_break_ends_a_line_or_becomes_a_blank(tmp_path):
    breaks = [
        "\r",
        "\r\r",
        "\r\n",
        "\n\n",
        "\v",
        "\f",
        "\x1c",
        "\x1d",
        "\x1e",
        "\x85",
        "\u2028",
        "\u2029",
    ]
    records = [{"text": f"{number}번 {FOG}{mark}{SUN}{mark}"} for number, mark in enumerate(breaks)]
    records += [{"text": "   "}, {"text": "\u3000\f"}, {"text": ""}]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, records)) + "\n", encoding="utf-8")
    source = make_source(str(path), source="comments", changes=["deduplicate="])
    assert_balanced(clean_corpus([source], settings(tmp_path)))
    content = (tmp_path / "train.txt").read_bytes().decode("utf-8")
    assert "\n\n\n" not in content
    lines = content.removesuffix("\n").split("\n")
    assert all(len(line.splitlines()) <= 1 and line == line.strip() for line in lines)
    assert content.count("\n\n") == len(breaks) - 1


def test_halves_of_surrogate_pairs_do_not_come_through(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "' + FOG + ' \\ud83d 그리고 \\udc00 낮이 왔다."}\n', encoding="utf-8")
    clean_corpus([make_source(str(path), source="comments")], settings(tmp_path))
    assert FOG in lines_of(tmp_path / "train.txt")


def test_nothing_left_is_an_error_and_leaves_the_report_alone(tmp_path):
    path = write(tmp_path / "a.txt", "ㅋ", "1", "abc")
    with pytest.raises(InputError, match="No line of the text is left"):
        clean_corpus([make_source(path, source="books")], settings(tmp_path))
    assert sorted(os.listdir(tmp_path)) == ["a.txt", "report"]
    assert json.loads((tmp_path / "report" / "report.json").read_text())["total"]["lines_out"] == 0


def test_nothing_left_does_not_replace_an_earlier_corpus(tmp_path):
    path = write(tmp_path / "a.txt", "ㅋ")
    (tmp_path / "train.txt").write_text("earlier\n")
    with pytest.raises(InputError, match="No line"):
        clean_corpus([make_source(path, source="books")], settings(tmp_path, overwrite=True))
    assert (tmp_path / "train.txt").read_text() == "earlier\n"


def test_all_held_out_is_an_error_and_leaves_no_file(tmp_path):
    path = write(tmp_path / "a.txt", FOG)
    with pytest.raises(InputError, match="No line"):
        clean_corpus(
            [make_source(path, source="books")], settings(tmp_path, heldout_fraction=0.9999)
        )
    assert sorted(os.listdir(tmp_path)) == ["a.txt", "report"]


def test_no_samples_are_no_trouble(tmp_path):
    path = write(tmp_path / "a.txt", f"{FOG}\n{SUN}", FOG, "ㅋ")
    result = clean_corpus([make_source(path, source="books")], settings(tmp_path, num_samples=0))
    rules = result["sources"]["books"]["rules"]
    assert rules and not any(rule["removed_samples"] for rule in rules)


def test_an_empty_file_among_others_counts_and_gives_nothing(tmp_path):
    (tmp_path / "b.txt").touch()
    write(tmp_path / "a.txt", FOG)
    result = clean_corpus([make_source(f"{tmp_path}/?.txt", source="books")], settings(tmp_path))
    assert result["total"]["files"] == 2
    assert documents_of(tmp_path / "train.txt") == [FOG]


def test_a_series_has_files_of_about_the_size_asked_for(tmp_path):
    for number in range(4):
        texts = [
            text.replace("번째", f"-{number}번째").replace("호", f"-{number}호")
            for text in numbered(10_000)
        ]
        write(tmp_path / f"in{number}.txt", *texts)
    source = make_source(f"{tmp_path}/in*.txt", source="books")
    run = settings(tmp_path, output_file=f"{tmp_path}/train-@##.txt", shard_mb=2.0)
    clean_corpus([source], run)
    sizes = [os.path.getsize(path) for path in sorted(tmp_path.glob("train-??.txt"))]
    assert len(sizes) > 1
    assert all(size >= 1.99e6 for size in sizes[:-1])
    assert (
        len({line for path in tmp_path.glob("train-??.txt") for line in lines_of(path)}) == 80_000
    )


def test_files_of_an_earlier_longer_series_are_removed(tmp_path):
    for number in (1, 2, 3):
        (tmp_path / f"train-{number:02d}.txt").write_text("earlier\n")
    path = write(tmp_path / "a.txt", FOG)
    run = settings(tmp_path, output_file=f"{tmp_path}/train-@##.txt", overwrite=True)
    clean_corpus([make_source(path, source="books")], run)
    assert sorted(file.name for file in tmp_path.glob("train*")) == ["train-01.txt"]


def test_a_work_folder_that_a_finished_run_could_not_remove_goes_with_the_next(tmp_path):
    sources = [make_source(write(tmp_path / "a.txt", FOG), source="books")]
    clean_corpus(sources, settings(tmp_path))
    plan = json.loads((tmp_path / "report" / "report.json").read_text())["plan"]
    (tmp_path / "train.cleaning").mkdir()
    (tmp_path / "train.cleaning" / "plan.json").write_text(json.dumps(plan))
    clean_corpus(sources, settings(tmp_path))
    assert not (tmp_path / "train.cleaning").exists()


@pytest.mark.parametrize("missing", [False, True])
def test_a_finished_run_is_done_again_only_if_its_output_is_not_there(tmp_path, missing):
    sources = [make_source(write(tmp_path / "a.txt", FOG), source="books")]
    clean_corpus(sources, settings(tmp_path))
    before = os.stat(tmp_path / "train.txt").st_mtime_ns
    if missing:
        os.remove(tmp_path / "train.txt")
    clean_corpus(sources, settings(tmp_path))
    assert (os.stat(tmp_path / "train.txt").st_mtime_ns == before) is not missing


def test_a_run_that_stopped_at_a_broken_record_goes_on_without_strict(tmp_path):
    (tmp_path / "a.jsonl").write_text(f'{{"text": "{FOG}"}}\n{{"text"\n', encoding="utf-8")
    (tmp_path / "big.jsonl").write_text(
        "".join(json.dumps({"text": text}) + "\n" for text in numbered(6000)), encoding="utf-8"
    )
    source = make_source(f"{tmp_path}/big.jsonl,{tmp_path}/a.jsonl", source="comments")
    with pytest.raises(InputError, match="a.jsonl, line 2: not JSON.*leave out --strict"):
        clean_corpus([source], settings(tmp_path, strict=True))
    assert (tmp_path / "train.cleaning" / "part-00000.json").exists()
    result = clean_corpus([source], settings(tmp_path))
    assert result["total"]["broken_records"] == 1
    assert lines_of(tmp_path / "train.txt")[-1] == FOG


def test_a_run_that_left_out_records_does_not_go_on_as_strict(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text"\n', encoding="utf-8")
    source = make_source(str(tmp_path / "a.jsonl"), source="comments")
    plan = settings(tmp_path)
    work = WorkFolder(str(tmp_path / "train.cleaning"), describe_run([source], plan), False)
    work.mark("part-00000.json", {})
    work.close()
    with pytest.raises(InputError, match="strict was false, is true"):
        clean_corpus([source], dataclasses.replace(plan, strict=True))


def test_replaced_bytes_are_counted_once_though_a_file_is_read_in_ranges(tmp_path):
    texts = [text.encode("utf-8") for text in numbered(20_000)]
    for number in range(0, 20_000, 100):
        texts[number] = texts[number][:-1] + b"\xff."
    (tmp_path / "a.txt").write_bytes(b"\n\n".join(texts))
    source = make_source(str(tmp_path / "a.txt"), source="books")
    with pytest.raises(InputError, match=r"a.txt: the byte at offset .* --errors=replace"):
        clean_corpus([source], settings(tmp_path))
    result = clean_corpus([source], settings(tmp_path, errors="replace"))
    assert result["total"]["replaced_characters"] == 200
    assert result["total"]["files"] == 1
    assert_balanced(result)
