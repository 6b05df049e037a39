"""XML: documents at a path, feeds, entities, encodings and faults."""

import pickle
import time
import tracemalloc
import xml.etree.ElementTree

import pytest

from deeq_bert.corpus.readers import input_file, xml_files
from deeq_bert.corpus.readers.base import BrokenRecord, Document
from deeq_bert.corpus.readers.input_file import InputFile
from deeq_bert.corpus.readers.xml_files import XmlReader
from deeq_bert.tokenizers.errors import InputError


@pytest.fixture
def read(tmp_path):
    """A function that reads some text with a reader."""

    def read(reader, text, **keywords):
        path = tmp_path / "file.xml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return list(reader.read(InputFile(str(path), **keywords)))

    return read


def paragraphs(records):
    return [record.paragraphs for record in records if isinstance(record, Document)]


def problems(records):
    return [record.problem for record in records if isinstance(record, BrokenRecord)]


BOOK = """<?xml version="1.0" encoding="UTF-8"?>
<book xmlns:x="urn:x">
  <head><title>책</title></head>
  <chapter><id>1</id><title>하나</title><p>가</p><x:p>나</x:p><note><p>주석</p></note></chapter>
  <chapter><id>2</id><title>둘</title><p>다 &lt;라&gt; <b>마</b>바</p></chapter>
</book>
"""
CHAPTERS = XmlReader(document="chapter", text="p", id="id")
ITEMS = XmlReader(text="p")


def test_a_document_has_its_texts_title_and_id(read):
    assert read(CHAPTERS, BOOK) == [
        Document("1", "하나", ["가", "나"]),
        Document("2", "둘", ["다 <라> 마바"]),
    ]


@pytest.mark.parametrize(
    ("document", "text", "found"),
    [
        ("book/chapter", "p", [["가", "나"], ["다 <라> 마바"]]),
        ("chapter", "//p", [["가", "나", "주석"], ["다 <라> 마바"]]),
        ("chapter", "note/p,p", [["가", "나", "주석"], ["다 <라> 마바"]]),
        ("chapter", "note/p|p", [["주석"], ["다 <라> 마바"]]),
        ("book", "chapter/p", [["가", "나", "다 <라> 마바"]]),
        ("head, note", "title,p", [["책"], ["주석"]]),
        ("title", ".", [["책"], ["하나"], ["둘"]]),
    ],
)
def test_paths_say_what_a_document_is_and_what_its_texts_are(read, document, text, found):
    reader = XmlReader(document=document, text=text, title="")

    assert paragraphs(read(reader, BOOK)) == found


def test_elements_that_break_the_line_do_so(read):
    text = "<a><item><p>가<br/>나 <i>다</i>\n  라\n\n</p></item></a>"

    assert paragraphs(read(ITEMS, text)) == [["가\n나 다\n라"]]


def test_a_document_without_text_is_empty_where_others_have_one(read):
    text = "<a><item><title>제목</title></item><item><p>가</p></item></a>"

    assert paragraphs(read(ITEMS, text)) == [[], ["가"]]


RSS = """<rss xmlns:content="c" xmlns:media="m"><channel><title>블로그</title>
<item><title>글</title><media:content><media:title>사진</media:title></media:content>
<description>&lt;p&gt;가&amp;nbsp;나&lt;/p&gt;&lt;p&gt;다&lt;/p&gt;</description></item>
</channel></rss>"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom"><title>블로그</title>
<entry><title>글</title><content type="xhtml"><div><p>1 &lt; 2</p><p>나</p></div></content></entry>
<entry><title>글</title><summary>짧게</summary><content type="html">길게</content></entry></feed>"""


@pytest.fixture
def feeds():
    return XmlReader(content="html")


def test_an_rss_feed_holds_html(read, feeds):
    assert [part.split() for part in read(feeds, RSS)[0].paragraphs] == [["가", "나"], ["다"]]


def test_an_atom_feed_holds_html_or_xhtml(read, feeds):
    assert paragraphs(read(feeds, ATOM)) == [["1 < 2", "나"], ["길게"]]


def test_entities_of_html_are_known(read):
    text = "<a><item><p>가&nbsp;나&hellip;&unknown;</p></item></a>"

    assert paragraphs(read(ITEMS, text)) == [["가\xa0나…&unknown;"]]


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE a [<!ENTITY x "가나다라">]>',
        '<!DOCTYPE a [<!ENTITY x "aaaa"><!ENTITY y "&x;&x;&x;&x;">]>',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE a [<!ENTITY % x SYSTEM "http://example.com/x.dtd"> %x;]>',
        '<!DOCTYPE a SYSTEM "x.dtd">',
        '<!DOCTYPE a PUBLIC "-//x//y" "http://example.com/x.dtd">',
    ],
)
def test_entities_of_the_file_are_refused(read, doctype):
    with pytest.raises(InputError, match=r"file.xml: .*entity expansion"):
        read(ITEMS, f"{doctype}<a><item><p>&x;</p></item></a>")


def test_a_document_type_alone_does_no_harm(read):
    text = "<!DOCTYPE a [<!ELEMENT a ANY>]><a><item><p>가</p></item></a>"

    assert paragraphs(read(ITEMS, text)) == [["가"]]


