"""The report of a run: its numbers, its warnings, its pages, which no text can break."""

import html.parser
import json
import os
import re

import pytest

from deeq_bert.corpus import report, writing
from deeq_bert.corpus.accounting import Account
from deeq_bert.corpus.cleaning import NOTHING_LEFT
from deeq_bert.corpus.rules import catalogue
from deeq_bert.tokenizers.errors import InputError

TEXT_RULE, SECOND_TEXT_RULE = (rule.name for rule in catalogue.TEXT_RULES[:2])
LINE_FILTER, SECOND_LINE_FILTER = (rule.name for rule in catalogue.LINE_FILTERS[:2])
DOCUMENT_FILTER = catalogue.DOCUMENT_FILTERS[0].name
DUPLICATE_LINES = writing.DUPLICATE_LINE
DUPLICATE_DOCUMENTS = writing.DUPLICATE_DOCUMENT
LINE = "오늘은 날씨가 맑고 바람이 분다."

# What would do something in HTML, in Markdown or on a terminal.
TRAP = '</li></table><script>alert("1")</script>|`x`\n```\n# 큰 글\u202e\u200b\x1b[31m\ud800&amp;'


def account(num_documents=100, lines_each=10, line=LINE):
    """An account of documents that came in and were split into a sentence a line."""
    one = Account(3, "seed")
    one.files = 1
    one.encodings = {"utf-8": 1}
    one.documents_in = num_documents
    one.lines_in = one.sentences = num_documents * lines_each
    one.bytes_in = one.lines_in * len(line.encode())
    one.seconds = 0.5
    return one


def write(one, num_documents, lines_each=10, line=LINE):
    one.enter_output(["\n".join([line] * lines_each)] * num_documents)


def kept():
    """An account of which all is written."""
    one = account()
    write(one, 100)
    return one


def made(one, **facts):
    return report.make_report({"news": one}, {"seconds": 2.0, "num_workers": 2, **facts})


def rules_of(one):
    return {rule["name"]: rule for rule in made(one)["sources"]["news"]["rules"]}


def test_a_source_has_what_came_in_and_went_out():
    source = made(kept())["sources"]["news"]
    assert (source["documents_in"], source["documents_out"]) == (100, 100)
    assert (source["lines_in"], source["sentences"], source["lines_out"]) == (1000, 1000, 1000)
    assert source["bytes_out"] == 1000 * len(LINE.encode())
    assert source["encodings"] == {"utf-8": 1}


def test_speed_is_told_by_core_and_in_all():
    total = made(kept())["total"]
    assert total["mb_per_cpu_second"] == pytest.approx(
        1000 * len(LINE.encode()) / 1e6 / 0.5, abs=0.001
    )
    assert total["mb_per_second"] == pytest.approx(1000 * len(LINE.encode()) / 1e6 / 2, abs=0.001)


def test_a_run_that_took_no_time_has_no_speed():
    one = kept()
    one.seconds = 0
    total = report.make_report({"news": one}, {})["total"]
    assert total["mb_per_cpu_second"] is total["mb_per_second"] is None


def test_the_total_is_the_sum_of_the_sources():
    made_of_two = report.make_report({"news": kept(), "wiki": kept()}, {"seconds": 1.0})
    assert list(made_of_two["sources"]) == ["news", "wiki"]
    assert made_of_two["total"]["documents_in"] == 200
    assert made_of_two["total"]["lines_out"] == 2000


def test_facts_are_kept_and_the_settings_of_a_source_stand_with_it():
    result = made(kept(), plan={"a": [1]}, sources={"news": {"weight": 1.0}})
    assert result["plan"] == {"a": [1]}
    assert result["sources"]["news"]["settings"] == {"weight": 1.0}


def test_characters_are_shares_of_those_that_are_not_blank():
    one = account(1, 1)
    one.enter_output(["가나 다A1韓"])
    source = made(one)["sources"]["news"]
    assert source["characters"]["space"] == 1
    assert source["character_shares"]["hangul"] == 0.5
    assert source["character_shares"]["hanja"] == pytest.approx(1 / 6, abs=1e-6)
    assert "space" not in source["character_shares"]


