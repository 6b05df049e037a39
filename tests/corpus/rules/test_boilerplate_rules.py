"""Rules on by-lines, credits, notices, buttons and list marks: what each changes and leaves."""

import time

import pytest

from deeq_bert.corpus.rules import boilerplate
from deeq_bert.corpus.rules.base import uncommon_characters


def apply(rule, text: str) -> str:
    return rule(text, uncommon_characters(text))


def assert_leaves(rule, text: str) -> None:
    assert apply(rule, text) is text


@pytest.mark.parametrize(
    "line",
    [
        "홍길동 기자",
        "홍길동기자",
        "홍길동 기자 hong@news.example.com",
        "홍길동 기자 [이메일]",
        "[이메일] 홍길동 기자",
        "홍길동·김철수 기자",
        "서울=홍길동 기자",
        "글·사진=홍길동 기자 (hong@news.example.com)",
        "디지털뉴스팀 홍길동 기자",
        "홍길동 의학전문기자",
        "워싱턴=홍길동 특파원",
        "남궁민수 기자",
        "KBS 뉴스 홍길동입니다.",
    ],
)
def test_by_lines_go(line):
    by_lines = boilerplate.by_lines()
    assert apply(by_lines, line) == ""
    assert apply(by_lines, f"비가 왔다. {line}") == "비가 왔다."
    assert apply(by_lines, f"비가 왔다./{line}\n눈이 왔다.") == "비가 왔다.\n눈이 왔다."


@pytest.mark.parametrize(
    "text, expected",
    [
        ("[서울=홍길동 기자] 비가 왔다.", "비가 왔다."),
        ("(서울=홍길동 기자) 비가 왔다.", "비가 왔다."),
        ("홍길동 기자 = 비가 왔다.", "비가 왔다."),
        ("비가 왔다 홍길동 기자 hong@news.example.com", "비가 왔다"),
        ("“비가 왔다.” 홍길동 기자", "“비가 왔다.”"),
        ("비가 왔다.(홍길동 기자)", "비가 왔다."),
        ("제목 [가나경제=박철수 기자]서울의 한 업소", "제목 서울의 한 업소"),
        ("제목 [가나경제=*** 기자] 서울", "제목 서울"),
    ],
)
def test_by_lines_go_from_lines_with_more(text, expected):
    assert apply(boilerplate.by_lines(), text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "그는 16일 국회에서 기자회견을 열었다.",
        "서울에서 홍길동 기자회견",
        "그는 기자였다.",
        "그는 전직 기자 출신이다",
        "그는 웃었다. 전직 기자",
        "그는 웃었다. 연예부 기자",
        "홍길동 기자는 웃었다.",
        "이 기사를 쓴 홍길동 기자",
        "방송국 기자 홍길동 씨가 왔다.",
        "이겼다. 연기자",
        "비가 왔다. 체육특기자",
        "역시 KBS 뉴스입니다.",
        "한겨레 기자",
    ],
)
def test_prose_on_reporters_stays(text):
    assert_leaves(boilerplate.by_lines(), text)


@pytest.mark.parametrize(
    "head",
    [
        "(서울=연합뉴스) 홍길동 기자 = ",
        "(서울=연합뉴스) ",
        "[서울=뉴시스] ",
        "[서울=뉴시스]홍길동 기자 = ",
        "【서울=뉴시스】홍길동 기자 = ",
        "(서울=뉴스1) 홍길동 기자 = ",
        "(강원=뉴스1) 홍길동 기자,김철수 기자 = ",
        "(로스앤젤레스=연합뉴스) 홍길동 특파원 = ",
        "(파주=가나신문) ",
        "(서울=가나다) 홍길동 기자 = ",
        "■ (서울=연합뉴스) ",
    ],
)
def test_wire_heads_go(head):
    assert apply(boilerplate.wire_heads(), f"{head}비가 왔다.") == "비가 왔다."


def test_wire_heads_of_agencies_go_from_within_an_article():
    text = "교수(울산=연합뉴스) 연구진은 말했다. (서울=뉴스1) 홍길동 기자 = 비가 왔다."
    assert apply(boilerplate.wire_heads(), text) == "교수 연구진은 말했다. 비가 왔다."


