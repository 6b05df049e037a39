"""Rules on personal data and URLs: what each changes, and what it leaves as it is."""

import time

import pytest

from deeq_bert.corpus.rules import personal_data
from deeq_bert.corpus.rules.base import uncommon_characters
from deeq_bert.tokenizers.errors import InputError


def apply(rule, text: str) -> str:
    return rule(text, uncommon_characters(text))


def assert_leaves(rule, text: str) -> None:
    assert rule(text, uncommon_characters(text)) is text


def all_rules() -> list:
    made = [listed.make() for listed in personal_data.RULES]
    made.append(personal_data.urls(bare_domain=True, action="mask"))
    made += [personal_data.emails(action="drop"), personal_data.phone_numbers(action="drop")]
    made.append(personal_data.nikl_marks(action="drop"))
    return made


@pytest.mark.parametrize(
    "text, expected",
    [
        ("https://a.kr/b에서 봤다", "에서 봤다"),
        ("누리집(http://www.a.go.kr)에 있다", "누리집에 있다"),
        ("누리집( www.a.go.kr ) 공지", "누리집 공지"),
        ("자료는 http://a.kr/b?c=1&d=%EA. 참고", "자료는. 참고"),
        ("보세요 HTTPS://a.kr/b, 꼭", "보세요, 꼭"),
        ("(참고: http://a.kr/b)", "(참고:)"),
        ("http://a.kr/wiki/A_(b) 참고", "참고"),
        ("http://a.kr/people/이동호/100 참고", "참고"),
        ("여기!!!http://a.kr\n다음", "여기!!!\n다음"),
        ("ftp://a.kr/c.zip", ""),
        ("가 http://a.kr http://b.kr", "가"),
    ],
)
def test_urls_are_dropped(text, expected):
    assert apply(personal_data.urls(), text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "www",
        "ㅋㅋwww ㅎ",
        "naver.com",
        "a@b.com",
        "3.14",
        "비율은 1://2",
        "TCP/IP",
        "www.",
        "Node.js",
    ],
)
def test_what_only_looks_like_a_url_stays(text):
    assert apply(personal_data.urls(), text) == text


def test_urls_are_masked():
    rule = personal_data.urls(action="mask", mask="<URL>")
    assert apply(rule, "https://a.kr/b에서 (www.c.kr)") == "<URL>에서 (<URL>)"


@pytest.mark.parametrize(
    "text, expected",
    [
        ("naver.com에서", "에서"),
        ("검색은 a.co.kr/b 에서", "검색은 에서"),
        ("x@naver.com", "x@naver.com"),
    ],
)
def test_bare_domains_are_an_option(text, expected):
    assert apply(personal_data.urls(bare_domain=True), text) == expected


@pytest.mark.parametrize(
    "text, expected",
    [
        ("abc.d_1@naver.com으로 보내세요", "[이메일]으로 보내세요"),
        ("이메일(a@korea.ac.kr)로", "이메일([이메일])로"),
        ("드릴께요.joon@naver.com 입니다", "드릴께요.[이메일] 입니다"),
        ("a＠b.com", "[이메일]"),
        ("a@b.com.", "[이메일]."),
    ],
)
def test_emails_are_masked(text, expected):
    assert apply(personal_data.emails(), text) == expected


@pytest.mark.parametrize("text", ["@.@", "3개@1,000원", "@user.name", "a@b", "골뱅이@", "a@1.2"])
def test_what_only_looks_like_an_email_stays(text):
    assert apply(personal_data.emails(), text) == text


def test_emails_are_dropped_with_their_brackets():
    assert apply(personal_data.emails(action="drop"), "이메일(a@b.kr)로 접수") == "이메일로 접수"


@pytest.mark.parametrize(
    "number",
    [
        "010-1234-5678",
        "010.1234.5678",
        "010 1234 5678",
        "011-123-4567",
        "010 - 1234 - 5678",
        "010–1234–5678",
        "010)1234-5678",
        "(010) 1234-5678",
        "02-123-4567",
        "02)123-4567",
        "(02) 1234-5678",
        "031-123-4567",
        "061-749-6612~3",
        "070-7784-6000",
        "080-123-4567",
        "02 123-4567",
        "+82-10-1234-5678",
        "+82 2 1234 5678",
        "+82 (0)10-1234-5678",
        "1588-1234",
        "1577-1577",
    ],
)
def test_phone_numbers_are_masked(number):
    rule = personal_data.phone_numbers()
    assert apply(rule, f"문의전화{number}번으로") == "문의전화[전화번호]번으로"


@pytest.mark.parametrize(
    "text, expected",
    [
        ("(☎ 830-5886)", "(☎ [전화번호])"),
        ("(☏857-6161)", "(☏[전화번호])"),
        ("061-550-5052,627,207", "[전화번호],627,207"),
        ("02-123-4567,010-1234-5678", "[전화번호],[전화번호]"),
    ],
)
def test_phone_numbers_in_their_surroundings(text, expected):
    assert apply(personal_data.phone_numbers(), text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "2020-10-17",
        "2020.10.17 ~ 2020.11.01",
        "01012345678",
        "1592-1598년",
        "(1588-1600)",
        "1.010-1234-5678",
        "10000-2000원",
        "978-89-010-1234-5",
        "3010-1234-5678",
        "010-1234-56789",
        "02 123 4567",
        "0.31 123-4567",
        "5588-1234",
        "830-5886",
        "192.168.02.123",
        "1588-1234-5678-9012",
    ],
)
def test_other_numbers_are_no_phone_numbers(text):
    assert_leaves(personal_data.phone_numbers(), text)