def test_lengths_are_told_by_bins():
    source = made(kept())["sources"]["news"]
    assert {"up_to": 20, "count": 1000} in source["line_lengths"]
    assert {"up_to": 10, "count": 100} in source["document_lengths"]
    assert source["line_lengths"][-1] == {"up_to": None, "count": 0}


def test_broken_records_come_with_samples_the_most_frequent_first():
    one = kept()
    one.enter_broken("no text", "a, line 1", "{}")
    for line in (2, 3):
        one.enter_broken("not JSON", f"a, line {line}", "{")
    source = made(one)["sources"]["news"]
    assert source["broken_records"] == 3
    assert [broken["problem"] for broken in source["broken"]] == ["not JSON", "no text"]
    assert source["broken"][1]["samples"] == [{"place": "a, line 1", "text": "{}"}]


@pytest.mark.parametrize(
    ("rule", "stage"),
    [
        (TEXT_RULE, "text"),
        (LINE_FILTER, "line"),
        (DOCUMENT_FILTER, "document"),
        (DUPLICATE_LINES, "corpus"),
        (DUPLICATE_DOCUMENTS, "corpus"),
        (writing.NEAR_RULE, "corpus"),
        (writing.NOT_TAKEN, "corpus"),
        (report.DECONTAMINATION, "corpus"),
        ("a_filter_of_no_list", "line"),
    ],
)
def test_rules_have_their_stage(rule, stage):
    one = account()
    one.enter_removed_line(rule, "한 줄")
    assert rules_of(one)[rule]["stage"] == stage


def test_a_rule_has_its_numbers_and_samples():
    one = account()
    one.enter_changes(TEXT_RULE, ["가 😀", "나😀", "😀"], ["가 ", "나", ""])
    rule = rules_of(one)[TEXT_RULE]
    assert (rule["lines_changed"], rule["lines_removed"], rule["documents_removed"]) == (2, 1, 0)
    assert rule["bytes_removed"] == 12
    assert rule["share_changed"] == 0.002
    assert {"before": "나😀", "after": "나"} in rule["changed_samples"]
    assert rule["removed_samples"] == ["😀"]
    assert rule["summary"]


def test_rules_stand_in_the_order_they_work():
    one = account()
    for name in (DUPLICATE_LINES, DOCUMENT_FILTER, SECOND_LINE_FILTER, LINE_FILTER, TEXT_RULE):
        one.enter_removed_line(name, "한 줄")
    expected = [TEXT_RULE, LINE_FILTER, SECOND_LINE_FILTER, DOCUMENT_FILTER, DUPLICATE_LINES]
    assert list(rules_of(one)) == expected


def remove_lines(one, name, number):
    for _ in range(number):
        one.enter_removed_line(name, "한 줄")


def test_shares_are_of_the_lines_that_earlier_rules_left():
    one = account()
    one.sentences = 2000
    remove_lines(one, TEXT_RULE, 100)
    remove_lines(one, SECOND_TEXT_RULE, 90)
    remove_lines(one, LINE_FILTER, 200)
    remove_lines(one, SECOND_LINE_FILTER, 180)
    remove_lines(one, DUPLICATE_LINES, 162)
    seen = {name: rule["lines_seen"] for name, rule in rules_of(one).items()}
    assert seen == {
        TEXT_RULE: 1000,
        SECOND_TEXT_RULE: 900,
        LINE_FILTER: 2000,
        SECOND_LINE_FILTER: 1800,
        DUPLICATE_LINES: 1620,
    }
    assert {rule["share_removed"] for rule in rules_of(one).values()} == {0.1}


def balanced():
    """An account where text is written, held out, and removed at every stage."""
    one = account(100, 10)
    remove_lines(one, LINE_FILTER, 10)
    one.rule(NOTHING_LEFT).removed_documents += 1
    one.enter_removed_document(DOCUMENT_FILTER, ["한 줄"] * 10)
    one.enter_removed_document(DUPLICATE_DOCUMENTS, ["한 줄"] * 10)
    one.enter_heldout("\n".join(["한 줄"] * 10))
    remove_lines(one, DUPLICATE_LINES, 5)
    write(one, 95)
    write(one, 1, 5)
    return one


