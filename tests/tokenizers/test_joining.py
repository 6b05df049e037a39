"""Morphemes joined to readable text."""

import pytest

from deeq_bert.tokenizers import joining

pytest.importorskip("kiwipiepy", reason="needs pip install -e '.[deeq]'")


@pytest.mark.parametrize(
    "morphemes, text",
    [
        ("오늘 은 정말 춥 ㄴ 날 이 네 요 .", "오늘은 정말 추운 날이네요."),
        ("안녕 하 시 어요 , 반갑 어요 .", "안녕하세요, 반가워요."),
        ("그 는 학교 에 가 ㄴ다 .", "그는 학교에 간다."),
        ("서울 은 한국 의 수도 이 ㅂ니다 .", "서울은 한국의 수도입니다."),
        ("따뜻하 ㄴ 물 을 마시 었 습니다", "따뜻한 물을 마셨습니다"),
        ("그것 을 돕 아 주 었 다", "그것을 도와 줬다"),
        ("1 , 000 원 을 벌 었 다 .", "1,000원을 벌었다."),
        ("3 . 14", "3.14"),
        ("BERT 는 2018 년 에 나오 았 다", "BERT는 2018년에 나왔다"),
        ("추 ㄴ", "춘"),
        ("ㄴ", None),
        ("", ""),
    ],
)
def test_words_are_as_they_are_written(morphemes, text):
    joined = joining.join_morphemes(morphemes.split())
    assert joined == text or (text is None and joined)


def test_without_kiwi_there_are_blanks(monkeypatch):
    monkeypatch.setattr(joining, "_joiner", lambda: None)
    assert joining.join_morphemes(["춥", "", "ㄴ"]) == "춥 ㄴ"