@pytest.mark.parametrize(
    "number", ["900101-1234567", "000229-4234567", "851231 - 2345678", "900101-5234567"]
)
def test_resident_numbers_are_masked(number):
    assert (
        apply(personal_data.resident_numbers(), f"주민번호 {number}입니다")
        == "주민번호 [주민등록번호]입니다"
    )


@pytest.mark.parametrize(
    "text",
    [
        "9001011234567",
        "901301-1234567",
        "900132-1234567",
        "900101-9234567",
        "900101-12345678",
        "1900101-1234567",
        "http://a.kr/news/150901-1234567.html",
        "id=150901-1234567",
        "12-900101-1234567",
        "900101-1234567-8",
        "900101-1******",
    ],
)
def test_other_numbers_are_no_resident_numbers(text):
    assert apply(personal_data.resident_numbers(), text) == text


@pytest.mark.parametrize(
    "number", ["4111-1111-1111-1111", "4111 1111 1111 1111", "5500-0000-0000-0004"]
)
def test_card_numbers_are_masked(number):
    assert apply(personal_data.card_numbers(), f"카드 {number}로") == "카드 [카드번호]로"


@pytest.mark.parametrize(
    "text",
    [
        "4111-1111-1111-1112",
        "4111111111111111",
        "1-4111-1111-1111-1111",
        "4111-1111-1111-1111-1",
        "4111-1111 1111-1111",
        "2017 2018 2019 2020",
    ],
)
def test_other_numbers_are_no_card_numbers(text):
    assert apply(personal_data.card_numbers(), text) == text


@pytest.mark.parametrize(
    "text, expected",
    [
        ("국민은행 123-45-678901 홍길동", "국민은행 [계좌번호] 홍길동"),
        ("농협 : 301-0123-4567-81", "농협 : [계좌번호]"),
        ("110-123-456789 (신한)", "[계좌번호] (신한)"),
    ],
)
def test_account_numbers_are_masked(text, expected):
    assert apply(personal_data.account_numbers(), text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "은행은 2020-10-17에 열었다",
        "은행 02-1234-5678",
        "은행 010-1234-5678",
        "은행 12-34-56",
        "국민 123-45-678901",
        "주문 123-45-678901",
    ],
)
def test_other_numbers_are_no_account_numbers(text):
    assert apply(personal_data.account_numbers(), text) == text


@pytest.mark.parametrize(
    "text, expected",
    [
        ("&name1&이가 왔어", "[이름]이가 왔어"),
        ("&tel-num&으로, &address12&", "[전화번호]으로, [주소]"),
        ("&others&하고 &other3&", "[기타]하고 [기타]"),
        ("{censored} 같은", "[가림] 같은"),
        ("그래 {emoji}{emoji}", "그래"),
        ("{share:photo}", ""),
        ("{system: gift} 고마워", "고마워"),
    ],
)
def test_nikl_marks_are_written_in_korean(text, expected):
    assert apply(personal_data.nikl_marks(), text) == expected


def test_nikl_marks_are_dropped():
    assert (
        apply(personal_data.nikl_marks(action="drop"), "어제 &name1& 왔어 {censored}")
        == "어제 왔어"
    )


@pytest.mark.parametrize(
    "text", ["A&name B", "&nbsp;", "{emojis}", "{}", "R&D & num", "{name}", "&이름&"]
)
def test_what_only_looks_like_a_nikl_mark_stays(text):
    assert apply(personal_data.nikl_marks(), text) == text


@pytest.mark.parametrize(
    "text, expected",
    [
        ("트위터 @user_1 다음", "트위터 다음"),
        ("인스타그램(@a.b_c), 유튜브", "인스타그램, 유튜브"),
        ("@user님 안녕", "님 안녕"),
    ],
)
def test_mentions_are_dropped(text, expected):
    assert apply(personal_data.mentions(), text) == expected


@pytest.mark.parametrize(
    "text", ["a@b.com", "***@gmail.com", "@.@", "@ 관련", "@@a", "http://a.kr/@user"]
)
def test_what_only_looks_like_a_mention_stays(text):
    assert apply(personal_data.mentions(), text) == text


def test_rules_off_by_default():
    off = [listed.name for listed in personal_data.RULES if not listed.on]
    assert off == ["account_numbers", "mentions"]


def test_an_unknown_action_is_told():
    with pytest.raises(InputError, match='action is "keep"; it must be one of drop, mask'):
        personal_data.urls(action="keep")


@pytest.mark.parametrize("rule", all_rules())
def test_plain_text_is_the_same_object(rule):
    assert_leaves(rule, "2020-10-17, 1,000원을 R&D에 {썼다} (3.14).\n다음 줄, 50-60명.")


@pytest.mark.parametrize("rule", all_rules())
def test_lines_stay_lines(rule):
    text = "http://a.kr/b\n(www.a.kr\n)\na@b.kr\n010\n1234-5678\n010-1234-5678\n&name\n1&\n{emoji}\n@user\n"
    assert apply(rule, text).count("\n") == text.count("\n")


@pytest.mark.parametrize("rule", all_rules())
@pytest.mark.parametrize(
    "piece",
    ["a", "0", "-", "a.", "a-", "a@", "@a", "http://", "http://a", "www.a.", "0-", "010-1234-"]
    + ["은행 12-", "0123 ", "1588-", "&name", "{share:", "http://a/(가", "900101-1"],
)
def test_a_long_line_takes_linear_time(rule, piece):
    text = piece * (300_000 // len(piece))
    started = time.perf_counter()
    apply(rule, text)
    assert time.perf_counter() - started < 5
