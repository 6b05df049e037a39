"""Line filters: which lines each drops and which it keeps."""

import time

import pytest

from deeq_bert.corpus.rules import line_filters
from deeq_bert.corpus.rules.base import uncommon_characters
from deeq_bert.tokenizers.errors import InputError


def drops(line_filter, line: str) -> bool:
    return line_filter(line, uncommon_characters(line))


@pytest.mark.parametrize("line", ["비", "비가 온다.", "ㅋㅋㅋ", ""])
def test_lines_of_two_words_or_fewer_are_short(line):
    assert drops(line_filters.short_lines(), line)


def test_three_words_are_enough():
    assert not drops(line_filters.short_lines(), "오늘 비가 온다.")
    assert not drops(line_filters.short_lines(words=1), "비")
    assert drops(line_filters.short_lines(words=4), "오늘 비가  온다.")


def test_no_number_of_words_need_be_asked_for():
    assert not drops(line_filters.short_lines(words=0), "비")


def test_lines_of_few_characters_are_short_on_demand():
    short_lines = line_filters.short_lines(words=0, characters=10)
    assert drops(short_lines, "비가 오는 날이")
    assert not drops(short_lines, "비가 오는 날이다. 눈")


def test_long_lines():
    assert drops(line_filters.long_lines(), "가" * 2_001)
    assert not drops(line_filters.long_lines(), "가" * 2_000)
    assert drops(line_filters.long_lines(characters=3), "가나다라")


@pytest.mark.parametrize("line", ["very good !", "2024.01.02 10:30", "", "  ", "가 abcdef", "“A”"])
def test_lines_with_little_hangul(line):
    assert drops(line_filters.hangul_share(), line)


@pytest.mark.parametrize("line", ["비가 온다.", "ㅋㅋㅋㅋ", "가 abc", "“가나”bcd…", "ᄏᄏᄏ..."])
def test_lines_with_enough_hangul(line):
    assert not drops(line_filters.hangul_share(), line)


@pytest.mark.parametrize("line", ["가 abc def", "가나 - (2) x", "!! 가"])
def test_the_share_of_hangul_does_not_depend_on_the_way_it_is_counted(line):
    expected = line_filters.share_of_hangul(line)
    assert line_filters.share_of_hangul(line, only_common=True) == pytest.approx(expected)


def test_the_least_share_is_a_share():
    with pytest.raises(InputError, match="least is 25"):
        line_filters.hangul_share(least=25)


@pytest.mark.parametrize("line", ["비가 온다", "비가 온다,", "ㅋㅋㅋ", "~", ""])
def test_lines_without_final_punctuation(line):
    assert drops(line_filters.final_punctuation(), line)


@pytest.mark.parametrize("line", ["온다.", "온다!", "온다…", "“온다.”", "(온다?)", "'온다.')"])
def test_lines_with_final_punctuation(line):
    assert not drops(line_filters.final_punctuation(), line)


@pytest.mark.parametrize("line", ["- 1 -", "2024-01-02", "★★★", "^^", "...", ""])
def test_lines_without_letters(line):
    assert drops(line_filters.no_letters(), line)


@pytest.mark.parametrize("line", ["1월", "a.", "ㅋ", "漢", "3. 가"])
def test_lines_with_a_letter(line):
    assert not drops(line_filters.no_letters(), line)


@pytest.mark.parametrize(
    "line",
    [
        "fn main() {",
        "let message = receiver.lock().unwrap();",
        "import numpy as np; zeros = np.zeros(3)  # 영",
        "</div>",
        'print("안녕", file=out);',
        "x_train, y_train = load(data)",
    ],
)
def test_code(line):
    assert drops(line_filters.code_lines(), line)


@pytest.mark.parametrize(
    "line",
    [
        "비가 온다.",
        "`or_insert()` 함수는 `HashMap`의 값을 돌려줍니다.",
        "이 코드는 fooBar(x)를 호출한다.",
        "하품만...;;",
        "{^아^}",
        "▲Moonlight Sonata(홍길동 편곡) ▲Swan Lake(백조의 호수) 등을 연주한다.",
        "The quick brown fox (a story) is here.",
    ],
)
def test_what_is_no_code(line):
    assert not drops(line_filters.code_lines(), line)


def test_a_word_over_and_over():
    repeated_words = line_filters.repeated_words()
    assert drops(repeated_words, "최고 최고 최고 최고 최고 정말")
    assert drops(line_filters.repeated_words(most=0.4), "최고 최고 최고 정말 좋은 영화")


