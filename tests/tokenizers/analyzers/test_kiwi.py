"""The embedded analyser: Kiwi's output in the conventions of deeq."""

import itertools
import multiprocessing
import os
import pickle
import random
import subprocess
import sys

import pytest

from deeq_bert.tokenizers.analyzers import conventions, kiwi, placement
from deeq_bert.tokenizers.analyzers.base import Analysis
from deeq_bert.tokenizers.analyzers.kiwi import KiwiAnalyzer
from deeq_bert.tokenizers.errors import InputError

pytest.importorskip("kiwipiepy", reason="needs pip install -e '.[deeq]'")


@pytest.fixture(scope="module")
def analyzer() -> KiwiAnalyzer:
    return KiwiAnalyzer()


def analyze(analyzer: KiwiAnalyzer, text: str) -> Analysis:
    (analysis,) = analyzer.analyze([text])
    return analysis


def forms(analyzer: KiwiAnalyzer, text: str) -> str:
    return " ".join(analyze(analyzer, text).forms)


# What the documentation of deeq's client shows.
@pytest.mark.parametrize(
    "text, expected",
    [
        ("오늘은 정말 추운 날이네요.", "오늘 은 정말 춥 ㄴ 날 이 네 요 ."),
        ("안녕하세요, 반가워요.", "안녕 하 시 어요 , 반갑 어요 ."),
        ("햇빛이 선명하게 나뭇잎을 핥고 있었다.", "햇빛 이 선명 하 게 나뭇잎 을 핥 고 있 었 다 ."),
    ],
)
def test_documented_analyses(analyzer, text, expected):
    assert forms(analyzer, text) == expected


@pytest.mark.parametrize(
    "text, expected",
    [
        # Allomorphs stay apart, and endings are in compatibility jamo.
        ("보았다 먹었다", "보 았 다 먹 었 다"),
        ("간다 갑니다 갈", "가 ㄴ다 가 ㅂ니다 가 ㄹ"),
        # After 하.
        ("공부하였다 해서 해야 했어요", "공부 하 았 다 하 아서 하 아야 하 았 어요"),
        # ㅂ-irregular stems.
        ("추우면 고마운데 도울까", "춥 면 고맙 ㄴ데 돕 ㄹ까"),
        ("아름다움이 가까워졌다", "아름답 ㅁ 이 가깝 어 지 었 다"),
        ("더웠다 도와서 고왔다", "덥 었 다 돕 아서 곱 았 다"),
        ("입은 옷", "입 은 옷"),
        # Polite endings.
        ("읽으세요 가네요", "읽 으시 어요 가 네 요"),
        ("학교예요 친구이에요", "학교 이 에요 친구 이 에요"),
        ("그렇지요 먹잖아요 그렇죠", "그렇 지요 먹 잖아요 그렇 죠"),
        ("하거든요 갈게요", "하 거든 요 가 ㄹ게 요"),
        # Roots and adverbs.
        ("따뜻하게 깨끗했다", "따뜻하 게 깨끗하 았 다"),
        ("공부하게", "공부 하 게"),
        ("명확히 이렇게", "명확히 이렇 게"),
        ("친구여서 그랬다", "친구 이 어서 그렇 었 다"),
        # Particles at endings.
        ("가고는 싶다면은", "가 고 는 싶 다면 은"),
        # 것이 in one syllable.
        ("가는 게 좋다", "가 는 거 이 좋 다"),
        ("가는 것이 좋다", "가 는 것 이 좋 다"),
        # Numbers and punctuation.
        ("1,000원 3.14", "1 , 000 원 3 . 14"),
        ("와!! 음... 글쎄……", "와 ! ! 음 ... 글쎄 ……"),
        ("ㅋㅋㅋ 😀😀", "ㅋㅋㅋ 😀😀"),
    ],
)
def test_conventions_of_deeq(analyzer, text, expected):
    assert forms(analyzer, text) == expected


