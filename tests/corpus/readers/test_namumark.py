"""Namumark made plain paragraphs."""

import time

import pytest

from deeq_bert.corpus.readers.namumark import strip_namumark


def strip(text: str) -> str:
    return "\n\n".join(strip_namumark(text))


def test_links_leave_their_labels():
    text = "[[서울]]의 [[지하철(서울)|지하철]]은 [[백제#s-2.1|옛]] [[백제#s-3]] 땅을 지난다."
    assert strip(text) == "서울의 지하철은 옛 백제 땅을 지난다."


def test_external_links_leave_text_and_marks_of_sources_go():
    text = "[[https://a.kr|누리집]]에 있다.[[https://b.kr|#]][[https://b.kr|[1]]]"
    assert strip(f"{text} [[https://c.kr]] 참고") == "누리집에 있다. https://c.kr 참고"


def test_a_title_with_a_colon_stays():
    assert strip("[[Re:제로부터 시작하는 이세계 생활]]") == "Re:제로부터 시작하는 이세계 생활"


@pytest.mark.parametrize(
    "mark",
    [
        *("[[파일:가.jpg|width=100%]]", "[[분류:서울]]", "[include(틀:다른 뜻, a=b(c))]", "[목차]"),
        *("[Include(틀:상위 문서)]", "[tableofcontents]", "[각주]", "[youtube(abc, width=1)]"),
        *("[clearfix]", "[anchor(a)]", "[math(x^2)]", "[* 각주]", "[*A [[링크]]와 [* 속 각주]]"),
        *("~~취소선~~", "--취소선--", "~~1~2개 취소~~", "{{{#!html <b>글</b>}}}"),
    ],
)
def test_what_is_not_text_goes(mark):
    assert strip(f"앞{mark} 뒤") == "앞 뒤"


def test_square_brackets_of_text_stay():
    assert (
        strip("배열 a[b[0]]과 [주의]는 [* 각주 [속]]남는다.") == "배열 a[b[0]]과 [주의]는 남는다."
    )


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("{{{+1 큰 글}}}", "큰 글"),
        ("{{{-2 '''작은''' 글}}}", "작은 글"),
        ("{{{#red 붉은 글}}}", "붉은 글"),
        ("{{{#fff,#1F2023 {{{+2 흰 글}}}}}}", "흰 글"),
        ("{{{[[링크]] '''굵게'''}}}", "[[링크]] '''굵게'''"),
        ("{{{#include <a>}}}", "#include <a>"),
        ('{{{#!wiki style="color:red" 글}}}', "글"),
        ("[ruby(漢字, ruby=한자)]", "漢字"),
    ],
)
def test_braces_leave_their_text(text, plain):
    assert strip(f"앞 {text} 뒤") == f"앞 {plain} 뒤"


def test_blocks_leave_their_text_without_their_heads():
    folded = "앞\n{{{#!folding [ 펼치기 ]\n * 하나\n * '''둘'''\n}}}\n뒤"
    assert strip(folded) == "앞\n\n하나\n둘\n\n뒤"
    styled = '{{{#!wiki style="margin: 1px"\n글 {{{#!folding 접기\n속\n}}}\n}}}'
    assert strip(styled) == "글\n속"


def test_code_goes():
    assert strip("앞\n{{{#!syntax python\nprint('[[a]]')\n}}}\n{{{\nls\n}}}\n뒤") == "앞\n뒤"


def test_marks_of_emphasis_go():
    text = "'''굵게''' ''기울여'' __밑줄__ 2^^10^^ H,,2,,O ''''인용''''"
    assert strip(text) == "굵게 기울여 밑줄 210 H2O '인용'"
    assert strip("파이썬의 __init__ 함수, 1--2") == "파이썬의 __init__ 함수, 1--2"


def test_a_backslash_keeps_the_next_mark():
    assert strip(r"C\#과 \[\[링크\]\], \'\'\'글\'\'\', \\, 어느\-\- 것 \_\_init\_\_") == (
        r"C#과 [[링크]], '''글''', \, 어느-- 것 __init__"
    )


