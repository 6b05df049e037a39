"""MediaWiki's dumps: which pages come, in ranges too, and what becomes of damaged ones."""

import bz2
import gzip
import json
import pickle
import random
import re
from xml.sax.saxutils import escape

import pytest

from deeq_bert.corpus.readers import mediawiki
from deeq_bert.corpus.readers.base import BrokenRecord, Document
from deeq_bert.corpus.readers.input_file import InputFile
from deeq_bert.corpus.readers.mediawiki import MediaWikiReader
from deeq_bert.tokenizers.errors import InputError

HEAD = (
    '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.{}/" version="0.{}" xml:lang="ko">\n'
    "  <siteinfo><sitename>위키백과</sitename></siteinfo>\n"
)


def page(id, text, title="제목", ns=0, extra="", model="wikitext"):
    return (
        f"  <page>\n    <title>{escape(title)}</title>\n    <ns>{ns}</ns>\n    <id>{id}</id>\n"
        f"    {extra}{revision(text, model)}\n  </page>\n"
    )


def revision(text, model="wikitext"):
    return (
        "<revision><id>900</id><contributor><username>편집자</username><id>800</id></contributor>"
        f"<comment>[[고침]]</comment><model>{model}</model><format>text/x-wiki</format>"
        f'<text bytes="3" xml:space="preserve">{escape(text)}</text></revision>'
    )


def dump(*pages, version=11):
    return HEAD.format(version, version) + "".join(pages) + "</mediawiki>\n"


@pytest.fixture
def read(tmp_path):
    """A function that reads a dump, or a range of it."""

    def read(content, begin=0, end=None, **options):
        path = tmp_path / "dump.xml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return list(MediaWikiReader(**options).read(InputFile(str(path), begin=begin, end=end)))

    return read


@pytest.mark.parametrize("version", [10, 11])
def test_articles_come_without_markup(read, version):
    content = dump(
        page(7, "'''가'''는 [[나]]다.<ref>책</ref>\n\n다음 & 끝.", title="가 & 나"),
        page(8, "둘째."),
        version=version,
    )
    assert read(content) == [
        Document("7", "가 & 나", ["가는 나다.", "다음 & 끝."]),
        Document("8", "제목", ["둘째."]),
    ]


def test_other_namespaces_and_redirects_are_left_out(read):
    content = dump(
        page(1, "토론", ns=1),
        page(2, "[[분류:상위]]", ns=14),
        page(3, "#넘겨주기 [[가]]"),
        page(4, "#REDIRECT[[가]]"),
        page(5, " #redirect: [[가]]"),
        page(6, "가", extra='<redirect title="가" />'),
        page(7, "* 하나", model="json"),
        page(8, "#redirect라는 말은 남는다."),
    )
    assert [document.id for document in read(content)] == ["8"]


def test_the_namespaces_can_be_chosen(read):
    content = dump(page(1, "가"), page(2, "나", ns=4), page(3, "다", ns=10))
    assert [document.id for document in read(content, namespaces="0, 4")] == ["1", "2"]
    assert [document.id for document in read(content, namespaces=10)] == ["3"]


def test_headings_can_be_kept(read):
    content = dump(page(1, "== 머리 ==\n글"))
    assert read(content)[0].paragraphs == ["글"]
    assert read(content, headings=True)[0].paragraphs == ["머리", "글"]


@pytest.mark.parametrize("option", [{"namespaces": "article"}, {"headings": "yes"}])
def test_an_option_that_cannot_be_is_named(option):
    with pytest.raises(InputError, match=next(iter(option))):
        MediaWikiReader(**option)


def test_the_last_of_several_revisions_counts(read):
    content = dump(page(1, "새 글", extra=revision("옛 글")))
    assert read(content) == [Document("1", "제목", ["새 글"])]


def test_a_page_without_text_is_a_document_without_paragraphs(read):
    content = dump(page(1, "{{틀}}"), page(2, "가").replace(">가<", "><"))
    assert [document.paragraphs for document in read(content)] == [[], []]


@pytest.mark.parametrize("compress", [bz2.compress, gzip.compress])
def test_compressed_dumps_are_read(read, compress):
    content = dump(page(1, "가"), page(2, "나")).encode()
    assert [document.id for document in read(compress(content))] == ["1", "2"]


def many_pages():
    generator = random.Random(1)
    return dump(
        *(
            page(number, "가나다 <page> & </page> " * generator.randrange(30))
            for number in range(60)
        )
    ).encode()


@pytest.mark.parametrize("seed", range(20))
def test_in_ranges_every_page_comes_exactly_once(read, seed):
    content = many_pages()
    generator = random.Random(seed)
    tag = generator.choice([match.start() for match in re.finditer(b"<page>", content)])
    cuts = {generator.randrange(len(content)) for _ in range(generator.randrange(1, 9))}
    # Also through a tag, just before one and just behind it.
    cuts |= {tag + generator.randrange(-1, 8)}
    cuts = [0, *sorted(cuts), len(content)]
    records = [record for begin, end in zip(cuts, cuts[1:]) for record in read(content, begin, end)]
    assert records == read(content)
    assert [record.id for record in records] == [str(number) for number in range(60)]


