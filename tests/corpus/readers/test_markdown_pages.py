"""Markdown pages: blocks and inline markup of several dialects."""

import time

import pytest

from deeq_bert.corpus.readers.base import Document
from deeq_bert.corpus.readers.input_file import InputFile
from deeq_bert.corpus.readers.markdown_inline import InlineCleaner
from deeq_bert.corpus.readers.markdown_pages import MarkdownReader


def read(tmp_path, page: str, **options) -> Document:
    path = tmp_path / "page.md"
    path.write_text(page, encoding="utf-8")
    (document,) = MarkdownReader(**options).read(InputFile(str(path)))
    return document


def paragraphs(tmp_path, page: str, **options) -> list[str]:
    return read(tmp_path, page, **options).paragraphs


@pytest.mark.parametrize(
    "front_matter",
    ["---\nlayout: post\ntitle: '글 제목'\n---\n", '+++\ntitle = "글 제목"\ntags = []\n+++\n'],
)
def test_front_matter_gives_the_title_and_goes(tmp_path, front_matter):
    document = read(tmp_path, front_matter + "본문이다.\n")
    assert (document.title, document.paragraphs) == ("글 제목", ["본문이다."])


def test_a_line_at_the_top_is_no_front_matter(tmp_path):
    assert paragraphs(tmp_path, "---\n본문이다.\n") == ["본문이다."]


def test_the_first_heading_is_the_title_where_there_is_no_other(tmp_path):
    document = read(tmp_path, "# 큰 제목 #\n\n글.\n\n작은 제목\n---\n\n## 셋째 {#id}\n")
    assert document.title == "큰 제목"
    assert document.paragraphs == ["글.", "작은 제목", "셋째"]


def test_headings_can_be_left_out(tmp_path):
    assert paragraphs(tmp_path, "# 제목\n\n## 절\n글.\n", headings=False) == ["글."]


def test_the_lines_of_a_paragraph_are_joined(tmp_path):
    page = "여러 줄에\n걸친 문단.\n\n끝에 빈칸 둘이면  \n줄이 바뀐다.\n"
    assert paragraphs(tmp_path, page) == ["여러 줄에 걸친 문단.", "끝에 빈칸 둘이면\n줄이 바뀐다."]


@pytest.mark.parametrize(
    "block",
    [
        "```python\nx = 1\n\n# 주석\n```",
        "~~~\nx\n```\ny\n~~~",
        "````\n```\n````",
        "    들여 쓴 코드\n\n    둘째 줄",
        "\t탭으로 들여 쓴 코드",
        "<!-- 주석\n\n```\n-->",
        "<script>\nvar x;\n</script>",
        "<table>\n<tr><td>\n<table>\n</table>\n</td></tr>\n</table>",
        "<pre>\n코드\n</pre>",
        "{% highlight ruby %}\ncode\n{% endhighlight %}",
        "{% include toc.html %}",
        "$$\nx = 1\n$$",
        "$$x = 1.$$",
        "\\begin{align}\nx\n\\end{align}",
        "![그림](a.png)",
        "[![단추](a.svg)](https://example.com)",
        "| 가 | 나 |\n|---|---|\n| 1 | 2 |",
        "가 | 나\n--- | ---\n1 | 2",
        "---",
        "* * *",
        "[이름]: https://example.com",
        "[!INCLUDE [머리](../banner.md)]",
        ":::image type='content' source='a.png':::",
        ":label:`sec_x`",
        ":begin_tab:`mxnet`",
        "* $x = 1$.",
        "<div>\n</div>",
    ],
)
def test_what_is_no_prose_goes(tmp_path, block):
    assert paragraphs(tmp_path, f"앞 글.\n\n{block}\n\n뒤 글.\n") == ["앞 글.", "뒤 글."]


def test_items_are_paragraphs(tmp_path):
    page = "- 하나\n  이어짐\n* 둘\n    + 안쪽\n\n1. 셋\n2) 넷\n\n   넷의 둘째 문단\n- [x] 한 일\n"
    assert paragraphs(tmp_path, page) == [
        "하나 이어짐",
        "둘",
        "안쪽",
        "셋",
        "넷",
        "넷의 둘째 문단",
        "한 일",
    ]


def test_code_in_an_item_goes(tmp_path):
    page = "1. 하나\n\n   ```\n   x\n   ```\n\n2. 둘\n\n        y\n\n   끝\n"
    assert paragraphs(tmp_path, page) == ["하나", "둘", "끝"]


def test_a_year_at_a_lines_beginning_is_no_item(tmp_path):
    assert paragraphs(tmp_path, "그것은\n7. 4 공동 성명이다.\n") == ["그것은 7. 4 공동 성명이다."]
    assert paragraphs(tmp_path, "2019. 3. 1. 시행.\n") == ["2019. 3. 1. 시행."]


def test_quoted_text_stays(tmp_path):
    page = "글.\n> 따온 글은\n> 이어진다.\n>\n> > 안쪽.\n\n> [!NOTE]\n> 참고할 것.\n"
    assert paragraphs(tmp_path, page) == ["글.", "따온 글은 이어진다.", "안쪽.", "참고할 것."]


def test_cells_of_tables_can_be_kept(tmp_path):
    page = "| 가 | **나** |\n|---|---|\n| 1 | 2 |\n"
    assert paragraphs(tmp_path, page, tables=True) == ["가", "나", "1", "2"]


