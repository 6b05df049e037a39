"""Rules on characters: what each changes, and what it leaves as it is."""

import time
import unicodedata

import pytest

from deeq_bert.corpus.rules import characters
from deeq_bert.corpus.rules.base import uncommon_characters
from deeq_bert.tokenizers.errors import InputError


def apply(rule, text: str) -> str:
    return rule(text, uncommon_characters(text))


def assert_leaves(rule, text: str) -> None:
    assert rule(text, uncommon_characters(text)) is text


def all_rules() -> list:
    made = [listed.make() for listed in characters.RULES]
    made.append(characters.nfc(full_width_ascii=True))
    made += [characters.emoji(action="drop"), characters.emoji(action="mask")]
    made.append(characters.hanja_in_brackets(mixed=True))
    made.append(characters.lone_hanja(action="map"))
    return made


@pytest.mark.parametrize(
    "text, expected",
    [
        ("6%+&alpha; 방안", "6%+α 방안"),
        ("&lt;기생충&gt;", "<기생충>"),
        ("&#44032;&#xB098;", "가나"),
        ("&amp;lt;제목&amp;gt;", "<제목>"),
        ("A &amp; B", "A & B"),
        ("톰&amp;amp;제리", "톰&제리"),
        ("&amp;모름;", "&모름;"),
        ("&amp;unknown;", "&unknown;"),
        ("Time&shy;Traveller", "TimeTraveller"),
        ("&#150;", "–"),
    ],
)
def test_entities_become_characters(text, expected):
    assert apply(characters.html_entities(), text) == expected


@pytest.mark.parametrize(
    "text", ["AT&T", "R&D;", "Q&A; 시간", "&copy 2020", "&notit", "a&b;c", "&;"]
)
def test_what_only_looks_like_an_entity_stays(text):
    assert apply(characters.html_entities(), text) == text


@pytest.mark.parametrize("text", ["가&#10;나", "가&#13;나", "가&NewLine;나", "가&amp;#x2028;나"])
def test_an_entity_makes_no_line_break(text):
    assert apply(characters.html_entities(), text) == "가 나"


@pytest.mark.parametrize(
    "text, expected",
    [
        ("가\x00나\x08다", "가나다"),
        ("좋\ufffd아요", "좋아요"),
        ("가\ud83d나", "가나"),
        ("학교수\uf09e학생수", "학교수 학생수"),
        ("첫\x0b둘\x0c셋\r", "첫 둘 셋 "),
        ("가\x92나", "가나"),
    ],
)
def test_control_characters_go(text, expected):
    assert apply(characters.control_characters(), text) == expected


def test_tabs_and_symbols_are_no_control_characters():
    assert_leaves(characters.control_characters(), "가\t나 “다” ㎡ ♥ 😀 大\xa0")


def test_hangul_in_parts_is_composed():
    parts = unicodedata.normalize("NFD", "한글 각")
    assert apply(characters.nfc(), parts) == "한글 각"


def test_compatibility_ideographs_become_the_usual_ones():
    assert apply(characters.nfc(), "\uf914") == "樂"


@pytest.mark.parametrize("text", ["ㅋㅋㅋ", "①㎡㈜™", "ｱｲｳ", "ＡＢＣ１２３！", "…", "ﬁ", "ﾡ"])
def test_nfc_is_not_nfkc(text):
    assert apply(characters.nfc(), text) == text


def test_full_width_ascii_is_an_option():
    rule = characters.nfc(full_width_ascii=True)
    assert apply(rule, "ＡＢＣ１２３！ ｱ") == "ABC123! ｱ"


def test_rows_of_marks_are_cut():
    assert apply(characters.nfc(), "e" + 40 * "\u0323") == "ẹ" + 29 * "\u0323"


@pytest.mark.parametrize(
    "text, expected",
    [
        ("모르겠네요\u11a2", "모르겠네요…"),
        ("문\u119e안 후보", "문ㆍ안 후보"),
        ("\u110f\u1160\u110f\u1160", "ㅋ\u1160ㅋ\u1160"),
        ("르\u115f\u116e\u11af", "르\u115fㅜㄹ"),
        ("\uffbb\uffbb", "ㅋㅋ"),
        ("작품 거의 다 \u3164ㅂㅘㅅ네", "작품 거의 다 봣네"),
        ("\u3164ㄸㅒ\u3164문에", "떄문에"),
    ],
)
def test_lone_conjoining_jamo_become_letters(text, expected):
    assert apply(characters.conjoining_jamo(), text) == expected