def test_line_ends_stay_and_blank_lines_separate_paragraphs():
    text = "첫 줄\n둘째[br]셋째\n[[파일:가.png]]\n넷째\n\n\n새 문단"
    assert strip_namumark(text) == ["첫 줄\n둘째\n셋째\n넷째", "새 문단"]


def test_lists_quotes_rules_and_comments():
    text = " * 하나\n  1. 둘\n  a.#5 셋\n   - 넷\n들여쓰기\n> 인용\n>> 속 인용\n----\n##주석\n끝"
    assert strip(text) == "하나\n둘\n셋\n넷\n들여쓰기\n인용\n속 인용\n끝"


def test_tables_go_with_all_in_them():
    text = (
        "앞\n||<-2><#fff> '''머리''' ||\n|| 칸 || 여러\n줄 칸 ||\n"
        "|제목|칸 || 칸 ||\n||{{{#!folding 접기\n||속||표||\n글\n\n글\n}}}||\n뒤"
    )
    assert strip(text) == "앞\n\n뒤"


def test_a_table_in_a_block_ends_with_it():
    text = "{{{#!wiki\n||칸\n글\n}}}\n뒤 문장이다.\n||칸||\n끝"
    assert strip(text) == "칸\n글\n\n뒤 문장이다.\n\n끝"


def test_a_row_that_does_not_end_stays():
    assert strip("앞\n|| 칸\n\n뒤 || 끝") == "앞\n칸\n\n뒤 || 끝"


def test_rows_after_braces_that_do_not_end_go():
    assert strip("앞\n||{{{+1 칸||\n뒤\n||칸||\n끝") == "앞\n\n뒤\n\n끝"


def test_headings_are_left_out_or_paragraphs():
    text = "[목차]\n== 개요 ==\n글.\n===# '''접힌 것''' #===\n또 글.\n= 1 + 1\n"
    assert strip_namumark(text) == ["글.", "또 글.\n= 1 + 1"]
    assert strip_namumark(text, headings=True) == ["개요", "글.", "접힌 것", "또 글.\n= 1 + 1"]


@pytest.mark.parametrize("title", ["각주", "둘러보기", "관련 문서", "외부 링크"])
def test_sections_of_links_go_with_their_subsections(title):
    text = f"== 개요 ==\n글.\n== {title} ==\n * [[가]]\n=== 나 ===\n * [[다]]\n== 기타 ==\n또 글."
    assert strip_namumark(text) == ["글.", "또 글."]


def test_unbalanced_markup_does_not_swallow_the_page():
    text = "앞 {{{+1 글\n\n[[링크 뒤\n\n[* 각주 뒤\n}}}\n]]"
    assert strip_namumark(text) == ["앞 글", "링크 뒤", "[* 각주 뒤"]


def test_marks_of_our_own_in_the_text_do_no_harm():
    assert strip("가\0나\1다\ufdd0") == "가나다"


@pytest.mark.parametrize(
    "unit",
    [
        *("a", " ", "=", "'", "{", "[", "~", "-", "_", "^", ",", "|", "\\", ">", "\n", "\n=", "- "),
        *("{{{", "}}}", "[[", "[*", "[* [", "\n||", "||\n", "\n|a", "~~", "~~a", "--a", "a__"),
        *("[a(", "[br]", "{{{+1 ", "{{{#!wiki ", "\n *", "^^a", ",,a", "\\[", "[[파일:", "\n|a|"),
    ],
)
def test_a_megabyte_of_anything_takes_a_moment(unit):
    text = unit * (1_000_000 // len(unit))
    start = time.process_time()
    strip_namumark(text)
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    "marks", [("{{{+1 ", "}}}"), ("[*", "]"), ("[[a|", "]]"), ("\n||", "||\n")]
)
def test_deep_nesting_takes_a_moment(marks):
    opening, closing = marks
    text = opening * 100_000 + "가" * 100_000 + closing * 100_000
    start = time.process_time()
    strip_namumark(text)
    assert time.process_time() - start < 5