def test_tags_are_those_of_deeq(analyzer):
    analysis = analyze(analyzer, "오늘은 이런 새 책을 (조금) 읽었네요!")
    assert " ".join(analysis.tags) == "NNG JX MMD MMA NNG JKO SS MAG SS VV EP EF JX SF"


def surfaces(text: str, analysis: Analysis) -> list[str]:
    return [text[start:end] for start, end in zip(analysis.starts, analysis.ends)]


def test_morphemes_share_the_characters_of_their_eojeol(analyzer):
    text = "오늘은  추운 날이네요. 했다 가는게 학교예요"
    analysis = analyze(analyzer, text)
    expected = "오늘 은 추 운 날 이 네 요 . 했 했 다 가 는 게 게 학교 예요 예요"
    assert " ".join(surfaces(text, analysis)) == expected
    assert list(analysis.word_starts) == [1, 0, 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0]


def check(text: str, analysis: Analysis) -> None:
    """What holds for every analysis."""
    columns = (analysis.tags, analysis.starts, analysis.ends, analysis.word_starts)
    assert {len(column) for column in columns} == {len(analysis.forms)}
    assert all(form and form == "".join(form.split()) for form in analysis.forms)
    for first, last in (("\u1161", "\u1175"), ("\u11a8", "\u11c2")):
        assert not any(first <= char <= last for form in analysis.forms for char in form)
    assert list(analysis.starts) == sorted(analysis.starts)
    covered = set()
    for start, end in zip(analysis.starts, analysis.ends):
        assert 0 <= start < end <= len(text)
        assert not any(char.isspace() for char in text[start:end])
        covered.update(range(start, end))
    assert covered == {place for place, char in enumerate(text) if not char.isspace()}
    eojeols = [
        place
        for place, char in enumerate(text)
        if not char.isspace() and (place == 0 or text[place - 1].isspace())
    ]
    begun = [start for start, begins in zip(analysis.starts, analysis.word_starts) if begins]
    assert begun == eojeols


NASTY = (
    "가각힣뷁ㄱㅏㄴ다요은는이했운워돼됐게 \u3000\u2028  1029.,-!?~^…·%/:()[]\"'#@_=+*"
    "abcXYZéßАя漢字カな😀👨🏽‍🔥한\u1100\u1161\u11ab\u0301\u20e3\ufe0f\U0001f468\U00020000"
)


def test_any_text_is_covered(analyzer):
    rng = random.Random(7)
    texts = ["".join(rng.choices(NASTY, k=rng.randrange(1, 40))).strip() for _ in range(2000)]
    texts = [text for text in texts if text]
    for text, analysis in zip(texts, analyzer.analyze(texts), strict=True):
        check(text, analysis)


def test_halves_of_characters_do_no_harm(analyzer):
    text = "나무 \ud83d 가지"
    check(text, analyze(analyzer, text))


def test_what_is_remembered_of_a_morpheme_is_what_it_is(analyzer, repository):
    """Forms and tags are remembered by Kiwi's numbers; here they are asked for, one by one."""
    sample = (repository / "corpus" / "sample" / "sample.txt").read_text(encoding="utf-8")
    lines = [line for line in sample.split("\n") if line]
    for line, analysis in zip(lines, analyzer.analyze(lines), strict=True):
        found = analyzer._tokenize(line)
        entries = [conventions.entry_of(morpheme.form, morpheme.tag) for morpheme in found]
        forms, tags = [entry.form for entry in entries], [entry.tag for entry in entries]
        starts = [morpheme.start for morpheme in found]
        edits = [entry.rule(found, index) for index, entry in enumerate(entries) if entry.rule]
        placement.apply([edit for edit in edits if edit], forms, tags, starts)
        assert analysis == placement.place(line, forms, tags, starts)


def test_real_text_is_covered(analyzer, repository):
    sample = (repository / "corpus" / "sample" / "sample.txt").read_text(encoding="utf-8")
    texts = [line for line in sample.split("\n") if line]
    for text, analysis in zip(texts, analyzer.analyze(texts), strict=True):
        check(text, analysis)