def test_what_came_in_is_written_held_out_or_removed():
    source = made(balanced())["sources"]["news"]
    assert source["balance"]["documents"] == {
        "in": 100,
        "out": 96,
        "held_out": 1,
        "removed": 3,
        "difference": 0,
    }
    assert source["balance"]["sentences"] == {
        "in": 1000,
        "out": 955,
        "held_out": 10,
        "removed": 35,
        "difference": 0,
    }


def test_lines_that_text_rules_remove_are_not_sentences():
    one = balanced()
    one.enter_changes(TEXT_RULE, ["😀"], [""])
    assert made(one)["sources"]["news"]["balance"]["sentences"]["difference"] == 0


def warnings_of(one, **settings):
    return made(one, sources={"news": settings} if settings else {})["warnings"]


def test_a_source_that_is_well_has_no_warning():
    assert warnings_of(kept()) == []
    assert warnings_of(balanced()) == []


def with_many_lines_removed():
    """An account in which a filter removed 12 documents, line by line."""
    one = account()
    remove_lines(one, LINE_FILTER, 120)
    one.rule(NOTHING_LEFT).removed_documents += 12
    write(one, 88)
    return one


def test_a_rule_that_removes_many_lines_is_told():
    one = with_many_lines_removed()
    (warning,) = warnings_of(one)
    assert warning.startswith(f"news: the rule {LINE_FILTER} removes 12.0% of the lines")


def test_a_few_lines_of_a_small_source_are_no_warning():
    one = account(1, 10)
    remove_lines(one, LINE_FILTER, 4)
    write(one, 1, 6)
    assert warnings_of(one) == []


def test_a_rule_that_takes_many_bytes_is_told():
    one = kept()
    for _ in range(20):
        one.enter_changes(TEXT_RULE, ["가" * 1000 + " 나"], ["나"])
    (warning,) = warnings_of(one)
    assert f"the rule {TEXT_RULE} takes away 100.0% of the bytes" in warning


def test_a_rule_that_changes_most_lines_is_told():
    one = kept()
    one.enter_changes(TEXT_RULE, ["“가”"] * 600, ['"가"'] * 600)
    (warning,) = warnings_of(one)
    assert f"the rule {TEXT_RULE} changes 60.0% of the lines" in warning


def test_documents_that_were_not_wanted_are_no_warning():
    one = account()
    for _ in range(60):
        one.enter_removed_document(writing.NOT_TAKEN, ["한 줄"] * 10)
    write(one, 40)
    assert warnings_of(one, weight=0.4) == []


def test_a_source_with_nothing_left_is_told():
    one = account()
    assert any("nothing is left" in warning for warning in warnings_of(one))


def test_files_without_a_document_are_told():
    assert any("no document" in warning for warning in warnings_of(Account(3, "")))


def test_broken_records_are_told_where_they_are_many():
    one = kept()
    one.enter_broken("not JSON", "a, line 1", "{")
    assert warnings_of(one) == []
    one.enter_broken("not JSON", "a, line 2", "{")
    assert any("2 of 102" in warning for warning in warnings_of(one))


def test_other_encodings_are_told():
    one = kept()
    one.encodings = {"utf-8": 3, "cp949": 2}
    assert any("2 in cp949" in warning for warning in warnings_of(one))


def test_replaced_characters_are_told():
    one = kept()
    one.replaced_characters = 1234
    assert any("1,234 characters" in warning for warning in warnings_of(one))


def test_text_that_is_not_korean_is_told():
    one = account()
    write(one, 100, line="This is a line of English text, and not Korean.")
    assert any("Hangul" in warning for warning in warnings_of(one))


def test_lines_that_nobody_split_are_told():
    one = account(line="가" * 500)
    write(one, 100, line="가" * 500)
    assert any("over 480 characters" in warning for warning in warnings_of(one))


def test_a_rule_without_anything_to_do_is_told():
    rules = {TEXT_RULE: {"on": True}, SECOND_TEXT_RULE: {"on": True}, LINE_FILTER: {"on": False}}
    one = kept()
    one.enter_changes(TEXT_RULE, ["가😀"], ["가"])
    (warning,) = warnings_of(one, settings={"rules": rules})
    assert warning.endswith(f"without anything to do: {SECOND_TEXT_RULE}.")


