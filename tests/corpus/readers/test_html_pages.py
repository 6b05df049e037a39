"""HTML pages: text without menus, scripts and code, whatever the markup is like."""

import time

import pytest

from deeq_bert.corpus.readers.html_pages import HtmlReader, decode_entities, html_to_paragraphs
from deeq_bert.corpus.readers.input_file import InputFile


def read(tmp_path, page: str, **options):
    path = tmp_path / "page.html"
    path.write_text(page, encoding="utf-8")
    return list(HtmlReader(**options).read(InputFile(str(path))))


def test_the_title_and_the_blocks_of_a_page(tmp_path):
    (document,) = read(
        tmp_path,
        "<!DOCTYPE html><html><head><title>제목 &amp; 부제\n</title><style>p {}</style></head>"
        "<body><h1>큰 제목</h1><p>첫\n문단은 <b>굵은</b> 글.</p><div>둘째<p>셋째</div></body>",
    )
    assert document.title == "제목 & 부제"
    assert document.paragraphs == ["큰 제목", "첫 문단은 굵은 글.", "둘째", "셋째"]


@pytest.mark.parametrize(
    "element",
    [
        "<nav><ul><li>차림표</ul></nav>",
        "<header>머리</header>",
        "<footer>꼬리</footer>",
        "<aside>곁</aside>",
        "<script>if (a < b) document.write('<p>글</p>');</script>",
        "<style>p > a { }</style>",
        "<pre>코드\n<b>코드</b></pre>",
        "<form>찾기</form>",
        "<select><option>가</select>",
        "<div role='navigation'>차림표 <div>안</div></div>",
        "<ul><li><a href='/'>처음으로 가기</a></li></ul>",
        "<!-- <p>주석</p> -->",
        "<svg><text>그림</text></svg>",
        "<NAV class=x>큰 글자</NAV>",
    ],
)
def test_what_is_no_text_of_the_page_goes(tmp_path, element):
    (document,) = read(tmp_path, f"<body><p>앞 글이다.</p>{element}<p>뒤 글이다.</p></body>")
    assert document.paragraphs == ["앞 글이다.", "뒤 글이다."]


def test_only_the_main_part_is_read_where_there_is_one(tmp_path):
    text = "본문의 문장이다. " * 20
    (document,) = read(tmp_path, f"<body><p>곁의 글</p><main><p>{text}</p></main></body>")
    assert document.paragraphs == [text.strip()]


def test_a_main_part_that_is_nearly_empty_is_not_all(tmp_path):
    (document,) = read(tmp_path, "<article>머리</article><p>" + "글이다. " * 50 + "</p>")
    assert len(document.paragraphs) == 2


def test_a_page_that_is_one_form_is_read(tmp_path):
    (document,) = read(tmp_path, "<body><form id=aspnet><p>온 쪽의 글이다.</p></form></body>")
    assert document.paragraphs == ["온 쪽의 글이다."]


def test_a_link_in_a_sentence_stays(tmp_path):
    (document,) = read(tmp_path, "<p>자세한 것은 <a href='x'>여기</a>에서 볼 수 있다.</p>")
    assert document.paragraphs == ["자세한 것은 여기에서 볼 수 있다."]


def test_headings_can_be_left_out(tmp_path):
    page = "<h2>제목<a class=headerlink>¶</a></h2><p>글이다.</p>"
    assert read(tmp_path, page)[0].paragraphs == ["제목", "글이다."]
    assert read(tmp_path, page, headings=False)[0].paragraphs == ["글이다."]


def test_a_page_without_text_has_no_document(tmp_path):
    assert read(tmp_path, "<html><body><script>x</script></body></html>") == []


def test_an_element_that_is_not_closed_does_not_take_the_rest_with_it(tmp_path):
    (document,) = read(tmp_path, "<p>앞.</p><nav><p>뒤의 글.</p><aside>곁</aside><p>끝.</p>")
    assert document.paragraphs == ["앞.", "뒤의 글.", "끝."]


def test_a_tag_ends_after_its_quotes():
    assert html_to_paragraphs("<p title=\"a > b\">글</p><p data-x='<i>'>둘</p>") == ["글", "둘"]


def test_a_mark_that_begins_no_tag_is_text():
    assert html_to_paragraphs("<p>1 < 2 <3 그리고 <</p>") == ["1 < 2 <3 그리고 <"]


def test_a_line_break_stays_and_two_end_a_paragraph():
    assert html_to_paragraphs("<p>한 줄<br>두 줄<br/><BR>새 문단</p>") == [
        "한 줄\n두 줄",
        "새 문단",
    ]


def test_in_text_without_blocks_line_feeds_count():
    assert html_to_paragraphs("한 줄\n<b>두</b> 줄 &lt;") == ["한 줄", "두 줄 <"]


def test_in_text_with_blocks_line_feeds_do_not_count():
    assert html_to_paragraphs("<p>한\n줄</p>\n") == ["한 줄"]


def test_entities_are_decoded():
    assert decode_entities("&lt;가&#45208;&#xB2E4;&nbsp;&hellip; &unknown; &") == (
        "<가나다\xa0… &unknown; &"
    )


def test_a_number_of_thousands_of_digits_is_no_character():
    assert decode_entities("a&#" + "9" * 10_000 + ";b&#x" + "F" * 10_000) == "a\ufffdb\ufffd"


@pytest.mark.parametrize(
    "piece",
    ["<", "<a ", '<a "', "<a>", "<!", "<!--", "<![CDATA[", "</a", "<nav>", "<div role=menu>"]
    + [
        "<pre>",
        "<script>",
        "<script></script>",
        "<p>",
        "<br>",
        "&",
        "&#9",
        "가",
        "=\"'>",
        "<form>",
    ],
)
def test_a_page_of_any_kind_takes_time_by_its_size(tmp_path, piece):
    start = time.monotonic()
    read(tmp_path, piece * (1_000_000 // len(piece)))
    assert time.monotonic() - start < 10


def test_tutorials_are_read_without_code_and_menus(real_corpus):
    path = real_corpus / "docs" / "korean_html" / "beginner" / "chatbot_tutorial.html"
    (document,) = HtmlReader().read(InputFile(str(path)))
    text = "\n".join(document.paragraphs)
    assert document.title.startswith("챗봇 튜토리얼")
    assert "우리가 구현한 두 번째 전략은 gradient clipping 입니다." in text
    assert "def " not in text and "import torch" not in text
    assert ">" not in document.paragraphs