@pytest.mark.parametrize("encoding", ["euc-kr", "cp949", "utf-8", "utf-16"])
def test_every_korean_encoding_is_read(read, encoding):
    text = f'<?xml version="1.0" encoding="{encoding}"?><a><item><p>한글 글자</p></item></a>'

    assert paragraphs(read(ITEMS, text.encode(encoding))) == [["한글 글자"]]


def test_a_declared_encoding_counts_where_the_beginning_does_not_tell(read, monkeypatch):
    monkeypatch.setattr(input_file, "BLOCK_BYTES", 200)
    monkeypatch.setattr(input_file, "_SAMPLE_BYTES", 200)
    text = '<?xml version="1.0" encoding="euc-kr"?>' + " " * 1_000 + "<item><p>한글</p></item>"

    assert paragraphs(read(ITEMS, text.encode("euc-kr"))) == [["한글"]]


def test_an_encoding_that_is_declared_wrongly_does_not_matter(read):
    text = '<?xml version="1.0" encoding="euc-kr"?><a><item><p>한글</p></item></a>'

    assert paragraphs(read(ITEMS, text.encode("utf-8"))) == [["한글"]]


def test_control_characters_do_no_harm(read):
    assert paragraphs(read(ITEMS, "<a><item><p>가\x0b나\x08다</p></item></a>")) == [["가나다"]]


# Faults.


def test_what_comes_before_a_fault_is_kept(read):
    text = "<a>\n<item><p>가</p></item>\n<item><p>나 & 다</p></item>\n<item><p>라</p></item></a>"

    records = read(ITEMS, text)

    assert paragraphs(records) == [["가"]]
    assert problems(records) == [
        "not XML: not well-formed (invalid token); the rest of the file is lost"
    ]
    assert records[-1].place.endswith("file.xml, line 3")


def test_a_file_that_is_cut_short_says_so(read):
    records = read(ITEMS, "<a><item><p>가</p></item><item><p>나")

    assert paragraphs(records) == [["가"]]
    assert problems(records) == ["not XML: no element found; the rest of the file is lost"]


def test_a_file_that_is_no_xml_is_refused(read):
    with pytest.raises(InputError, match="not XML, since it begins with '안녕"):
        read(ITEMS, "안녕하세요.")


def test_an_empty_file_is_told(read):
    assert problems(read(ITEMS, "")) == ["an empty file"]


def test_a_document_that_is_nowhere_names_the_elements_there_are(read):
    with pytest.raises(
        InputError, match=r"no element `item`; it has book, book/head, .*`document`"
    ):
        read(XmlReader(document="item"), BOOK)


def test_a_text_that_is_nowhere_names_the_elements_there_are(read):
    with pytest.raises(InputError, match=r"no element `body`; it has id, p, note, .*`text`"):
        read(XmlReader(document="chapter", text="body"), BOOK)


def test_a_document_that_is_too_long_is_left_out(read, monkeypatch):
    monkeypatch.setattr(xml_files, "MAX_DOCUMENT_CHARACTERS", 1_000)
    text = f"<a><item><p>{'가' * 2_000}</p></item><item><p>나</p></item></a>"

    records = read(ITEMS, text)

    assert paragraphs(records) == [["나"]]
    assert problems(records) == ["a document of over 1,000 characters"]


@pytest.mark.parametrize(
    "keywords", [{"content": "word"}, {"document": ""}, {"text": "a//b"}, {"title": "dc:title"}]
)
def test_options_are_checked_at_once(keywords):
    with pytest.raises(InputError):
        XmlReader(**keywords)


def test_a_reader_goes_to_other_processes(read):
    assert paragraphs(read(pickle.loads(pickle.dumps(CHAPTERS)), BOOK))[0] == ["가", "나"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("<a>" * 100_000, "elements nested over 5,000 deep"),
        ("<a><item><p>가</p></item><!--" + "x" * 40_000_000, "a tag or comment of over"),
        ('<a><item><p>가</p></item><b x="' + "x" * 40_000_000, "a tag or comment of over"),
    ],
)
def test_what_has_no_bounds_is_left(read, text, problem):
    begin = time.monotonic()

    assert problems(read(ITEMS, text))[0].startswith(problem)
    assert time.monotonic() - begin < 20


def test_a_large_file_is_read_in_little_memory(tmp_path):
    path = tmp_path / "large.xml"
    paragraphs = f"<p>{'가나다라 마바사 ' * 50}</p>" * 10
    path.write_text(f"<a>{f'<item><title>제목</title>{paragraphs}</item>' * 3_000}</a>")

    tracemalloc.start()
    try:
        number = sum(len(document.paragraphs) for document in ITEMS.read(InputFile(str(path))))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert number == 30_000
    assert path.stat().st_size > 30e6
    # Of which most is the beginning of the file, looked at for its encoding.
    assert peak < 20e6


def test_a_blog(real_corpus, feeds):
    for name, tag in [("feed.xml", "item"), ("orifeed.xml", "{http://www.w3.org/2005/Atom}entry")]:
        path = real_corpus / "blogs" / "nacyot_rss_xml" / name
        entries = list(xml.etree.ElementTree.parse(path).getroot().iter(tag))

        records = list(feeds.read(InputFile(str(path))))

        titles = [entry[0].text for entry in entries]
        assert [record.title for record in records] == [" ".join(title.split()) for title in titles]
        assert all(record.paragraphs for record in records)