def test_numbers_that_do_not_add_up_are_told():
    one = kept()
    one.documents_in += 1
    (warning,) = warnings_of(one)
    assert "documents do not add up: 101 came in, 100 are written" in warning


def test_documents_that_are_written_twice_are_no_fault():
    one = account()
    write(one, 200)
    assert warnings_of(one, weight=2.0) == []
    assert len(warnings_of(one, weight=1.0)) == 2


def everything():
    """A report that has something in every place, traps for its pages among it."""
    one = balanced()
    one.enter_changes(TEXT_RULE, [f"앞 {TRAP} 뒤"], ["앞 뒤"])
    one.enter_removed_line(LINE_FILTER, TRAP)
    one.enter_broken("not JSON " + TRAP.replace("\ud800", ""), f"a {TRAP}", TRAP)
    one.encodings = {"cp949": 1}
    return report.make_report(
        {"news": one, f"name {TRAP}": kept()},
        {
            "seconds": 65.0,
            "num_workers": 2,
            "outputs": [{"path": f"train {TRAP}", "bytes": 123}],
            "heldout": {"path": "heldout.txt", "bytes": 5},
            "settings": {"output_file": TRAP},
            "sources": {"news": {"settings": {"description": TRAP, "rules": {}}}},
            "repeated_lines": [{"count": 1045, "documents": 1040, "line": TRAP}],
            "near_duplicate_clusters": [
                {"size": 12, "documents": [{"source": "news", "beginning": TRAP}]}
            ],
            "decontamination_files": [f"tasks {TRAP}"],
        },
    )


def test_three_files_are_written(tmp_path):
    folder = tmp_path / "new"
    paths = report.write_report(str(folder), everything())
    assert [os.path.basename(path) for path in paths] == ["report.json", "report.md", "report.html"]
    assert sorted(os.listdir(folder)) == sorted(map(os.path.basename, paths))


def test_the_json_is_the_report(tmp_path):
    result = everything()
    path = report.write_report(str(tmp_path), result)[0]
    with open(path, encoding="utf-8") as file:
        assert json.load(file) == result


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="Cannot make the folder"):
        report.write_report(str(tmp_path / "file"), everything())