@pytest.mark.parametrize(
    "text",
    [
        "(L=8.6㎞) 하천을 고쳤다.",
        "제방(L=30m, h=20m)이 약해졌다.",
        "(x=3)이다",
        "화인(和人=Fine)이란 이름",
        "연구진은 (사과=과일)을 보였다.",
        "배우 이름(=예명)을 썼다.",
        "그 신문은 연합뉴스(서울) 기사를 옮겼다.",
    ],
)
def test_other_equations_stay(text):
    assert_leaves(boilerplate.wire_heads(), text)


@pytest.mark.parametrize(
    "credit",
    [
        "사진=연합뉴스",
        "[사진 제공=나주시]",
        "(사진 제공-나주시)",
        "(사진=연합뉴스)",
        "/사진=홍길동 기자",
        "ⓒ AFP=뉴스1",
        "© 가나일보",
        "[나주시 제공=연합뉴스]",
        "[나주시 제공]",
        "[자료사진]",
        "(사진: 가나신문)",
    ],
)
def test_photo_credits_go(credit):
    photo_credits = boilerplate.photo_credits()
    assert apply(photo_credits, credit) == ""
    assert apply(photo_credits, f"비가 왔다. {credit}") == "비가 왔다."


def test_photo_credits_in_brackets_go_from_within_a_line():
    text = "밝혔다. <사진=총리실 누리집 캡처> 또한 비가 왔다."
    assert apply(boilerplate.photo_credits(), text) == "밝혔다. 또한 비가 왔다."


def test_the_giver_behind_a_slash_goes():
    text = "기념촬영을 하고 있다. /나주시 제공\n모습(오른쪽)/가나재단 제공"
    assert apply(boilerplate.photo_credits(), text) == "기념촬영을 하고 있다.\n모습(오른쪽)"


@pytest.mark.parametrize(
    "text",
    [
        "ⓒⓞⓞⓛ",
        "사진 제공을 거부했다.",
        "(사진 제공 등 도움을 준 사람)",
        "사진 : 이게 뭐야?",
        "사진: 그는 이렇게 찍었다. 그리고 떠났다.",
        "사진/영상 전공 학생들이 모였다.",
        "[사진: 시장이 농산물을 살펴보고 있다.]",
        "사진: 시청의 눈 치우는 모습",
        "숙박/조식 제공",
        "건강 정보 제공",
        "<사진관 이야기>를 보았다.",
    ],
)
def test_prose_on_pictures_stays(text):
    assert_leaves(boilerplate.photo_credits(), text)


@pytest.mark.parametrize(
    "notice",
    [
        "저작권자 ⓒ 가나뉴스, 무단 전재 및 재배포 금지",
        "<저작권자(c) 가나뉴스, 무단 전재-재배포 금지>",
        "[ⓒ 가나경제 & gana.example.com, 무단전재 및 재배포 금지]",
        "ⓒ 가나뉴스 무단전재 및 재배포를 금합니다.",
        "※ 저작권자 ⓒ 가나뉴스. 무단 전재-재배포 금지",
        "무단 전재 및 재배포 금지",
        "무단전재 및 재배포금지",
        "Copyright ⓒ 가나뉴스. All rights reserved.",
        "Copyright 2020 Gana News Inc. All Rights Reserved",
        "All rights reserved.",
    ],
)
def test_copyright_lines_go(notice):
    copyright_lines = boilerplate.copyright_lines()
    assert apply(copyright_lines, notice) == ""
    assert apply(copyright_lines, f"비가 왔다. {notice}") == "비가 왔다."


def test_copyright_in_brackets_goes_from_within_a_line():
    text = "규정이 있다. <저작권자 ⓒ 가나뉴스> 하지만 비가 왔다."
    assert apply(boilerplate.copyright_lines(), text) == "규정이 있다. 하지만 비가 왔다."


@pytest.mark.parametrize(
    "text",
    [
        "이 기사의 무단 전재 및 재배포를 금지합니다.",
        "저작권자의 허락 없이 무단 복제를 금지한다.",
        "무단 전재 및 재배포 금지 규정이 있다.",
        "법이 (무단 복제를 금지하는) 있다.",
        "저작권자(c)가 될 수 있다",
        "(c) 저작물의 무단 복제를 금지한다.",
        "저작권자들이 보면 열받겠군",
        "그는 copyright라는 말을 썼다.",
    ],
)
def test_prose_on_copyright_stays(text):
    assert_leaves(boilerplate.copyright_lines(), text)