@pytest.mark.parametrize(
    "line",
    [
        "최고 최고 최고",
        "최고 최고 최고 정말 좋은 영화",
        "진짜 최고 ㅋ ㅋ ㅋ ㅋ ㅋ ㅋ",
        "이 비가 그치고 나면 날이 더 추워진다고 한다.",
    ],
)
def test_words_that_come_again_now_and_then(line):
    assert not drops(line_filters.repeated_words(), line)


@pytest.fixture
def user_file(tmp_path):
    """A function that writes a file of the user's and returns its path."""

    def write(text: str) -> str:
        path = tmp_path / "stop.txt"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def test_stop_lines_are_compared_whole(user_file):
    stop_lines = line_filters.stop_lines(file=user_file("\ufeff기사를 제보해 주세요.\n\n# 끝 \n"))
    assert drops(stop_lines, "기사를 제보해 주세요.")
    assert drops(stop_lines, "# 끝")
    assert not drops(stop_lines, "지금 기사를 제보해 주세요.")
    assert not drops(stop_lines, "")


def test_stop_lines_in_parts_are_those_composed(user_file):
    assert drops(line_filters.stop_lines(file=user_file("\u1100\u1161\n")), "가")


def test_stop_patterns_are_found_anywhere(user_file):
    patterns = "# 제보\n제보(?:해|는)\n\n^구독.{0,20}부탁"
    stop_patterns = line_filters.stop_patterns(file=user_file(patterns))
    assert drops(stop_patterns, "기사를 제보해 주세요.")
    assert drops(stop_patterns, "구독과 좋아요 부탁해요")
    assert not drops(stop_patterns, "새 구독과 좋아요 부탁해요")
    assert not drops(stop_patterns, "# 제보")


def test_lines_that_are_long_are_not_tried(user_file):
    stop_patterns = line_filters.stop_patterns(file=user_file("나$"))
    assert drops(stop_patterns, "가" * 499 + "나")
    assert not drops(stop_patterns, "가" * 500 + "나")


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+b", "(a|aa)+b", "(?:a?){30}b", r"(a)\1", "(?P<x>a)(?P=x)", "a*a*a*b", ".*a.*b.*c"],
)
def test_patterns_that_may_take_long_are_refused(user_file, pattern):
    path = user_file(f"# comment\n{pattern}\n")
    with pytest.raises(InputError, match="line 2: .* may take very long") as error:
        line_filters.stop_patterns(file=path)
    assert path in str(error.value)


@pytest.mark.parametrize("pattern", ["[가-힣]*[가-힣]*x", ".+광고.+문의$", "(?:가나)+다"])
def test_patterns_that_are_not_refused_take_a_moment(user_file, pattern):
    stop_patterns = line_filters.stop_patterns(file=user_file(pattern))
    begin = time.process_time()
    for line in ("가" * 500, "광고" * 250, "가나" * 250):
        stop_patterns(line, frozenset())
    assert time.process_time() - begin < 5


@pytest.mark.parametrize("pattern", ["[가", "a**", "(", "(?<"])
def test_what_is_no_pattern_is_refused(user_file, pattern):
    with pytest.raises(InputError, match="line 1: not a regular expression"):
        line_filters.stop_patterns(file=user_file(pattern))


def test_a_pattern_that_fits_every_line_is_refused(user_file):
    with pytest.raises(InputError, match="line 1: .* fits every line"):
        line_filters.stop_patterns(file=user_file("광고|"))


def test_a_pattern_of_great_length_is_refused(user_file):
    with pytest.raises(InputError, match="line 1: over 1,000 characters"):
        line_filters.stop_patterns(file=user_file("가" * 1_001))


@pytest.mark.parametrize("make", [line_filters.stop_lines, line_filters.stop_patterns])
def test_files_must_be_given_and_be_there(make, tmp_path):
    with pytest.raises(InputError, match="needs the path of a text file"):
        make()
    with pytest.raises(InputError, match="Cannot read"):
        make(file=str(tmp_path / "missing"))


@pytest.mark.parametrize("piece", ["가", "a ", ".", "{", ");", '!"', "ㅋ", "a_", "가 나"])
def test_a_long_line_takes_no_more_than_its_length(piece):
    line = piece * (1_000_000 // len(piece))
    uncommon = uncommon_characters(line)
    made = [listed.make() for listed in line_filters.FILTERS if listed.name[:5] != "stop_"]
    begin = time.process_time()
    for line_filter in made:
        line_filter(line, uncommon)
    assert time.process_time() - begin < 5
