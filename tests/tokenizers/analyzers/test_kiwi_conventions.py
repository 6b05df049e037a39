"""The conventions of deeq, on morphemes of Kiwi that are written down here."""

from typing import NamedTuple

import pytest

from deeq_bert.tokenizers.analyzers import conventions, placement


class Morpheme(NamedTuple):
    form: str
    tag: str
    start: int
    len: int


def convert(written: str) -> list[tuple[str, str, int]]:
    """Converts morphemes written as form/tag@start+length, separated by blanks.

    Returns:
      The form, tag and start of each of the morphemes of deeq.
    """
    morphemes = []
    for word in written.split():
        form_and_tag, _, place = word.rpartition("@")
        form, _, tag = form_and_tag.rpartition("/")
        start, _, length = place.partition("+")
        morphemes.append(Morpheme(form, tag, int(start), int(length)))
    entries = [conventions.entry_of(morpheme.form, morpheme.tag) for morpheme in morphemes]
    forms, tags = [entry.form for entry in entries], [entry.tag for entry in entries]
    starts = [morpheme.start for morpheme in morphemes]
    edits = [entry.rule(morphemes, index) for index, entry in enumerate(entries) if entry.rule]
    placement.apply([edit for edit in edits if edit], forms, tags, starts)
    return list(zip(forms, tags, starts))


def forms(written: str) -> str:
    return " ".join(form for form, _, _ in convert(written))


def tagged(written: str) -> str:
    return " ".join(f"{form}/{tag}" for form, tag, _ in convert(written))


@pytest.mark.parametrize(
    ("kiwi", "deeq"),
    [
        ("하/VV@0+1 였/EP@0+1 다/EF@1+1", "하 았 다"),
        ("하/VV@0+1 여서/EC@0+2", "하 아서"),
        ("하/VV@0+1 여야죠/EF@0+3", "하 아야죠"),
        ("사랑/NNG@0+2 하/XSV@2+1 여요/EF@2+2", "사랑 하 아요"),
    ],
)
def test_endings_after_ha_have_a(kiwi, deeq):
    assert forms(kiwi) == deeq


def test_endings_after_the_copula_have_eo():
    kiwi = "친구/NNG@0+2 이/VCP@2+0 여서/EC@2+2"
    assert forms(kiwi) == "친구 이 어서"


def test_endings_after_other_stems_stay():
    assert forms("먹/VV@0+1 어서/EC@1+2") == "먹 어서"
    assert forms("여기/NP@0+2 서/JKB@2+1") == "여기 서"


@pytest.mark.parametrize(
    ("kiwi", "deeq"),
    [
        ("춥/VA-I@0+2 은/ETM@1+1", "춥 ㄴ"),
        ("춥/VA-I@0+2 을까/EC@1+2", "춥 ㄹ까"),
        ("춥/VA-I@0+2 음/ETN@1+1", "춥 ㅁ"),
        ("춥/VA-I@0+2 으면/EC@1+2", "춥 면"),
        ("고맙/VA-I@0+3 아/EC@2+1", "고맙 어"),
        ("고맙/VA-I@0+3 았/EP@2+1 다/EF@3+1", "고맙 었 다"),
        ("고맙/VA-I@0+3 은데요/EF@2+3", "고맙 ㄴ데 요"),
        ("덥/VA-I@0+2 은데도/EC@1+3", "덥 ㄴ데 도"),
        ("줍/VV-I@0+2 읍시다/EF@1+3", "줍 ㅂ시다"),
        ("줍/VV-I@0+2 으세요/EF@1+3", "줍 시 어요"),
        ("돕/VV-I@0+1 아/EC@1+1", "돕 아"),
        ("곱/VA-I@0+1 았/EP@1+1 다/EF@2+1", "곱 았 다"),
    ],
)
def test_endings_after_a_lost_b_are_written_as_heard(kiwi, deeq):
    assert forms(kiwi) == deeq


def test_other_irregular_stems_keep_their_endings():
    assert forms("듣/VV-I@0+1 은/ETM@1+1") == "듣 은"
    assert forms("잡/VV-R@0+1 은/ETM@1+1") == "잡 은"


def test_an_ending_at_the_beginning_stays():
    assert forms("은/ETM@0+1 여서/EC@1+2") == "은 여서"


def test_an_ending_of_which_nothing_is_heard_is_dropped():
    assert forms("돕/VV-I@0+2 으/EC@1+1") == "돕"


@pytest.mark.parametrize(
    ("kiwi", "deeq"),
    [
        ("날/NNG@0+1 이/VCP@1+1 네요/EF@2+2", "날/NNG 이/VCP 네/EF 요/JX"),
        ("하/VV@0+1 ㄹ까요/EF@0+3", "하/VV ㄹ까/EF 요/JX"),
        ("하/VV@0+1 세요/EF@1+2", "하/VV 시/EP 어요/EF"),
        ("먹/VV@0+1 으세요/EF@1+3", "먹/VV 으시/EP 어요/EF"),
        ("뭐/NP@0+1 이/VCP@1+0 예요/EF@1+2", "뭐/NP 이/VCP 에요/EF"),
        ("반갑/VA-I@0+3 아요/EF@2+2", "반갑/VA 어요/EF"),
    ],
)
def test_yo_at_the_end_is_a_particle(kiwi, deeq):
    assert tagged(kiwi) == deeq


