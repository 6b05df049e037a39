"""Document filters: which documents each drops and which it keeps."""

import pytest

from deeq_bert.corpus.rules import document_filters
from deeq_bert.tokenizers.errors import InputError


def test_documents_of_few_characters_are_short():
    short_documents = document_filters.short_documents()
    assert short_documents(["가" * 100, "나" * 99])
    assert not short_documents(["가" * 100, "나" * 100])


def test_documents_of_few_lines_are_short():
    short_documents = document_filters.short_documents(characters=0, lines=2)
    assert short_documents(["비가 오는 날이다."])
    assert not short_documents(["비가 온다.", "눈이 온다."])


def test_the_share_of_hangul_is_that_of_the_whole_document():
    share = document_filters.document_hangul_share()
    assert share(["비가 온다", "It is raining today"])
    assert not share(["비가 온다", "rain"])


def test_a_share_is_at_most_one():
    with pytest.raises(InputError, match="least is 50"):
        document_filters.document_hangul_share(least=50)


def test_a_document_of_the_same_lines():
    repetition = document_filters.document_repetition()
    assert repetition(["재미없다."] * 5)
    assert not repetition(["재미없다."] * 4)


def test_a_refrain_is_no_repetition():
    song = [f"{number}절을 부른다." for number in range(6)] + ["후렴이다."] * 6
    assert not document_filters.document_repetition()(song)


def test_a_document_of_the_same_words():
    repetition = document_filters.document_repetition()
    assert repetition(["지금 바로 구매하세요 " * 20])
    assert repetition(["비가오니까 " * 60])
    assert not repetition(["지금 바로 구매하세요 " * 10])


def test_the_most_frequent_row_of_words_may_be_rare():
    words = [f"낱말{number}" for number in range(100)]
    mixed = [*words, *["지금", "바로", "구매하세요"] * 10]
    assert not document_filters.document_repetition()([" ".join(mixed)])
    assert document_filters.document_repetition(phrase=0.2)([" ".join(mixed)])


def test_frequent_words_that_do_not_stand_in_a_row_are_no_repetition():
    words = [word for number in range(60) for word in ("그는", f"낱말{number}")]
    assert not document_filters.document_repetition()([" ".join(words)])
