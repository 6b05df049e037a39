"""The embedded analyser, with Kiwi itself."""

import importlib.metadata
import importlib.util
import itertools
import multiprocessing
import pathlib
import random
import subprocess
import sys

import pytest

pytest.importorskip("kiwipiepy", reason="Kiwi is not installed: pip install -e '.[deeq]'")

from deeq_bert.tokenizers.analyzers import conventions, placement
from deeq_bert.tokenizers.analyzers.kiwi import KiwiAnalyzer
from deeq_bert.tokenizers.errors import InputError

SAMPLE = pathlib.Path(__file__).parents[3] / "corpus" / "sample" / "sample.txt"


@pytest.fixture(scope="module")
def kiwi():
    analyzer = KiwiAnalyzer()
    yield analyzer
    analyzer.close()


def analyze(analyzer, text):
    (analysis,) = analyzer.analyze([text])
    return analysis


def morphemes(analysis, text):
    """The form and the text of each morpheme."""
    spans = zip(analysis.starts, analysis.ends)
    return [(form, text[start:end]) for form, (start, end) in zip(analysis.forms, spans)]


@pytest.mark.parametrize(
    ("text", "forms"),
    [
        ("안녕하세요, 반가워요.", "안녕 하 시 어요 , 반갑 어요 ."),
        ("햇빛이 선명하게 나뭇잎을 핥고 있었다.", "햇빛 이 선명 하 게 나뭇잎 을 핥 고 있 었 다 ."),
        ("오늘은 정말 추운 날이네요.", "오늘 은 정말 춥 ㄴ 날 이 네 요 ."),
        ("어떻게 그렇게 따뜻한가요?", "어떻 게 그렇 게 따뜻하 ㄴ가 요 ?"),
        ("공부를 했으니 집에 간다.", "공부 를 하 았 으니 집 에 가 ㄴ다 ."),
        ("값은 1,000원입니다...", "값 은 1 , 000 원 이 ㅂ니다 ..."),
        ("그는 의사였다", "그 는 의사 이 었 다"),
        ("이게 뭐예요?!", "이거 이 뭐 이 에요 ? !"),
    ],
)
def test_forms(kiwi, text, forms):
    assert " ".join(analyze(kiwi, text).forms) == forms


def test_tags(kiwi):
    tags = analyze(kiwi, "오늘은 정말 추운 날이네요.").tags
    assert tags == ["NNG", "JX", "MAG", "VA", "ETM", "NNG", "VCP", "EF", "JX", "SF"]


def test_offsets(kiwi):
    text = "정말 추운 날이네요."
    analysis = analyze(kiwi, text)
    assert morphemes(analysis, text) == [
        ("정말", "정말"),
        ("춥", "추"),
        ("ㄴ", "운"),
        ("날", "날"),
        ("이", "이"),
        ("네", "네"),
        ("요", "요"),
        (".", "."),
    ]
    assert analysis.word_starts == bytes([1, 1, 0, 1, 0, 0, 0, 0])


def test_offsets_count_characters(kiwi):
    text = "😀 👨‍👩‍👧𠀀漢字 나무가"
    assert morphemes(analyze(kiwi, text), text)[-2:] == [("나무", "나무"), ("가", "가")]


def test_halves_of_characters_do_no_harm(kiwi):
    assert analyze(kiwi, "나무 \ud83d 가지").starts == [0, 3, 5]


PARTS = (
    "가 나다 했다 추운 것이 게 예요 이에요 1,000 3.14 ... !? 👨‍👩‍👧 😀 𠀀 漢字 ㅋㅋ ㅎ ㅏ 각 a "
    "http://a.b/c a@b.kr #표 - “ ” … ￥ ① Ⅳ ﾊﾝ 서울에서 따뜻한 어떻게 였 여서 은 세요 면은 할게 "
    "뭘 아닠ㅋㅋ <b> &amp; \\ _ 🇰🇷 1️⃣ 𝔘"
).split(" ") + ["\u1100", "\u1161\u11ab", "\u200b", "\ufeff", "\u0301", "\x00", "\x7f", "\u3164"]
BLANKS = [*" " * 8, "  ", "\u3000", "\xa0", "\u2028", "\x1c", "\x85", "\t"]


def odd_text(rng: random.Random) -> str:
    pieces = (
        rng.choice(PARTS if rng.random() < 0.7 else BLANKS) for _ in range(rng.randint(1, 30))
    )
    return "".join(pieces).strip() or "가"


