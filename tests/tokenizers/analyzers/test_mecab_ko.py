"""MeCab as the analyser."""

import importlib.metadata
import importlib.util

import pytest

pytest.importorskip("mecab", reason="needs pip install -e '.[mecab]'")

from deeq_bert.tokenizers.analyzers import conventions
from deeq_bert.tokenizers.analyzers.mecab_ko import MecabAnalyzer
from deeq_bert.tokenizers.errors import InputError


@pytest.fixture(scope="module")
def mecab():
    analyzer = MecabAnalyzer()
    yield analyzer
    analyzer.close()


def analyze(analyzer, text):
    (analysis,) = analyzer.analyze([text])
    return analysis


@pytest.mark.parametrize(
    ("text", "forms"),
    [
        ("안녕하세요, 반가워요.", "안녕 하 시 어요 , 반갑 어요 ."),
        ("햇빛이 선명하게 나뭇잎을 핥고 있었다.", "햇빛 이 선명 하 게 나뭇잎 을 핥 고 있 었 다 ."),
        ("오늘은 정말 추운 날이네요.", "오늘 은 정말 춥 ㄴ 날 이 네 요 ."),
        ("따뜻한 물 1,000병", "따뜻하 ㄴ 물 1 , 000 병"),
        ("가까워졌다", "가깝 어 지 었 다"),
        ("고래를 도와 줘", "고래 를 돕 아 주 어"),
    ],
)
def test_contractions_are_taken_apart(mecab, text, forms):
    assert " ".join(analyze(mecab, text).forms) == forms


def test_tags(mecab):
    tags = analyze(mecab, "(이 물 세 개, ABC)").tags
    assert tags == ["SS", "MMD", "NNG", "MMN", "NNB", "SP", "SL", "SS"]


def test_those_taken_apart_share_the_characters(mecab):
    text = "정말 가까워졌다"
    analysis = analyze(mecab, text)
    spans = [text[start:end] for start, end in zip(analysis.starts, analysis.ends)]
    assert spans == ["정말", "가까", "워", "졌", "졌", "다"]
    assert analysis.word_starts == bytes([1, 1, 0, 0, 0, 0])


@pytest.mark.parametrize(
    "text", ["😀 👨‍👩‍👧가 𠀀나", "가\x00나 다", "가\u3000\u3000나", "가 \ud83d 나", "-"]
)
def test_any_text_is_covered(mecab, text):
    analysis = analyze(mecab, text)
    covered = set()
    for start, end in zip(analysis.starts, analysis.ends):
        covered.update(range(start, end))
    assert covered == {place for place, char in enumerate(text) if not char.isspace()}
    assert analysis.word_starts.count(1) == len(text.split())


def test_a_long_line_is_analysed_in_stretches(mecab):
    text = "가나다라마바사" * 5000
    analysis = analyze(mecab, text)
    assert analysis.ends[-1] == len(text)
    assert analysis.word_starts.count(1) == 1


def test_the_identity_tells_versions(mecab):
    assert mecab.identity() == {
        "name": "mecab",
        "version": importlib.metadata.version("python-mecab-ko"),
        "dictionary": importlib.metadata.version("python-mecab-ko-dic"),
        "conventions": conventions.VERSION,
    }


def test_a_missing_mecab_is_told_with_what_mends_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install -e '\.\[mecab\]'"):
        MecabAnalyzer()