@pytest.mark.parametrize(
    "text", ["\u1112\u119e\u11ab글", "귀\u11f0", "ㅋㅋㅋ ㅠㅠ ㆍ", "가\u3164나", "\u3164ㅋㅋㅋ"]
)
def test_old_hangul_and_letters_stay(text):
    assert apply(characters.conjoining_jamo(), text) == text


@pytest.mark.parametrize(
    "text, expected",
    [
        ("전했다.\u200b 다음", "전했다. 다음"),
        ("\ufeff처음", "처음"),
        ("가\xad나\u200c다\u202e라\u2060", "가나다라"),
        ("현빈♥\ufe0e손예진", "현빈♥손예진"),
        ("가\u3164나", "가 나"),
        ("ㅋ\u1160ㅋ\u115f", "ㅋㅋ"),
        ("가\ufe0f나\u200d다", "가나다"),
    ],
)
def test_invisible_characters_go(text, expected):
    assert apply(characters.zero_width(), text) == expected


@pytest.mark.parametrize(
    "text", ["👨\u200d👩\u200d👧", "❤\ufe0f", "1\ufe0f\u20e3", "❤\ufe0f\u200d🔥"]
)
def test_what_holds_an_emoji_together_stays(text):
    assert apply(characters.zero_width(), text) == text


@pytest.mark.parametrize(
    "text, expected",
    [
        ("가\xa0나\u3000다\t라", "가 나 다 라"),
        ("가  나   다", "가 나 다"),
        ("  가  \n\t나 \n 다 ", "가\n나\n다"),
        (" \n \n ", "\n\n"),
        ("가\u2028나\r\n다", "가 나\n다"),
    ],
)
def test_blanks_are_made_one(text, expected):
    assert apply(characters.spaces(), text) == expected


def test_single_blanks_stay():
    assert_leaves(characters.spaces(), "가 나\n다 라\n\n마")


@pytest.mark.parametrize(
    "text, expected",
    [
        ("좋아요😀", "좋아요"),
        ("좋아요 👍🏽 다음", "좋아요 다음"),
        ("사랑해❤\ufe0f정말", "사랑해 정말"),
        ("가🇰🇷나", "가 나"),
        ("1\ufe0f\u20e3 첫째", "첫째"),
        ("👨\u200d👩\u200d👧\u200d👦 가족", "가족"),
        ("맛있다😋😋 😋!", "맛있다!"),
        ("♥\ufe0f▶\ufe0f 가", "가"),
        ("🏴\U000e0067\U000e0062\U000e007f 가", "가"),
        ("첫 줄😀\n😀둘째", "첫 줄\n둘째"),
        ("웃음(😀)", "웃음"),
    ],
)
def test_emoji_are_dropped(text, expected):
    assert apply(characters.emoji(action="drop"), text) == expected


@pytest.mark.parametrize(
    "text", ["▶ 가 ■ ★★★ ♥♡ ☎ ™ © ㉠ ① 123 # *", "정말❓ 와❗ 뭐⁉", "남⚫여 ◾"]
)
def test_symbols_are_no_emoji(text):
    assert apply(characters.emoji(action="drop"), text) == text


def test_a_row_of_emoji_gets_one_mask():
    assert apply(characters.emoji(action="mask"), "와😀😀 좋다") == "와[이모지] 좋다"


def test_emoji_are_kept_where_nothing_else_is_said():
    assert_leaves(characters.emoji(), "좋아요😀")


@pytest.mark.parametrize("make", [characters.emoji, characters.lone_hanja])
def test_an_unknown_action_is_told(make):
    with pytest.raises(InputError, match='action is "delete"; it must be one of keep, '):
        make(action="delete")