@pytest.mark.parametrize("block", [1, 5, 7, 100])
def test_pages_come_whole_wherever_blocks_end(read, monkeypatch, block):
    content = many_pages()
    whole = read(content)
    monkeypatch.setattr("deeq_bert.corpus.readers.input_file.BLOCK_BYTES", block)
    assert read(content) == whole


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda page: page.replace("</title>", "</titel>"), "not well-formed XML: mismatched tag"),
        (lambda page: page.replace("나나", "나 & 나"), "not well-formed XML: not well-formed"),
        (lambda page: page.replace("나나", "&bomb;"), "not well-formed XML: undefined entity"),
        (lambda page: page.replace("</page>", ""), "a page without </page>"),
    ],
)
def test_a_damaged_page_costs_only_itself(read, damage, problem):
    content = dump(page(1, "가"), damage(page(2, "나나")), page(3, "다"))
    first, broken, last = read(content)
    assert (first.id, last.id) == ("1", "3")
    assert isinstance(broken, BrokenRecord)
    assert broken.problem.startswith(problem)
    offset = int(broken.place.rpartition("byte ")[2].replace(",", ""))
    assert content.encode()[offset:].startswith(b"<page>\n    <title>")
    assert broken.sample.startswith("<page>")


def test_bytes_that_are_not_utf_8_break_their_page(read):
    content = dump(page(1, "가나다"), page(2, "라")).encode().replace("나".encode(), b"\xb3\xaa")
    broken, document = read(content)
    assert broken.problem.startswith("not well-formed XML")
    assert document.id == "2"


def test_a_dump_that_is_cut_short_is_told(read):
    content = dump(page(1, "가"), page(2, "나다라마"))
    assert read(content[: content.index("다라")])[1].problem == "a page without </page>"


@pytest.mark.parametrize("block", [64, 1 << 20])
def test_a_page_that_is_too_long_is_told_and_not_held(read, monkeypatch, block):
    monkeypatch.setattr(mediawiki, "MAX_PAGE_BYTES", 2000)
    monkeypatch.setattr("deeq_bert.corpus.readers.input_file.BLOCK_BYTES", block)
    damaged = page(4, "라라").replace("라라", "&")
    content = dump(page(1, "가"), page(2, "나" * 3000), page(3, "다"), damaged)
    first, long, last, broken = read(content)
    assert (first.id, last.id) == ("1", "3")
    assert long.problem.startswith("a page of over")
    offset = int(broken.place.rpartition("byte ")[2].replace(",", ""))
    assert content.encode().index(b"<page>", offset - 1) == offset


@pytest.mark.parametrize("content", ["", "글이다.\n", "<html><body/></html>", '{"a": 1}'])
def test_a_file_that_is_no_dump_is_refused(read, content):
    with pytest.raises(InputError, match=r"dump.xml: not a dump of MediaWiki"):
        read(content)


def test_entity_declarations_are_refused(read):
    doctype = '<!DOCTYPE mediawiki [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>\n'
    with pytest.raises(InputError, match="declares entities"):
        read(doctype + dump(page(1, "가")))


def test_a_reader_can_be_sent_to_another_process(read):
    assert pickle.loads(pickle.dumps(MediaWikiReader(namespaces="0,4")))._namespaces == {b"0", b"4"}


def test_the_paragraphs_of_a_whole_dump_come_out(real_formats):
    folder = real_formats / "mediawiki"
    path = folder / "kowiki-fixture-pages-articles.xml"
    documents = {document.id: document for document in MediaWikiReader().read(InputFile(str(path)))}
    gold = [json.loads(line) for line in (folder / "paragraphs.gold.jsonl").open()]
    assert len(documents) == len(gold)
    # Four paragraphs have double apostrophes, which are markup in a wiki.
    assert sum(has_paragraph(documents[str(one["id"])], one) for one in gold) == len(gold)
    again = MediaWikiReader().read(InputFile(f"{path}.bz2"))
    assert {document.id: document for document in again} == documents


def has_paragraph(document, gold):
    """Whether the lines of the page follow one another in the gold paragraph, and make it up."""
    wanted = "".join(gold["paragraph"].replace("''", "").split())
    lead = "".join(f"{gold['title']}({gold['title']}, 漢字)".split())
    for line in "\n".join(document.paragraphs).split("\n"):
        line = "".join(line.split()).removeprefix(lead)
        if wanted.startswith(line):
            wanted = wanted[len(line) :]
        elif line not in ("하나", "둘", "들여쓰기기울임", "[[링크아님]]"):
            return False
    return not wanted
