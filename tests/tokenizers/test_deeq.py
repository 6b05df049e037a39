"""The morpheme tokenizers, on analyses that are written down here."""

import itertools

import pytest

from deeq_bert.tokenizers.analyzers.base import Analysis, Analyzer
from deeq_bert.tokenizers.base import MORPHEME_START, WORD_START
from deeq_bert.tokenizers.deeq import DeeqTokenizer, DeeqWordpieceTokenizer, analyze_lines

SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
NEW_WORD = WORD_START | MORPHEME_START


class WrittenAnalyzer(Analyzer):
    """Knows some eojeols, as form:length pairs; any other is a morpheme by itself."""

    EOJEOLS = {
        "추운": [("춥", 1), ("ㄴ", 1)],
        "했다": [("하", 0), ("았", 1), ("다", 1)],
        "서울은": [("서울", 2), ("은", 1)],
        "[MASK]": [("[", 1), ("MASK", 4), ("]", 1)],
        "[CLS]": [("[", 1), ("CLS", 3), ("]", 1)],
    }

    def __init__(self):
        self.texts = []

    def identity(self):
        return {"name": "written"}

    def analyze(self, texts):
        for text in texts:
            self.texts.append(text)
            yield self._analysis(text)

    def _analysis(self, text):
        analysis, word_starts, place = Analysis([], [], [], [], b""), bytearray(), 0
        for eojeol in text.split():
            start = place = text.index(eojeol, place)
            for form, length in self.EOJEOLS.get(eojeol, [(eojeol, len(eojeol))]):
                analysis.forms.append(form)
                analysis.tags.append("NNG")
                analysis.starts.append(place)
                analysis.ends.append(place + (length or 1))
                word_starts.append(place == start and analysis.starts[-2:].count(start) == 1)
                place += length
        analysis.word_starts = bytes(word_starts)
        return analysis


@pytest.fixture
def analyzer() -> WrittenAnalyzer:
    return WrittenAnalyzer()


@pytest.fixture
def make(tmp_path, analyzer):
    """Makes a tokenizer of a vocabulary: the special tokens and the words given."""

    def make(words: str, kind=DeeqTokenizer, **options):
        path = tmp_path / "vocab.txt"
        path.write_text("\n".join([*SPECIAL_TOKENS, *words.split()]) + "\n", encoding="utf-8")
        return kind(str(path), analyzer, **options)

    return make


def test_a_morpheme_of_the_vocabulary_is_a_token(make):
    assert make("춥 ㄴ 서울 은").tokenize("추운 서울은") == ["춥", "ㄴ", "서울", "은"]


def test_another_is_split_into_the_longest_prefixes(make):
    deeq = make("가 가나 다 라 라마 라마바사")
    assert deeq.tokenize("가나다라마바") == ["가나", "다", "라마", "[UNK]"]


def test_what_no_prefix_matches_is_unknown_by_the_character(make):
    assert make("가 나 다").tokenize("가x나xx다") == ["가", "[UNK]", "나", "[UNK]", "[UNK]", "다"]


def test_the_original_swallows_the_rest_of_the_morpheme(make):
    deeq = make("가 나 다", compat=True)
    assert deeq.tokenize("가x나다 다") == ["가", "[UNK]", "다"]


def test_case_is_kept(make):
    assert make("Apple apple").tokenize("Apple apple") == ["Apple", "apple"]


def test_no_normalization_takes_place(make):
    decomposed = "\u1112\u1161\u11ab"
    deeq = make(f"한 {decomposed} ①")
    assert deeq.tokenize(f"한 {decomposed} ①") == ["한", decomposed, "①"]


@pytest.mark.parametrize("char", ["\u200d", "\ufeff", "\u0000", "\u00ad", "\ue000"])
def test_control_and_format_characters_vanish(make, char):
    assert make("가나").tokenize(f"가{char}나") == ["가나"]


@pytest.mark.parametrize("char", ["\t", "\r", "\u00a0", "\n"])
def test_tab_carriage_return_and_no_break_space_separate(make, char):
    assert make("가 나 가나").tokenize(f"가{char}나") == ["가", "나"]


@pytest.mark.parametrize("char", ["\t", "\r"])
def test_the_original_glues_words_around_a_tab(make, char):
    assert make("가 나 가나", compat=True).tokenize(f"가{char}나") == ["가나"]


def test_the_original_has_blanks_for_no_break_spaces(make):
    assert make("가 나 가나", compat=True).tokenize("가\u00a0나") == ["가", "나"]


def test_a_grave_accent_is_an_apostrophe(make):
    assert make("' ''").tokenize("``") == ["''"]


def test_every_special_token_is_kept(make, analyzer):
    deeq = make("서울 은 추 [unused0]")
    text = "[CLS]서울은 [MASK][MASK] 서울은[SEP]"
    assert deeq.tokenize(text) == ["[CLS]", "서울", "은", "[MASK]", "[MASK]", "서울", "은", "[SEP]"]
    assert analyzer.texts == ["서울은", "서울은"]