@pytest.mark.parametrize(
    "text, expected",
    [
        ("대한민국(大韓民國)은", "대한민국은"),
        ("선물 (先物) 투자", "선물 투자"),
        ("‘한란(寒蘭)’", "‘한란’"),
        ("압권[壓卷]", "압권"),
        ("비유(比喩ㆍ譬喩)하는", "비유하는"),
        ("구이저우（貴州）성", "구이저우성"),
        ("마음의 성(城)이", "마음의 성이"),
        ("고(故) 최숙현", "고 최숙현"),
        ("청와대발(發) 파동", "청와대발 파동"),
        ("빌뉴스시 (市) 외곽", "빌뉴스시 외곽"),
    ],
)
def test_hanja_glosses_go(text, expected):
    assert apply(characters.hanja_in_brackets(), text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "이명박 (前) 대통령",
        "박(前) 대통령",
        "(前) 대통령",
        "17일(日) 오전",
        "삼성전자(株)",
        "어머니의 눈물(上)",
        "리나(中)가 이겼다",
        "(일본어: 昭和)",
        "쇼와(일본어: 昭和) 시대",
        "이(李·53)씨",
        "박근혜(美 국방부)",
        "함수 f(x)와 (가)",
        "大韓民國",
    ],
)
def test_hanja_that_say_more_stay(text):
    assert apply(characters.hanja_in_brackets(), text) == text


@pytest.mark.parametrize(
    "text, expected",
    [
        ("쇼와(일본어: 昭和, 1926년~1989년) 시대", "쇼와 시대"),
        ("도조 히데키(東條英機·1884~1948) 등", "도조 히데키 등"),
        ("이(李·53)씨", "이씨"),
        ("박근혜(美 국방부)", "박근혜(美 국방부)"),
    ],
)
def test_mixed_brackets_are_an_option(text, expected):
    assert apply(characters.hanja_in_brackets(mixed=True), text) == expected


@pytest.mark.parametrize(
    "text, expected",
    [
        ("美 관세와 道 예산", "미 관세와 도 예산"),
        ("韓美 정상", "한미 정상"),
        ("前대통령", "전대통령"),
        ("7세 연하女와 女배우", "7세 연하녀와 여배우"),
        ("1980年 年 1회", "1980년 연 1회"),
        ("美친 활약", "미친 활약"),
    ],
)
def test_hanja_of_newspapers_are_read(text, expected):
    assert apply(characters.lone_hanja(action="map"), text) == expected


@pytest.mark.parametrize("text", ["美國舒淇", "中国新闻", "6共(공)", "老兵(노병)", "가나다"])
def test_other_hanja_are_not_read(text):
    assert apply(characters.lone_hanja(action="map"), text) == text


def test_hanja_are_kept_where_nothing_else_is_said():
    assert_leaves(characters.lone_hanja(), "美 관세")


def test_quotes_become_ascii():
    assert (
        apply(characters.quotes(), "“가” ‘나’ 「다」 『라』 《마》")
        == "\"가\" '나' '다' \"라\" 《마》"
    )


def test_rules_on_by_default():
    assert [listed.name for listed in characters.RULES if not listed.on] == ["quotes"]


def test_summaries_are_sentences():
    assert all(listed.summary.endswith(".") for listed in characters.RULES)


@pytest.mark.parametrize("rule", all_rules())
def test_plain_text_is_the_same_object(rule):
    assert_leaves(rule, "2020년 10월 17일, 서울에서 AT&T; 행사가 열렸다 (사진).\n다음 줄.")


@pytest.mark.parametrize("rule", all_rules())
def test_lines_stay_lines(rule):
    text = "\n😀\n가(大\n韓)\n\x0b\u2028\u3164\n&#10;\n \n\u1100\n\u1161 "
    assert apply(rule, text).count("\n") == text.count("\n")


@pytest.mark.parametrize("rule", all_rules())
@pytest.mark.parametrize(
    "piece",
    [
        "a",
        " ",
        "&",
        "&amp;",
        "大",
        "(大",
        "大(",
        "❤",
        "❤\u200d",
        "🇰",
        "\u0301\u0323",
        "\u1100",
        "\u3164ㄱ",
    ],
)
def test_a_long_line_takes_linear_time(rule, piece):
    text = piece * (300_000 // len(piece))
    started = time.perf_counter()
    apply(rule, text)
    assert time.perf_counter() - started < 5
