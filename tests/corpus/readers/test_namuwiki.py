"""Namuwiki's dumps: which pages come."""

import json
import re

import pytest

from deeq_bert.corpus.readers.base import BrokenRecord, Document
from deeq_bert.corpus.readers.input_file import InputFile
from deeq_bert.corpus.readers.namuwiki import NamuwikiReader
from deeq_bert.tokenizers.errors import InputError


@pytest.fixture
def read(tmp_path):
    """A function that reads a dump of some pages, or a file with other content."""

    def read(*pages, content=None, **options):
        path = tmp_path / "dump.json"
        path.write_text(json.dumps(pages) if content is None else content)
        return list(NamuwikiReader(**options).read(InputFile(str(path))))

    return read


def page(title, text, namespace=0):
    return {"namespace": namespace, "title": title, "text": text, "contributors": ["가", "나"]}


def test_articles_come_without_markup(read):
    assert read(page("가", "[[나|다]]는 '''라'''다.\n\n끝."), page("마", "바")) == [
        Document("가", "가", ["다는 라다.", "끝."]),
        Document("마", "마", ["바"]),
    ]


def test_the_namespace_can_be_written_in_several_ways(read):
    pages = [page(str(namespace), "글", namespace) for namespace in (0, "0", "", 1, "틀", "6")]
    assert [document.title for document in read(*pages)] == ["0", "0", ""]
    assert read({"title": "가", "text": "글"}) == [Document("가", "가", ["글"])]


def test_redirects_are_left_out(read):
    pages = [page("가", "#redirect 나\n"), page("나", "#넘겨주기 다"), page("다", "#redirected 글")]
    assert [document.title for document in read(*pages)] == ["다"]


def test_a_file_with_a_single_page_is_read(read):
    assert read(content=json.dumps(page("가", "글"))) == [Document("가", "가", ["글"])]


def test_headings_can_be_kept(read):
    assert read(page("가", "== 개요 ==\n글"))[0].paragraphs == ["글"]
    assert read(page("가", "== 개요 ==\n글"), headings=True)[0].paragraphs == ["개요", "글"]


def test_an_option_that_cannot_be_is_named():
    with pytest.raises(InputError, match="headings"):
        NamuwikiReader(headings="yes")


def test_a_page_without_text_is_broken(read):
    first, broken, last = read(page("가", "글"), {"title": "나"}, page("다", "글"))
    assert (first.title, last.title) == ("가", "다")
    assert isinstance(broken, BrokenRecord)
    assert broken.problem == "no title and text"


@pytest.mark.parametrize("content", ['[{"id": 1}]', '["글"]', "글이다."])
def test_a_file_of_another_kind_is_refused(read, content):
    with pytest.raises(InputError, match=r"dump\.json"):
        read(content=content)


def test_the_lines_of_real_pages_come_out(real_corpus):
    found = wanted = 0
    for path in sorted((real_corpus / "wiki" / "namuwiki_json").glob("*.json")):
        (document,) = NamuwikiReader().read(InputFile(str(path)))
        text = re.sub(r"\s", "", "".join(document.paragraphs))
        gold = path.with_suffix(".gold.txt").read_text().split("\n")
        # The headings have the title before them, and items of lists keep their dash.
        lines = [line for line in gold if line and not line.startswith(f"{document.title} - ")]
        lines = [line.removeprefix("- ") for line in lines]
        found += sum(re.sub(r"\s", "", line) in text for line in lines)
        wanted += len(lines)
    # The rest is marks of sources ("#"), "(...)", and sections of links, of which the two differ.
    assert found > 0.98 * wanted


def test_a_real_dump_with_escapes_is_read(real_corpus):
    path = real_corpus / "wiki" / "namuwiki_escaped_json" / "namuwiki_sample.json"
    (document,) = NamuwikiReader().read(InputFile(str(path)))
    assert document.title == "!!아앗!!"
    assert document.paragraphs[1].startswith("세계수의 미궁 시리즈에 전통으로 등장하는 대사.")