class Page(html.parser.HTMLParser):
    """Reads a page: its elements, which must be closed in order, and its text."""

    def __init__(self):
        super().__init__()
        self.open, self.elements, self.faults, self.text = [], [], [], ""
        self.marked = {"del": [], "ins": []}

    def handle_starttag(self, tag, attributes):
        self.elements.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] in self.marked:
            self.marked[self.open[-1]].append(data)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The Markdown and the HTML of a report, as they are in the files."""
    paths = report.write_report(str(tmp_path_factory.mktemp("report")), everything())
    texts = []
    for path in paths[1:]:
        with open(path, encoding="utf-8", newline="") as file:
            texts.append(file.read())
    return texts


def read_page(text):
    page = Page()
    page.feed(text)
    page.close()
    return page


def test_no_text_becomes_part_of_the_html(pages):
    page = read_page(pages[1])
    assert page.faults == page.open == []
    assert "script" not in page.elements
    assert page.text.count('<script>alert("1")</script>') >= 10


def test_the_html_needs_nothing_from_elsewhere(pages):
    assert not re.search(r"(?i)\b(src|href)=\"(?!#)|@import|url\(", pages[1])
    assert "default-src 'none'" in pages[1]


@pytest.mark.parametrize("number", [0, 1])
def test_no_page_has_characters_that_cannot_be_seen(pages, number):
    assert not re.search("[\x00-\x09\x0b-\x1f\u200b\u202e\ud800-\udfff]", pages[number])
    assert "U+202E" in pages[number]


def test_the_html_marks_what_changed():
    one = kept()
    one.enter_changes(TEXT_RULE, ["전화는 010-1234-5678"], ["전화는 [전화]"])
    page = read_page(report.report_html.page(made(one)))
    assert page.marked == {"del": ["010-1234-5678"], "ins": ["[전화]"]}


def test_the_html_shows_removed_lines():
    one = kept()
    one.enter_removed_line(LINE_FILTER, "무단 전재 금지")
    page = read_page(report.report_html.page(made(one)))
    assert page.marked["del"] == ["무단 전재 금지"]
    assert "Removed: 1 of 1, at random" in page.text


def test_the_html_names_what_goes_far():
    one = with_many_lines_removed()
    assert (
        "It removes 12.0% of the lines it sees."
        in read_page(report.report_html.page(made(one))).text
    )


def test_a_link_leads_to_each_source(pages):
    for target in re.findall(r'href="#([^"]+)"', pages[1]):
        assert f'id="{target}"' in pages[1]


def outside_of_fences(markdown):
    """Returns the lines that are not in fenced blocks, and checks that each block ends."""
    lines, fence = [], ""
    for line in markdown.split("\n"):
        if fence:
            fence = "" if line == fence else fence
        elif line.startswith("```"):
            fence = re.match("`+", line)[0]
        else:
            lines.append(line)
    assert not fence
    return lines


def test_no_text_becomes_markdown(pages):
    lines = outside_of_fences(pages[0])
    text = re.sub(r"\\.", "", "\n".join(lines))
    assert not re.search("[<>`]", text)
    assert "큰 글" not in "".join(line for line in lines if line.startswith("# "))


def test_the_cells_of_a_table_are_as_many_in_every_row(pages):
    rows = [line for line in outside_of_fences(pages[0]) if line.startswith("|")]
    before = None
    for line in outside_of_fences(pages[0]):
        cells = len(re.sub(r"\\.", "", line).split("|")) if line.startswith("|") else None
        assert None in (cells, before) or cells == before, line
        before = cells
    assert len(rows) > 20


def test_the_markdown_has_samples_before_and_after():
    one = kept()
    one.enter_changes(TEXT_RULE, ["맛있다ㅋㅋㅋㅋ"], ["맛있다ㅋㅋ"])
    text = report.report_markdown.page(made(one))
    assert "- 맛있다ㅋㅋㅋㅋ\n+ 맛있다ㅋㅋ\n" in text


def test_repeated_lines_and_groups_are_on_both_pages(pages):
    assert "1,045 times in 1,040 documents" in pages[0]
    assert "12 documents" in pages[0]
    assert "1,045" in pages[1]
    assert "12 documents" in pages[1]


def test_a_report_of_nothing_has_its_pages(tmp_path):
    report.write_report(str(tmp_path), report.make_report({"news": Account(0, "")}, {}))
    assert read_page((tmp_path / "report.html").read_text()).faults == []


def test_the_summary_has_a_row_for_each_source():
    lines = report.summary_lines(everything())
    assert lines[0].split()[0] == "source"
    assert lines[1].split() == ["news", "100", "96", "1,000", "955", "0.0", "0.0", "0.1"]
    assert lines[3].split()[:3] == ["all", "200", "196"]


def test_the_columns_of_the_summary_stand_under_each_other():
    accounts = {"한국어 뉴스": kept(), "a": kept()}
    lines = report.summary_lines(report.make_report(accounts, {"seconds": 1.0, "num_workers": 1}))
    # A Hangul syllable is as wide as two letters.
    assert len(lines[1].encode("cp949")) == len(lines[2]) == len(lines[0])


def test_the_summary_names_the_most_frequent_rules_and_the_warnings():
    one = with_many_lines_removed()
    one.enter_changes(TEXT_RULE, ["가😀"] * 200, ["가"] * 200)
    lines = report.summary_lines(made(one))
    begin = lines.index("The most frequent rules:")
    assert lines[begin + 1] == f"  {TEXT_RULE}: changed 200 lines"
    assert lines[begin + 2] == f"  {LINE_FILTER}: removed 120 lines"
    assert lines[begin + 4] == "To look at:"
    assert len(lines) == begin + 6


def test_the_summary_cannot_move_the_terminal():
    assert not re.search("[\x00-\x1f\u202e]", "".join(report.summary_lines(everything())))


def test_the_summary_can_be_made_of_the_file(tmp_path):
    result = everything()
    path = report.write_report(str(tmp_path), result)[0]
    with open(path, encoding="utf-8") as file:
        assert report.summary_lines(json.load(file)) == report.summary_lines(result)