@pytest.mark.parametrize("ending", ["어요", "아요", "에요", "잖아요", "지요", "죠", "요"])
def test_some_endings_with_yo_stay_whole(ending):
    assert forms(f"먹/VV@0+1 {ending}/EF@1+{len(ending)}") == f"먹 {ending}"


@pytest.mark.parametrize(
    ("ending", "deeq"),
    [("면은", "면 은"), ("고는", "고 는"), ("는데도", "는데 도"), ("ㅂ니다만", "ㅂ니다 만")],
)
def test_a_particle_at_an_ending_is_a_morpheme(ending, deeq):
    assert forms(f"가/VV@0+1 {ending}/EC@1+2") == f"가 {deeq}"


@pytest.mark.parametrize("ending", ["ㅂ니다마는", "더라도", "지만", "니깐"])
def test_endings_that_only_look_like_it_stay(ending):
    assert forms(f"가/VV@0+1 {ending}/EC@1+2") == f"가 {ending}"


def test_a_thing_is_shortened_as_in_the_text():
    kiwi = "가/VV@0+1 는/ETM@1+1 것/NNB@2+1 이/JKS@2+1"
    assert forms(kiwi) == "가 는 거 이"
    kiwi = "가/VV@0+1 는/ETM@1+1 것/NNB@2+1 이/JKS@3+1"
    assert forms(kiwi) == "가 는 것 이"


def test_a_root_is_one_stem_with_its_suffix():
    kiwi = "따뜻/XR@0+2 하/XSA@2+1 ㄴ/ETM@2+1"
    assert tagged(kiwi) == "따뜻하/VA ㄴ/ETM"
    kiwi = "매끄럽/XR@0+3 스럽/XSA-I@3+3 은/ETM@5+1"
    assert tagged(kiwi) == "매끄럽스럽/VA ㄴ/ETM"


def test_a_noun_is_not():
    kiwi = "선명/NNG@0+2 하/XSA@2+1 게/EC@3+1"
    assert tagged(kiwi) == "선명/NNG 하/XSA 게/EC"


def test_a_root_by_itself_stays():
    assert tagged("죄송/XR@0+2") == "죄송/XR"


def test_an_adverb_is_one_morpheme():
    assert tagged("명확/XR@0+2 히/XSM@2+1") == "명확히/MAG"


def test_some_adverbs_are_stems_with_an_ending():
    assert convert("이렇게/MAG@0+3") == [("이렇", "VA", 0), ("게", "EC", 2)]


def test_numbers_are_split_at_signs():
    kiwi = "1,000.5/SN@0+7 원/NNB@7+1"
    assert convert(kiwi) == [
        ("1", "SN", 0),
        (",", "SP", 1),
        ("000", "SN", 2),
        (".", "SF", 5),
        ("5", "SN", 6),
        ("원", "NNB", 7),
    ]


@pytest.mark.parametrize(
    ("run", "tag", "deeq"),
    [
        ("?!", "SF", "? !"),
        ("..", "SF", ". ."),
        ("://", "SP", ": / /"),
        ("...", "SF", "..."),
        ("……", "SE", "……"),
        ("ㅋㅋㅋ", "SW", "ㅋㅋㅋ"),
        ("👨‍👩‍👧", "SW", "👨‍👩‍👧"),
    ],
)
def test_punctuation_marks_are_single(run, tag, deeq):
    assert forms(f"{run}/{tag}@0+{len(run)}") == deeq


@pytest.mark.parametrize(
    ("form", "kiwi", "deeq"),
    [
        ("걷", "VV-I", "VV"),
        ("잡", "VV-R", "VV"),
        ("(", "SSO", "SS"),
        (")", "SSC", "SS"),
        ("①", "SB", "SW"),
        ("그", "MM", "MMD"),
        ("세", "MM", "MMN"),
        ("새", "MM", "MMA"),
        ("a@b.kr", "W_EMAIL", "SL"),
        ("010", "W_SERIAL", "SN"),
        ("😀", "W_EMOJI", "SW"),
        ("뷁", "UN", "NA"),
        ("나무", "NNG", "NNG"),
    ],
)
def test_tags(form, kiwi, deeq):
    assert conventions.deeq_tag(form, kiwi) == deeq


def test_jamo_are_compatible():
    assert conventions.entry_of("ᅡ", "SW").form == "ㅏ"


def test_whitespace_in_a_form_goes():
    assert conventions.entry_of("대한 민국", "NNP").form == "대한민국"


def test_empty_morphemes_are_dropped():
    morphemes = [Morpheme("가", "VV", 0, 1), Morpheme(" ", "EC", 1, 0)]
    entry = conventions.entry_of(*morphemes[1][:2])
    assert entry.rule(morphemes, 1).pieces == []


@pytest.mark.parametrize(
    ("label", "deeq"),
    [
        ("13.", "13/SN ./SF"),
        ("가)", "가/SW )/SS"),
        ("(3)", "(/SS 3/SN )/SS"),
        ("①", "①/SW"),
    ],
)
def test_labels_of_lists_are_taken_apart(label, deeq):
    assert tagged(f"{label}/SB@0+{len(label)}") == deeq
