"""A document's way through text rules, splitting and filters."""

import random

import pytest

from deeq_bert.corpus.accounting import Account
from deeq_bert.corpus.cleaning import NOTHING_LEFT, Cleaner
from deeq_bert.corpus.readers.base import Document
from deeq_bert.corpus.rules import catalogue
from deeq_bert.corpus.settings import SourceSettings, preset_names, preset_path, read_settings
from deeq_bert.tokenizers.errors import InputError

FOG = "아침부터 안개가 짙게 끼어 앞이 보이지 않았다."
SUN = "점심 무렵이 되자 햇볕이 들면서 안개가 걷혔다."

# What rules look for, and what may break lines or a document out of its place.
PIECES = (
    *(FOG, SUN, "ㅋㅋㅋㅋㅋ", "!!!!", "....", "하하하하하", " ", "  ", "", "1", "가", "\n", "\n\n"),
    *("\r", "\r\n", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\u3000"),
    *("&#10;", "&#13;", "&#x2028;", "&NewLine;", "&#0;", "&lt;", "&amp;#10;", "<br>", "&nbsp;"),
    *("\u200b", "\ufeff", "\u00ad", "\u1100", "\u1161", "\u11a2", "\u0301", "\ud800", "\U0001f600"),
    *("대한민국(大韓民國)", "道", "http://a.b/c", "a@b.kr", "010-1234-5678", "■ ", "▶", "△ "),
    *("(서울=연합뉴스)", "홍길동 기자", "/사진=뉴스1", "무단 전재 및 재배포 금지", "ⓒ 우리신문"),
    *("로그인", "공유하기", "&name&", "{emoji}", "@friend", "(", ")", "[", "]", "“", "”", "'"),
)


def cleaned(paragraphs: list[str], settings: SourceSettings | None = None, title: str = ""):
    account = Account(20, "seed")
    document = Document("1", title, paragraphs)
    (lines,) = Cleaner(settings or SourceSettings()).clean([document], account)
    return lines, account


def random_documents(seed: int, count: int) -> list[Document]:
    generator = random.Random(seed)
    return [
        Document(
            str(number),
            "",
            [
                "".join(generator.choices(PIECES, k=generator.randrange(8)))
                for _ in range(generator.randrange(4))
            ],
        )
        for number in range(count)
    ]


def all_on() -> SourceSettings:
    rules = (*catalogue.TEXT_RULES, *catalogue.LINE_FILTERS)
    return SourceSettings(
        rules={rule.name: {"on": True} for rule in rules if not rule.name.startswith("stop_")}
    )


def all_off() -> SourceSettings:
    rules = (*catalogue.TEXT_RULES, *catalogue.LINE_FILTERS, *catalogue.DOCUMENT_FILTERS)
    return SourceSettings(rules={rule.name: {"on": False} for rule in rules})


SETTINGS = {
    "all_on": all_on(),
    "all_off": all_off(),
    **{name: read_settings(preset_path(name)) for name in preset_names()},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_documents_together_become_what_they_become_one_by_one(name):
    documents = random_documents(1, 300)
    cleaner = Cleaner(SETTINGS[name])
    one_by_one, together = Account(5, "seed"), Account(5, "seed")
    alone = [cleaner.clean([document], one_by_one)[0] for document in documents]
    assert cleaner.clean(documents, together) == alone
    counts = [
        {rule: (entry.changed, entry.removed_lines) for rule, entry in account.rules.items()}
        for account in (one_by_one, together)
    ]
    assert counts[0] == counts[1]


@pytest.mark.parametrize("name", SETTINGS)
def test_no_line_is_blank_or_has_a_line_feed_and_all_are_accounted_for(name):
    account = Account(5, "seed")
    documents = random_documents(2, 300)
    results = Cleaner(SETTINGS[name]).clean(documents, account)
    for lines in results:
        assert all(line.strip() and "\n" not in line for line in lines)
        "\n".join(lines).encode("utf-8")
    kept = sum(map(len, results))
    text_rules = {rule.name for rule in catalogue.TEXT_RULES}
    removed = sum(
        entry.removed_lines for rule, entry in account.rules.items() if rule not in text_rules
    )
    assert account.sentences == kept + removed
    dropped = sum(entry.removed_documents for entry in account.rules.values())
    assert account.documents_in == 300 == sum(map(bool, results)) + dropped


@pytest.mark.parametrize("name", [name for name in SETTINGS if name != "all_off"])
def test_no_line_has_a_line_break_of_another_kind(name):
    for lines in Cleaner(SETTINGS[name]).clean(random_documents(3, 300), Account(5, "seed")):
        assert all(len(line.splitlines()) == 1 for line in lines)


def test_paragraphs_become_sentences():
    assert cleaned([f"{FOG} {SUN}", FOG])[0] == [FOG, SUN, FOG]


def test_a_line_break_inside_a_paragraph_ends_a_sentence():
    assert cleaned(["나 보기가 역겨워 가실 때에는\n말없이 고이 보내 드리오리다"])[0] == [
        "나 보기가 역겨워 가실 때에는",
        "말없이 고이 보내 드리오리다",
    ]


def test_a_title_becomes_the_first_line_where_it_is_wanted():
    title = "안개 낀 아침의 풍경"
    assert cleaned([FOG], title=title)[0] == [FOG]
    assert cleaned([FOG], SourceSettings(keep_titles=True), title)[0] == [title, FOG]


@pytest.mark.parametrize("paragraphs", [[], [""], [" ", "\u3000"], ["ㅋ"], ["2024-01-01"]])
def test_a_document_without_a_line_left_is_counted(paragraphs):
    lines, account = cleaned(paragraphs)
    assert lines == []
    assert account.rules[NOTHING_LEFT].removed_documents == 1


def test_a_document_that_a_filter_drops_is_counted_with_its_lines():
    settings = SourceSettings(rules={"short_documents": {"on": True, "characters": 100}})
    lines, account = cleaned([FOG, SUN], settings)
    assert lines == []
    rule = account.rules["short_documents"]
    assert (rule.removed_documents, rule.removed_lines) == (1, 2)


def test_a_line_goes_to_the_account_of_the_first_filter_that_drops_it():
    # No letter, hence no Hangul and one word.
    _, account = cleaned([FOG, "1234"])
    assert account.rules["no_letters"].removed_lines == 1
    assert "short_lines" not in account.rules


def test_further_filters_come_last():
    account = Account(5, "seed")
    cleaner = Cleaner(SourceSettings(), [("mine", lambda line, uncommon: line == SUN)])
    assert cleaner.clean([Document("1", "", [FOG, SUN])], account) == [[FOG]]
    assert list(account.rules["mine"].removed_samples) == [(SUN,)]


def test_what_was_read_is_counted_as_it_was():
    _, account = cleaned([f"{FOG}  {SUN}", "", "ㅋ"])
    assert (account.documents_in, account.lines_in, account.sentences) == (1, 2, 3)
    assert account.bytes_in == len(f"{FOG}  {SUN}ㅋ".encode())


def test_no_documents_are_no_trouble():
    assert Cleaner(SourceSettings()).clean([], Account(5, "seed")) == []


@pytest.mark.parametrize(
    "rules, message",
    [
        ({"emojis": {"on": True}}, "Unknown rule 'emojis'; did you mean emoji"),
        ({"emoji": {"on": True, "act": "drop"}}, "Rule emoji: unknown option 'act'"),
        ({"emoji": {"on": True, "action": "burn"}}, "Rule emoji: .*burn"),
        ({"emoji": {"on": "no"}}, "Rule emoji: on is 'no'; expected true or false"),
        ({"stop_lines": {"on": True, "file": "nowhere.txt"}}, "nowhere.txt"),
        ({"stop_lines": {"on": True}}, "stop_lines: file is empty"),
    ],
)
def test_a_wrong_rule_is_named_before_work_starts(rules, message):
    with pytest.raises(InputError, match=message):
        Cleaner(SourceSettings(rules=rules))