@pytest.mark.parametrize(
    "part", ["오늘은 추운 날이네요. ", "가", "하하하하 ", "1", ".", "😀", "a "]
)
def test_a_very_long_line_is_analysed_in_stretches(analyzer, part):
    text = (part * (30_000 // len(part))).strip()
    check(text, analyze(analyzer, text))


def test_a_long_line_is_cut_between_words_where_there_are_any(analyzer, monkeypatch):
    text = "오늘은 추운 날이네요. " * 20
    whole = analyze(analyzer, text.strip())
    monkeypatch.setattr(placement, "MAX_CHARACTERS", 30)
    in_stretches = analyze(analyzer, text.strip())
    for column in ("forms", "tags", "starts", "ends", "word_starts"):
        assert list(getattr(in_stretches, column)) == list(getattr(whole, column))


def test_user_words_stay_whole():
    text = "딥큐버트를 씁니다"
    assert forms(KiwiAnalyzer(["딥큐버트"]), text) == "딥큐버트 를 쓰 ㅂ니다"
    assert KiwiAnalyzer(["딥큐버트"]).identity()["user_words"] == ["딥큐버트"]


@pytest.mark.parametrize("word", ["", "딥 큐버트", " 큐버트"])
def test_a_user_word_has_no_blanks(word):
    with pytest.raises(InputError, match="user word"):
        KiwiAnalyzer(["딥큐버트", word])


def test_the_identity_has_the_versions_and_needs_no_kiwi():
    program = (
        "import sys\n"
        "from deeq_bert.tokenizers.analyzers.kiwi import KiwiAnalyzer\n"
        "print(KiwiAnalyzer().identity())\n"
        "assert 'kiwipiepy' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for part in ("'name': 'kiwi'", "'version': '0.24.1'", "'model': '0.24.0'", "'conventions'"):
        assert part in done.stdout


def test_a_missing_kiwi_is_an_error_that_mends_it(monkeypatch):
    monkeypatch.setattr(kiwi.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install -e '\.\[deeq\]'"):
        KiwiAnalyzer()


def analyze_in_child(analyzer, queue) -> None:
    queue.put((os.getpid(), list(analyze(analyzer, "오늘은 추운 날").forms)))


def test_a_forked_child_loads_its_own_kiwi(analyzer):
    expected = list(analyze(analyzer, "오늘은 추운 날").forms)
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=analyze_in_child, args=(analyzer, queue))
    child.start()
    process, found = queue.get()
    child.join()
    assert process != os.getpid()
    assert found == expected
    assert list(analyze(analyzer, "오늘은 추운 날").forms) == expected


def test_a_pickled_copy_is_the_same_analyser():
    copy = pickle.loads(pickle.dumps(KiwiAnalyzer(["딥큐버트"])))
    assert copy.identity() == KiwiAnalyzer(["딥큐버트"]).identity()
    assert forms(copy, "딥큐버트를 씁니다") == "딥큐버트 를 쓰 ㅂ니다"


def test_it_is_loaded_again_after_closing():
    analyzer = KiwiAnalyzer()
    before = analyze(analyzer, "오늘은 추운 날")
    analyzer.close()
    assert analyze(analyzer, "오늘은 추운 날") == before


def test_texts_are_read_as_they_are_needed(analyzer):
    read = itertools.count()
    texts = ("가다 나다" for _ in read)
    next(analyzer.analyze(texts))
    assert next(read) < 10_000


def test_long_and_short_texts_stay_in_order(analyzer):
    long_text = "오늘은 추운 날이네요. " * 500
    texts = ["가다", long_text.strip(), "나다", "a \ud800 b", "다", "라" * 5000, "마"]
    together = list(analyzer.analyze(texts))
    for text, analysis in zip(texts, together, strict=True):
        alone = analyze(analyzer, text)
        for column in ("forms", "tags", "starts", "ends", "word_starts"):
            assert list(getattr(analysis, column)) == list(getattr(alone, column))