def test_a_special_token_the_vocabulary_lacks_is_text(tmp_path, analyzer):
    path = tmp_path / "vocab.txt"
    path.write_text("[UNK]\n[CLS]\n[SEP]\n[MASK]\n가\n", encoding="utf-8")
    assert DeeqTokenizer(str(path), analyzer).tokenize("[PAD]") == ["[UNK]"] * 5


def test_the_original_keeps_the_first_mask_only(make):
    deeq = make("가 [ ]", compat=True)
    assert deeq.tokenize("가[MASK]가 [MASK]") == ["가", "[MASK]", "가", "[", "[UNK]", "]"]
    assert deeq.tokenize("[CLS]") == ["[", "[UNK]", "]"]


def test_blank_text_has_no_tokens_and_is_not_analysed(make, analyzer):
    deeq = make("가")
    assert [deeq.tokenize(text) for text in ("", "  ", "\t\u3000", "\u200b")] == [[], [], [], []]
    assert analyzer.texts == []


def test_lines_stay_apart_and_in_order(make):
    lines = ["", "가", "[MASK]", " ", "나 [SEP] 가", "나", ""]
    ids = [list(line.ids) for line in make("가 나").tokenize_lines(lines)]
    assert ids == [[], [5], [4], [], [6, 3, 5], [6], []]


def test_lines_are_read_as_they_are_needed(make):
    read = []

    def lines():
        for number in range(1000):
            read.append(number)
            yield "가"

    next(make("가").tokenize_lines(lines()))
    assert len(read) < 10


def test_units_tell_words_and_morphemes(make):
    deeq = make("춥 ㄴ 서 울 은")
    assert list(deeq.encode("추운 서울은 [MASK]").units) == [
        *(NEW_WORD, MORPHEME_START),
        *(NEW_WORD, 0, MORPHEME_START),
        NEW_WORD,
    ]


def test_lines_have_the_ids_and_units_of_encode(make):
    deeq = make("춥 ㄴ 서 울 은 하 았 다")
    for text in ("추운 서울은 [MASK]했다", "x 추운", "[MASK]", ""):
        encoding = deeq.encode(text)
        (line,) = deeq.tokenize_lines([text])
        assert (list(line.ids), line.units) == (encoding.ids, encoding.units)
        assert deeq.text_to_ids(text) == encoding.ids
        assert deeq.tokenize(text) == encoding.tokens


def spans(tokenizer, text: str) -> list[str]:
    encoding = tokenizer.encode(text)
    return [text[start:end] for start, end in zip(encoding.starts, encoding.ends)]


def test_offsets_are_those_of_the_characters(make):
    deeq = make("춥 ㄴ 서 울 은 하 았 다")
    assert spans(deeq, " 추운  서울은 했다") == ["추", "운", "서", "울", "은", "했", "했", "다"]


def test_offsets_count_what_was_dropped(make):
    deeq = make("서울 은 가")
    text = "\ufeff서\u200b울은\t[MASK] \u00ad가"
    # The eojeol 서울은 is recognised once the zero-width space is gone.
    assert spans(deeq, text) == ["서\u200b울", "은", "[MASK]", "가"]


def test_offsets_of_unknown_characters(make):
    assert spans(make("가 나"), "가x나") == ["가", "x", "나"]
    assert spans(make("가 나", compat=True), "가x나") == ["가", "x나"]


def test_wordpiece_inside_morphemes(make):
    deeq = make("서 ##울 ##은 은", kind=DeeqWordpieceTokenizer)
    assert deeq.tokenize("서울은") == ["서", "##울", "은"]
    assert spans(deeq, "서울은") == ["서", "울", "은"]
    assert list(deeq.encode("서울은").units) == [NEW_WORD, 0, MORPHEME_START]


def test_a_morpheme_without_pieces_is_unknown_as_a_whole(make):
    deeq = make("서 은", kind=DeeqWordpieceTokenizer)
    assert deeq.tokenize("서울은") == ["[UNK]", "은"]
    assert spans(deeq, "서울은") == ["서울", "은"]


def test_analyses_of_lines_are_those_between_special_tokens(analyzer):
    lines = ["", "서울은 [MASK] 추운", "[SEP]"]
    forms = [
        [list(analysis.forms) for analysis in analyses]
        for analyses in analyze_lines(analyzer, lines)
    ]
    assert forms == [[], [["서울", "은"], ["춥", "ㄴ"]], []]


def test_the_identity_is_that_of_the_analyzer_and_of_the_quirks(make):
    assert make("가").identity() == {"analyzer": {"name": "written"}}
    assert make("가", compat=True).identity()["deeq_compat"] is True


def test_an_analyzer_that_gives_too_little_is_no_silent_loss(make, analyzer):
    analyze = analyzer.analyze
    analyzer.analyze = lambda texts: itertools.islice(analyze(texts), 1)
    with pytest.raises(RuntimeError, match="fewer"):
        list(make("가").tokenize_lines(["가", "가"]))


def test_an_analyzer_that_reads_all_and_gives_too_little_neither(make, analyzer):
    analyze = analyzer.analyze
    analyzer.analyze = lambda texts: list(analyze(texts))[:1]
    with pytest.raises(RuntimeError, match="fewer"):
        list(make("가").tokenize_lines(["가", "가"]))
