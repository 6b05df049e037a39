"""Wikitext made plain paragraphs."""

import time

import pytest

from deeq_bert.corpus.readers.wikitext import strip_wikitext


def strip(text: str) -> str:
    return "\n\n".join(strip_wikitext(text))


def test_links_leave_their_labels():
    assert (
        strip("[[서울]]은 [[대한민국|한국]]의 [[수도 (도시)|수도]]다.") == "서울은 한국의 수도다."
    )
    assert strip("[[:분류:음악]]을 보라. [[위키백과:도움말|도움말]]") == "분류:음악을 보라. 도움말"


@pytest.mark.parametrize(
    "link",
    [
        "[[파일:가.jpg|섬네일|오른쪽|200px|그림 설명]]",
        "[[파일:가.jpg|섬네일|[[서울]]의 [[사진|모습]], [http://a.kr 출처]]]",
        "[[파일:가.jpg|섬네일|{{lang|en|City}} {{출처}}]]",
        "[[File:a.png]]",
        "[[그림:나.png|섬네일]]",
        "[[ 분류 : 대한민국의 도시|서울]]",
        "[[Category:Seoul]]",
        "[[en:Seoul]]",
        "[[zh-min-nan:Seoul]]",
    ],
)
def test_images_categories_and_other_languages_go(link):
    assert strip(f"앞 문장이다.\n\n{link}\n\n뒤 문장이다.") == "앞 문장이다.\n\n뒤 문장이다."


def test_a_title_that_begins_like_a_language_stays():
    assert strip("[[Re:제로부터 시작하는 이세계 생활]]") == "Re:제로부터 시작하는 이세계 생활"


def test_external_links_leave_their_text():
    assert strip("[http://example.com/가?나 공식 누리집]에 있다.[https://example.com]") == (
        "공식 누리집에 있다."
    )


def test_brackets_that_are_no_links_stay():
    text = "배열은 a[b[0]]과 [1, 2]로, 사전은 {1: {2: 3}}으로 쓴다."
    assert strip(text) == text


def test_templates_go_with_all_in_them():
    infobox = "{{도시 정보\n| 이름 = 서울\n| 언어 = {{lang|en|Seoul}} [[대한민국]]\n}}\n"
    assert strip(infobox + "서울은 도시다.{{출처|날짜=2020-01-01}}") == "서울은 도시다."


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{lang|ja|昭和}}", "昭和"),
        ("{{llang|en|[[Seoul]]}}", "Seoul"),
        ("{{한자|首爾}}", "首爾"),
        ("{{윗주|글|설명}}", "글"),
        ("{{임시링크|서울 지하철|lang=en|Seoul Subway}}", "서울 지하철"),
        ("{{색|red|붉은 {{작게|글}}}}", "붉은 글"),
        ("{{formatnum:12345}}", "12345"),
        ("{{convert|10|km|mi}}", "10 km"),
        ("{{lang|2=a=b}}", "a=b"),
    ],
)
def test_templates_that_hold_text_leave_it(template, text):
    assert strip(f"이것은 {template}이다.") == f"이것은 {text}이다."


def test_a_quotation_is_a_paragraph_of_its_own():
    text = "그가 말했다.\n{{인용문|나는 생각한다.|데카르트}}\n모두 들었다."
    assert strip_wikitext(text) == ["그가 말했다.", "나는 생각한다.", "모두 들었다."]


@pytest.mark.parametrize(
    ("text", "tidy"),
    [
        ("서울({{IPA|sʌul}}, {{듣기|a.ogg}})은 도시다.", "서울은 도시다."),
        ("서울({{IPA|sʌul}}, 首爾)은 도시다.", "서울(首爾)은 도시다."),
        ("서울(首爾, {{IPA|sʌul}})은 도시다.", "서울(首爾)은 도시다."),
        ("가, {{x}}, 나 {{x}} 다 {{x}}.", "가, 나 다."),
        ("함수 f()와 빈 괄호 ( )는 남는다.", "함수 f()와 빈 괄호 ( )는 남는다."),
    ],
)
def test_what_a_template_leaves_is_tidied(text, tidy):
    assert strip(text) == tidy


def test_references_and_comments_go():
    assert strip('말<ref>책, 12쪽</ref>이다.<ref name="a" /> 끝<!-- 숨은 글 -->.') == "말이다. 끝."
    assert strip('가.<ref name="책">{{책 인용|제목=나}} <br/></ref> 다.<REF>라</Ref>') == "가. 다."


def test_a_comment_on_a_line_of_its_own_does_not_end_a_paragraph():
    assert strip("첫 줄과\n<!-- 주석 -->\n둘째 줄") == "첫 줄과 둘째 줄"


@pytest.mark.parametrize("name", ["math", "gallery", "source", "syntaxhighlight", "timeline"])
def test_what_is_not_text_goes(name):
    assert strip(f'앞 <{name} lang="x">\n{{{{ [[ x^2\n</{name}> 뒤') == "앞 뒤"


def test_nowiki_text_stays_as_it_is_written():
    assert strip("<nowiki>'''굵게''' [[링크]] {{틀}} &amp; == </nowiki>") == (
        "'''굵게''' [[링크]] {{틀}} &amp; =="
    )


def test_other_tags_leave_their_text():
    assert strip('물은 H<sub>2</sub>O, <span style="color:red">붉다</span>.') == "물은 H2O, 붉다."
    assert strip_wikitext("첫째<br />둘째<div>셋째</div>넷째") == ["첫째\n둘째", "셋째", "넷째"]