@pytest.mark.parametrize(
    "line",
    [
        "로그인",
        "공유하기",
        "댓글 0",
        "좋아요 1,234",
        "목록",
        "인쇄 목록",
        "이전글 | 다음글",
        "글자확대 글자축소 인쇄",
        "[관련기사]",
        "▶ 관련기사",
        "맨 위로",
        "입력 2024.01.02 10:30 | 수정 2024.01.03 11:00",
        "기사입력 2020-01-02 오후 3:20",
    ],
)
def test_site_words_go_with_their_line(line):
    site_words = boilerplate.site_words()
    assert apply(site_words, line) == ""
    assert apply(site_words, f"비가 왔다.\n{line}\n눈이 왔다.") == "비가 왔다.\n\n눈이 왔다."


@pytest.mark.parametrize(
    "text",
    [
        "로그인 화면을 연다.",
        "관련기사를 읽었다.",
        "목록 순서가 다르다",
        "댓글 0개라니",
        "입력 오류",
        "좋아요",
        "추천",
        "다음",
        "댓글",
    ],
)
def test_ordinary_lines_with_site_words_stay(text):
    assert_leaves(boilerplate.site_words(), text)


def test_site_words_inside_lines_go_on_demand():
    text = "홈페이지에 로그인 하세요 공유하기\n로그인하세요"
    assert_leaves(boilerplate.site_words(), text)
    expected = "홈페이지에 하세요 \n로그인하세요"
    assert apply(boilerplate.site_words(inside=True), text) == expected


@pytest.mark.parametrize("mark", [*"▶■△◆●○※·", "- ", "* ", "▶▶ "])
def test_list_marks_go_at_the_start_of_a_line(mark):
    assert apply(boilerplate.list_marks(), f"{mark}비\n{mark}눈") == "비\n눈"


@pytest.mark.parametrize(
    "text, expected",
    [
        ("- 나주시, 부제 -", "나주시, 부제"),
        ("※부제※", "부제"),
        ("-비가 온다", "비가 온다"),
        ("■ ※ 비", "비"),
        ("가\n▶\n나", "가\n\n나"),
    ],
)
def test_list_marks_in_other_forms(text, expected):
    assert apply(boilerplate.list_marks(), text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "비 △눈 △우박",
        "△3.2% 감소",
        "○○시는 말했다",
        "**님은",
        "*사진",
        "1. 비",
        "-5도",
        "-_-",
        "-ㅅ-",
        "-----",
        "--일단 보류--",
        "-주의- 문을 열지 마세요",
        "* * * 별",
        "··· 그래",
        "★★★★ 최고",
        "가-나",
    ],
)
def test_other_marks_stay(text):
    assert_leaves(boilerplate.list_marks(), text)


@pytest.mark.parametrize("listed", boilerplate.RULES, ids=lambda listed: listed.name)
def test_rules_keep_the_number_of_lines_and_do_not_look_across_them(listed):
    lines = [
        "홍길동",
        "기자",
        "(서울=",
        "연합뉴스)",
        "사진=",
        "나주시",
        "저작권자",
        "ⓒ",
        "무단",
        "전재 금지",
    ]
    text = "\n".join(["", *lines, ""])
    changed = apply(listed.make(), text)
    assert changed.count("\n") == text.count("\n")
    assert changed.split("\n")[1:3] == ["홍길동", "기자"]


@pytest.mark.parametrize("listed", boilerplate.RULES, ids=lambda listed: listed.name)
def test_plain_text_comes_back_as_the_same_string(listed):
    text = "비가 왔다.\n눈도 왔다."
    assert apply(listed.make(), text) is text


LONG = ["가", ".", " ", "=", "[", "(", "-", "■", "ⓒ.", "/ ", "다 ", "@a", "[김", "(가", "(=", "■ "]
LONG += [
    "기자",
    "기자/",
    "기자 a",
    "사진=",
    "제공/",
    "무단 ",
    "ⓒ무",
    "저작권자ⓒ",
    "=)",
    "목록 ",
    "\n-",
]


@pytest.mark.parametrize("listed", boilerplate.RULES, ids=lambda listed: listed.name)
@pytest.mark.parametrize("piece", LONG)
def test_a_long_line_takes_no_more_than_its_length(listed, piece):
    text = piece * (1_000_000 // len(piece))
    rule = listed.make()
    begin = time.process_time()
    apply(rule, text)
    assert time.process_time() - begin < 5
