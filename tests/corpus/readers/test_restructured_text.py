"""reStructuredText: directives, literal blocks, tables, roles."""

import time

import pytest

from deeq_bert.corpus.readers.base import Document
from deeq_bert.corpus.readers.input_file import InputFile
from deeq_bert.corpus.readers.restructured_text import RestructuredTextReader, clean_inline
from deeq_bert.tokenizers.errors import InputError


def read(tmp_path, page: str, **options) -> Document:
    path = tmp_path / "page.rst"
    path.write_text(page, encoding="utf-8")
    (document,) = RestructuredTextReader(**options).read(InputFile(str(path)))
    return document


def paragraphs(tmp_path, page: str, **options) -> list[str]:
    return read(tmp_path, page, **options).paragraphs


def test_the_first_heading_is_the_title(tmp_path):
    page = ":Author: 아무개\n\n=====\n제목\n=====\n\n글은 두\n줄이다.\n\n작은 제목\n----\n\n글.\n"
    document = read(tmp_path, page)
    assert document.title == "제목"
    assert document.paragraphs == ["글은 두 줄이다.", "작은 제목", "글."]


def test_headings_can_be_left_out(tmp_path):
    assert paragraphs(tmp_path, "제목\n====\n\n절\n--\n\n글.\n", headings=False) == ["글."]


@pytest.mark.parametrize(
    "block",
    [
        ".. code-block:: python\n\n   x = 1\n\n   y = 2",
        "::\n\n    코드",
        ".. 주석은\n   이어진다.",
        ".. _label:",
        ".. image:: a.png\n   :alt: 그림",
        ".. |이름| replace:: 글",
        ".. toctree::\n   :maxdepth: 2\n\n   first\n   second",
        "+---+---+\n| 가 | 나 |\n+---+---+",
        "===  ===\n가   나\n===  ===\n1    2\n===  ===",
        ">>> 1 + 1\n2",
        "----",
        "__ https://example.com",
    ],
)
def test_what_is_no_prose_goes(tmp_path, block):
    assert paragraphs(tmp_path, f"앞 글.\n\n{block}\n\n뒤 글.\n") == ["앞 글.", "뒤 글."]


def test_a_literal_block_goes_and_its_colon_stays(tmp_path):
    page = "보기는 다음과 같다::\n\n   코드\n\n   코드\n\n그리고 ::\n\n   코드\n\n끝.\n"
    assert paragraphs(tmp_path, page) == ["보기는 다음과 같다:", "그리고", "끝."]


def test_the_text_of_notes_stays(tmp_path):
    page = ".. note:: 조심할\n   것.\n\n   둘째 문단.\n\n.. versionadded:: 3.8\n   새로 생겼다.\n"
    assert paragraphs(tmp_path, page) == ["조심할 것.", "둘째 문단.", "새로 생겼다."]


def test_the_text_of_descriptions_stays_without_signatures(tmp_path):
    page = (
        "글.\n\n.. py:function:: f(x)\n                 f(y)\n   :noindex:\n\n   설명이다.\n\n"
        "   :param x: 인자의\n      설명\n   :returns: 결과\n"
    )
    assert paragraphs(tmp_path, page) == ["글.", "설명이다.", "인자의 설명", "결과"]


def test_items_terms_and_verses_are_paragraphs(tmp_path):
    page = (
        "* 하나\n  이어짐\n* 둘\n\n  - 안쪽\n\n#. 셋\n\n용어\n   그 뜻.\n\n"
        "| 시의 첫 줄\n| 둘째 줄\n"
    )
    assert paragraphs(tmp_path, page) == [
        *("하나 이어짐", "둘", "안쪽", "셋", "용어", "그 뜻.", "시의 첫 줄", "둘째 줄")
    ]


def test_footnotes_and_references(tmp_path):
    page = "글 [1]_ 과 Python_ 과 name_ 이다.\n\n.. [1] 각주 글.\n.. _Python: https://python.org\n"
    assert paragraphs(tmp_path, page) == ["글 과 Python 과 name_ 이다.", "각주 글."]


def test_lines_can_be_paragraphs(tmp_path):
    page = "제목\n첫 문단은 :ref:`여기 <label>`\\를 본다::\n   *둘째*.\n"
    assert paragraphs(tmp_path, page, paragraphs="line") == [
        "제목",
        "첫 문단은 여기를 본다:",
        "둘째.",
    ]


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        (":ref:`이바지하는 <contributing>` 방법", "이바지하는 방법"),
        ("`글 <https://example.com>`_ 과 `이름`_ 과 `또`__", "글 과 이름 과 또"),
        (":class:`dict`\\ 는 :meth:`~a.b.run`\\을", "dict는 run을"),
        (":func:`!open`과 :pep:`8`, :c:func:`PyMem_Free`", "open과 PEP 8, PyMem_Free"),
        ("``a*b*c``와 **굵게**\\와 *기울임*\\을", "a*b*c와 굵게와 기울임을"),
        ("\\*args와 2 * 3 * 4", "*args와 2 * 3 * 4"),
        ("|이름| 과 a | b", "이름 과 a | b"),
        ("snake_case_name, __init__", "snake_case_name, __init__"),
        ("` <>` ` <", " ` <"),
    ],
)
def test_inline_markup(markup, text):
    assert clean_inline(markup) == text


def test_options_are_checked():
    with pytest.raises(InputError, match="reader.paragraphs is 'page'; expected one of"):
        RestructuredTextReader("page")


_PIECES = ["*", "**", "`", "``", ":a:`", "` <", "_", "a_", "|", "[1", "]_", "\\", " ", "가", "::\n"]
_PIECES += [
    ".. ",
    ".. a::\n",
    ".. note::\n",
    "+-+\n",
    "== ==\n",
    "  a\n",
    "\n",
    "==\n",
    "- ",
    ":a:",
]


@pytest.mark.parametrize("piece", _PIECES)
def test_a_page_of_any_kind_takes_time_by_its_size(tmp_path, piece):
    start = time.monotonic()
    for text in (piece, piece + "a", piece + " "):
        path = tmp_path / "page.rst"
        path.write_text(text * (300_000 // len(text)))
        list(RestructuredTextReader().read(InputFile(str(path))))
    assert time.monotonic() - start < 10


def test_translated_documentation_is_read_line_by_line(real_corpus):
    path = real_corpus / "docs" / "python_txt" / "bugs.txt"
    (document,) = RestructuredTextReader("line").read(InputFile(str(path)))
    assert document.paragraphs[0] == "버그 다루기"
    assert any("이바지하는 방법을 배우세요." in paragraph for paragraph in document.paragraphs)
    assert not any("`" in paragraph for paragraph in document.paragraphs)