def test_titles_in_angle_brackets_are_no_tags():
    text = "영화 <기생충>과 노래 <I can only imagine>, 1 < 2, a<b"
    assert strip(text) == text


def test_bold_and_italic_marks_go():
    assert strip("'''서울'''은 ''큰'' '''''도시'''''다. It's ''''인용'''' 끝") == (
        "서울은 큰 도시다. It's '인용' 끝"
    )


def test_tables_go_with_tables_in_them():
    text = '앞\n{| class="wikitable"\n|-\n! 해 !! 값\n|-\n|\n{|\n| 안\n|}\n| 밖\n|}\n뒤'
    assert strip(text) == "앞\n\n뒤"
    assert strip("앞\n<table><tr><td>칸</td></tr></table>\n뒤") == "앞\n\n뒤"


def test_a_table_that_does_not_end_costs_only_its_rows():
    assert strip("앞\n{| class=x\n|-\n| 칸\n! 머리 !! 둘\n\n뒤 문장.") == "앞\n\n뒤 문장."


def test_line_ends_join_and_blank_lines_separate():
    assert strip_wikitext("첫 줄\n둘째 줄\n\n\n새 문단") == ["첫 줄 둘째 줄", "새 문단"]


def test_the_lines_of_a_list_are_a_paragraph():
    text = "목록은\n* 하나\n** 둘\n# 셋\n:; 넷 : 다섯\n*\n같다."
    assert strip_wikitext(text) == ["목록은", "하나\n둘\n셋\n넷 : 다섯", "같다."]


def test_headings_are_left_out_or_paragraphs():
    text = "앞\n== '''머리''' ==\n뒤\n=== [[작은 것|작은 머리]]===\n끝"
    assert strip_wikitext(text) == ["앞", "뒤", "끝"]
    assert strip_wikitext(text, headings=True) == ["앞", "머리", "뒤", "작은 머리", "끝"]


@pytest.mark.parametrize("title", ["각주", "각 주", "같이 보기", "외부 링크", "참고문헌", "주해"])
def test_sections_of_references_go_with_their_subsections(title):
    text = f"글.\n=={title} ==\n* [[목록]]\n=== 책 ===\n* 책\n== 다음 ==\n다시 글."
    assert strip(text) == "글.\n\n다시 글."


def test_sections_of_references_in_a_row_go():
    assert strip("글.\n== 각주 ==\n가\n== 외부 링크 ==\n나\n") == "글."
    assert strip("글.\n=== 각주 ===\n가\n== 다음 ==\n나") == "글.\n\n나"


def test_an_equation_is_no_heading():
    assert strip("식은\n=가 = 나\n이다") == "식은 =가 = 나 이다"


def test_switches_rules_and_variants():
    assert strip("__TOC__\n글__목차없음__\n----\n-{한}-과 -{zh-hans:体; zh-hant:體}-") == (
        "글\n\n한과 体"
    )
    assert strip("파이썬의 __init__ 함수") == "파이썬의 __init__ 함수"


def test_character_references_are_decoded_once():
    assert strip("10&nbsp;km &lt;ref&gt; &#44032;&#xAC01; 5&times;3") == "10 km <ref> 가각 5×3"
    assert strip("AT&T와 ?a=1&copy=2 &amp;lt;") == "AT&T와 ?a=1&copy=2 &lt;"


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("앞 {{깨진 틀 뒤.\n\n둘째 {{틀}}문단.", "앞 깨진 틀 뒤.\n\n둘째 문단."),
        ("앞 [[깨진 링크 뒤. [[링크]]", "앞 깨진 링크 뒤. 링크"),
        ("앞\n}}\n뒤", "앞 뒤"),
        ("앞 <ref>닫지 않은 각주.\n\n둘째 문단.", "앞 닫지 않은 각주.\n\n둘째 문단."),
        ("앞 <math>닫지 않은 식.\n\n둘째 <math>문단.", "앞 닫지 않은 식.\n\n둘째 문단."),
        ("앞\n|}\n뒤", "앞 뒤"),
    ],
)
def test_unbalanced_markup_does_not_swallow_the_page(text, rest):
    assert strip(text) == rest


def test_marks_of_our_own_in_the_text_do_no_harm():
    assert strip("가\0나\1다(\0)") == "가나다()"


@pytest.mark.parametrize(
    "unit",
    [
        *("a", " ", "=", "'", "{", "[", "<", "&", "|", "-", "_", "(", "\n", "\n=", "= ", "\n*"),
        *("{{", "[[", "{{{", "\n{|", "<ref>", "<!--", "<a ", "[http://a ", "{{lang|a|", "({{a}}"),
        *("{{a}}", "]]", "}}", "\n|}", "[[파일:", "-{", "&#", ", ", "<br>", "<table>", "{{a}},"),
    ],
)
def test_a_megabyte_of_anything_takes_a_moment(unit):
    text = unit * (1_000_000 // len(unit))
    start = time.process_time()
    strip_wikitext(text)
    assert time.process_time() - start < 5


@pytest.mark.parametrize("marks", [("{{lang|a|", "}}"), ("[[a|", "]]"), ("\n{|", "\n|}"), "()"])
def test_deep_nesting_takes_a_moment(marks):
    opening, closing = marks
    text = opening * 100_000 + "가" * 100_000 + "{{a}}" + closing * 100_000
    start = time.process_time()
    strip_wikitext(text)
    assert time.process_time() - start < 5