def test_any_text_is_covered(kiwi):
    rng = random.Random(20)
    for text in (odd_text(rng) for _ in range(1500)):
        check_columns(analyze(kiwi, text), text)


def check_columns(analysis, text):
    forms, starts, ends = analysis.forms, analysis.starts, analysis.ends
    lengths = {len(forms), len(analysis.tags), len(starts), len(ends), len(analysis.word_starts)}
    assert len(lengths) == 1, text
    assert all(form and not any(map(str.isspace, form)) for form in forms), text
    assert not any("\u1161" <= char <= "\u1175" for form in forms for char in form), text
    assert not any("\u11a8" <= char <= "\u11c2" for form in forms for char in form), text
    assert list(starts) == sorted(starts), text
    covered = set()
    for start, end in zip(starts, ends):
        assert 0 <= start < end <= len(text), text
        covered.update(range(start, end))
    characters = {place for place, char in enumerate(text) if not char.isspace()}
    assert covered == characters, text
    begins = list(itertools.compress(starts, analysis.word_starts))
    assert begins == [place for place in sorted(characters) if place - 1 not in characters], text


def test_what_is_remembered_of_a_morpheme_is_what_it_is(kiwi):
    """Forms and tags are remembered by Kiwi's numbers; here they are asked for, one by one."""
    lines = [line for line in SAMPLE.read_text(encoding="utf-8").splitlines() if line.strip()]
    for line, analysis in zip(lines, kiwi.analyze(lines)):
        found = kiwi._tokenize(line)
        entries = [conventions.entry_of(morpheme.form, morpheme.tag) for morpheme in found]
        forms, tags = [entry.form for entry in entries], [entry.tag for entry in entries]
        starts = [morpheme.start for morpheme in found]
        edits = [entry.rule(found, index) for index, entry in enumerate(entries) if entry.rule]
        placement.apply([edit for edit in edits if edit], forms, tags, starts)
        assert analysis == placement.place(line, forms, tags, starts)


def test_a_long_line_is_analysed_in_stretches(kiwi):
    text = "대한민국의수도는서울이다" * 2000
    analysis = analyze(kiwi, text)
    assert analysis.word_starts.count(1) == 1
    assert analysis.ends[-1] == len(text)
    check_columns(analysis, text)


def test_kiwi_is_not_loaded_before_the_first_text():
    code = (
        "import sys; from deeq_bert.tokenizers.analyzers.kiwi import KiwiAnalyzer\n"
        "KiwiAnalyzer().identity(); sys.exit('kiwipiepy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_identity_tells_versions(kiwi):
    assert kiwi.identity() == {
        "name": "kiwi",
        "version": importlib.metadata.version("kiwipiepy"),
        "model": importlib.metadata.version("kiwipiepy_model"),
        "conventions": conventions.VERSION,
    }


def test_user_words_are_not_taken_apart(kiwi):
    text = "숲속달빛고래를 보았다"
    assert analyze(kiwi, text).forms[0] != "숲속달빛고래"
    analyzer = KiwiAnalyzer(["숲속달빛고래"])
    assert analyzer.identity()["user_words"] == ["숲속달빛고래"]
    assert analyze(analyzer, text).forms == ["숲속달빛고래", "를", "보", "았", "다"]


@pytest.mark.parametrize("word", ["", "숲속 고래", " 고래"])
def test_a_user_word_has_no_blanks(word):
    with pytest.raises(InputError, match="user word"):
        KiwiAnalyzer(["고래", word])


def send_forms(analyzer, connection):
    connection.send(analyze(analyzer, "나무가 자란다").forms)


def test_a_forked_child_loads_its_own(kiwi):
    expected = analyze(kiwi, "나무가 자란다").forms
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=send_forms, args=(kiwi, sender))
    child.start()
    assert receiver.poll(60)
    assert receiver.recv() == expected
    child.join()


def test_it_is_loaded_again_after_closing():
    analyzer = KiwiAnalyzer()
    before = analyze(analyzer, "나무가 자란다")
    analyzer.close()
    assert analyze(analyzer, "나무가 자란다") == before


def test_a_missing_kiwi_is_told_with_what_mends_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install -e '\.\[deeq\]'"):
        KiwiAnalyzer()
