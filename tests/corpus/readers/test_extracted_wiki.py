"""Articles extracted by other tools: WikiExtractor, kowikitext."""

import random

import pytest

from deeq_bert.corpus.readers.extracted_wiki import KowikitextReader, WikiExtractorReader
from deeq_bert.corpus.readers.input_file import InputFile
from deeq_bert.tokenizers.errors import InputError

EXTRACTED = """<doc id="1" url="https://example.com/1" title="지미 카터">
지미 카터

지미 카터는 정치가이다.
둘째 문단이다.

</doc>
<doc id="22" url="https://example.com/22" title="그 "책" &amp; 글">
그 "책" & 글

책이다.
</doc>
"""
HEADED = """ = 지미 카터 =

지미 카터는 정치가이다.

 = = 생애 = =

 = = = 어린 시절 = = =
조지아에서 태어났다.

 = = 같이 보기 = =

 = 수학 = 
수 = 양이 아니다.
"""


def read(tmp_path, reader, text: str, begin: int = 0, end: int | None = None) -> list:
    path = tmp_path / "wiki_00"
    path.write_text(text, encoding="utf-8")
    return list(reader.read(InputFile(str(path), encoding="utf-8", begin=begin, end=end)))


def test_wikiextractor_articles(tmp_path):
    first, second = read(tmp_path, WikiExtractorReader(), EXTRACTED)
    assert (first.id, first.title) == ("1", "지미 카터")
    assert first.paragraphs == ["지미 카터는 정치가이다.", "둘째 문단이다."]
    assert (second.id, second.title, second.paragraphs) == ("22", '그 "책" & 글', ["책이다."])


def test_text_between_wikiextractor_articles_is_a_broken_record(tmp_path):
    records = read(tmp_path, WikiExtractorReader(), EXTRACTED + "떠도는 글\n")
    assert (records[-1].problem, records[-1].sample) == ("text outside of <doc>", "떠도는 글")


def test_kowikitext_articles(tmp_path):
    first, second = read(tmp_path, KowikitextReader(), HEADED)
    assert first.title == "지미 카터"
    assert first.paragraphs == [
        "지미 카터는 정치가이다.",
        "생애",
        "어린 시절",
        "조지아에서 태어났다.",
    ]
    assert (second.title, second.paragraphs) == ("수학", ["수 = 양이 아니다."])


@pytest.mark.parametrize("reader", [WikiExtractorReader(), KowikitextReader()])
def test_a_file_of_another_kind_is_refused(tmp_path, reader):
    with pytest.raises(InputError, match="begins with '그냥 글'.*Choose another reader"):
        read(tmp_path, reader, "그냥 글\n")


@pytest.mark.parametrize(
    ("reader", "text"), [(WikiExtractorReader(), EXTRACTED), (KowikitextReader(), HEADED)]
)
def test_every_article_is_in_one_range_wherever_the_cuts_are(tmp_path, reader, text):
    whole = [(document.title, document.paragraphs) for document in read(tmp_path, reader, text)]
    size = len(text.encode())
    choose = random.Random(1)
    for _ in range(60):
        cuts = sorted(choose.sample(range(1, size), 3))
        found = [
            (document.title, document.paragraphs)
            for begin, end in zip([0, *cuts], [*cuts, size])
            for document in read(tmp_path, reader, text, begin, end)
        ]
        assert found == whole, cuts


def test_all_articles_of_the_fixtures_are_read(real_formats):
    for reader, name, count in (
        (WikiExtractorReader(), "wikiextractor_wiki_00", 300),
        (KowikitextReader(), "kowikitext_format.txt", 200),
    ):
        documents = list(reader.read(InputFile(str(real_formats / "mediawiki" / name))))
        assert len(documents) == count
        assert all(len(document.paragraphs) == 1 for document in documents)