def test_footnotes_are_paragraphs_without_marks(tmp_path):
    assert paragraphs(tmp_path, "글[^1]이다.\n\n[^1]: 각주 글.\n") == ["글이다.", "각주 글."]


def test_links_that_the_page_defines_lose_their_brackets(tmp_path):
    page = "[책]과 [다른] 것과 [셋][책].\n\n[책]: https://example.com\n"
    assert paragraphs(tmp_path, page) == ["책과 [다른] 것과 셋."]


def test_a_comment_inside_a_line_goes(tmp_path):
    assert paragraphs(tmp_path, "앞 <!-- a -->뒤 <!-- b\n c --> 끝\n") == ["앞 뒤 끝"]
    assert paragraphs(tmp_path, "`<!--` 는 주석을 연다.\n\n글.\n") == [
        "<!-- 는 주석을 연다.",
        "글.",
    ]


@pytest.mark.parametrize("opening", ["<!-- ", "<table>\n", "$$\n", "{% highlight x %}\n", "\\[\n"])
def test_what_is_not_closed_does_not_take_the_rest_with_it(tmp_path, opening):
    assert "마지막 글." in paragraphs(tmp_path, f"{opening}가\n\n마지막 글.\n")


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("[글](https://example.com/서울_(도시) '제목')이다", "글이다"),
        (
            "**굵게**와 *기울임*과 ***둘***과 __밑줄__과 ~~지움~~",
            "굵게와 기울임과 둘과 밑줄과 지움",
        ),
        ("**무상관(uncorrelated)**이라는 **안의 *것*도**", "무상관(uncorrelated)이라는 안의 것도"),
        ("**라벨 **을 누른다", "라벨 을 누른다"),
        ("snake_case_name과 2 * 3 * 4", "snake_case_name과 2 * 3 * 4"),
        ("`**kwargs`와 ``a`b``와 [`Vec<T>`](x)", "**kwargs와 a`b와 Vec<T>"),
        (r"\*별\*과 \_밑\_과 \[괄호\]", "*별*과 _밑_과 [괄호]"),
        ("<a name='x'></a>글 <b>굵게</b><br>다음", "글 굵게\n다음"),
        ("<https://example.com> <me@example.com>", "https://example.com me@example.com"),
        ("a &amp; b &lt;", "a & b <"),
        ("1 < 2이고 3 > 2", "1 < 2이고 3 > 2"),
        ("변수 $x_i$는 $5와 $6 사이", "변수 x_i는 $5와 $6 사이"),
        (":numref:`fig_x`에 :keyword:`while` 문", "에 while 문"),
        ("{{ site.name }}의 글{: .note}", "의 글"),
        ("[**보일 글**] (**또 보일 글**)", "보일 글 또 보일 글"),
        ("배열 a[0]과 [괄호 글]", "배열 a[0]과 [괄호 글]"),
        ("글[!INCLUDE [이름](x.md)] 끝", "글 끝"),
    ],
)
def test_inline_markup(markup, text):
    assert InlineCleaner(formulas=True).clean(markup) == text


def test_formulas_inside_a_sentence_can_go():
    assert InlineCleaner(formulas=False).clean("변수 $x_i$는 수") == "변수 는 수"


_PIECES = ["*", "**", "_", "`", "~~", "[", "](", "![a](", "<", "<a", "<!--", "$", "$$", "\\(", "{{"]
_PIECES += ["{%", "&", ":a:`", "[!A", "(**", "|", "\\", " ", "가"]
_LINES = ["```\n", "$$\n", "\\[\n", "<!--\n", "<table>\n", "> ", "- ", "|-|\n", "#", "1. ", "\n"]
_LINES += ["<!---->", "{% raw\n", "\\begin{a}\n", "    a\n", "-->\n<!--"]


@pytest.mark.parametrize("piece", [*_PIECES, *_LINES])
def test_a_page_of_any_kind_takes_time_by_its_size(tmp_path, piece):
    start = time.monotonic()
    for text in (piece, piece + "a", piece + " "):
        path = tmp_path / "page.md"
        path.write_text(text * (300_000 // len(text)))
        list(MarkdownReader().read(InputFile(str(path))))
    assert time.monotonic() - start < 10


def test_a_statute_is_read_article_by_article(real_corpus):
    folder = real_corpus / "law" / "statutes_md" / "civil" / "main" / "part-1" / "chapter-2"
    path = folder / "section-1" / "article-10.md"
    (document,) = MarkdownReader(headings=False).read(InputFile(str(path)))
    assert document.title == "제10조 피성년후견인의 행위와 취소"
    assert document.paragraphs[0] == "피성년후견인의 법률행위는 취소할 수 있다."
    assert len(document.paragraphs) == 4


def test_a_book_is_read_without_code(real_corpus):
    folder = real_corpus / "docs" / "rust_book_md" / "second-edition" / "src"
    path = folder / "ch04-01-what-is-ownership.md"
    (document,) = MarkdownReader().read(InputFile(str(path)))
    text = "\n".join(document.paragraphs)
    assert document.title == "소유권이 뭔가요?"
    assert "언어의 나머지 부분에 깊은 영향을 끼칩니다." in text
    assert "let s1 = String::from" not in text and "```" not in text
