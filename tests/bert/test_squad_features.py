"""Questions and texts as inputs: the original's windows, and answers found by characters."""

import functools

import numpy as np
import pytest
from squad_golden import features_of, read_golden

from deeq_bert.bert.squad_examples import Answer, SquadExample
from deeq_bert.bert.squad_features import (
    WindowSettings,
    convert_examples_to_features,
    max_contexts,
    window_spans,
)
from deeq_bert.bert.squad_placement import (
    CharacterContext,
    WordContext,
    place_by_characters,
    place_by_words,
    place_in_processes,
)
from deeq_bert.bert.tokenization import TokenizerSettings, make_tokenizer
from deeq_bert.tokenizers.vocabulary import SPECIAL_TOKENS

FIRST_UNIQUE_ID = 1_000_000_000
SMALL = WindowSettings(max_seq_length=24, doc_stride=5, max_query_length=4)

TEXT = "나는 서울에 산다. 어제는 부산에 갔다."
MORPHEMES = "나 는 서울 에 살 ㄴ다 . 어제 부산 가 았 다 어디"


@pytest.fixture
def tokenizer(own):
    """WordPiece with the sample's vocabulary."""
    return make_tokenizer(TokenizerSettings("wordpiece", str(own / "vocab.txt"), False))


@pytest.fixture(scope="module")
def deeq(tmp_path_factory):
    """A tokenizer of morphemes."""
    pytest.importorskip("kiwipiepy", reason="needs pip install -e '.[deeq]'")
    vocab_file = tmp_path_factory.mktemp("deeq") / "vocab.txt"
    vocab_file.write_text("\n".join([*SPECIAL_TOKENS, *MORPHEMES.split()]))
    return make_tokenizer(TokenizerSettings("deeq", str(vocab_file), False))


def example(answer: str, start: int, text: str = TEXT) -> SquadExample:
    return SquadExample(answer, "어디?", text, (Answer(answer, start),), is_impossible=False)


def answer_of(features, row: int) -> str:
    """Returns the text between the start and the end position of a window."""
    window = features.windows[row]
    shift = window.first - window.offset
    start, end = (features.arrays[name][row] for name in ("start_positions", "end_positions"))
    return features.contexts[window.example_index].answer_text(start + shift, end + shift)


def described(tokenizer, features, row: int, is_training: bool) -> dict:
    """Returns one of our inputs in the words of the original's InputFeatures."""
    window = features.windows[row]
    example = features.examples[window.example_index]
    words = features.contexts[window.example_index].word_of
    arrays = {name: array[row].tolist() for name, array in features.arrays.items()}
    places = range(len(window.is_max_context))
    return {
        "unique_id": FIRST_UNIQUE_ID + row,
        "example_index": window.example_index,
        "doc_span_index": window.doc_span_index,
        "tokens": tokenizer.convert_ids_to_tokens(arrays["input_ids"][: sum(arrays["input_mask"])]),
        "token_to_orig_map": {
            str(window.offset + place): words[window.first + place] for place in places
        },
        "token_is_max_context": {
            str(window.offset + place): bool(window.is_max_context[place]) for place in places
        },
        "input_ids": arrays["input_ids"],
        "input_mask": arrays["input_mask"],
        "segment_ids": arrays["segment_ids"],
        "start_position": arrays.get("start_positions"),
        "end_position": arrays.get("end_positions"),
        "is_impossible": is_training and example.is_impossible,
    }


def test_all_24_runs_have_the_features_of_the_original(golden, own):
    runs = read_golden(golden)["runs"]
    assert len(runs) == 24
    for run in runs:
        tokenizer, features = features_of(golden, run, own / "vocab.txt")
        assert len(features.examples) == run["examples"]
        assert len(features.windows) == len(run["features"])
        for row, expected in enumerate(run["features"]):
            ours = described(tokenizer, features, row, run["is_training"])
            assert ours == expected, (row, run["max_seq_length"])


def test_morphemes_place_an_answer_before_its_particle(deeq):
    examples = [example("서울", 3), example("어제", 11), example("부산", 15)]
    place = functools.partial(place_by_characters, deeq)
    settings = WindowSettings(64, 32, 8)
    features = convert_examples_to_features(examples, deeq, place, settings, is_training=True)
    assert [answer_of(features, row) for row in range(3)] == ["서울", "어제", "부산"]


def test_processes_cut_as_one_does(tokenizer, own):
    texts = [TEXT, "부산에 산다.", TEXT]
    examples = [example("부산", text.index("부산"), text) for text in texts]
    settings = TokenizerSettings("wordpiece", str(own / "vocab.txt"), False)
    one, several = (
        convert_examples_to_features(examples, tokenizer, place, SMALL, is_training=True)
        for place in (
            functools.partial(place_by_characters, tokenizer),
            functools.partial(place_in_processes, functools.partial(make_tokenizer, settings), 2),
        )
    )
    assert one.windows == several.windows
    for name, array in one.arrays.items():
        np.testing.assert_array_equal(array, several.arrays[name])


def test_a_contracted_syllable_is_in_the_answer_whole(deeq):
    context = CharacterContext(deeq, TEXT)
    first, last = context.answer_tokens(Answer("갔다", TEXT.index("갔다")))
    assert last > first
    assert context.answer_text(first, last) == "갔다"


def test_line_ends_do_not_move_characters(deeq):
    text = "나는\r\n서울에\n산다."
    context = CharacterContext(deeq, text)
    assert context.answer_text(*context.answer_tokens(Answer("서울", 4))) == "서울"


def test_every_token_has_its_characters_with_wordpiece_too(tokenizer):
    text = "서울역에서 출발한 KTX 열차는 2시간 40분 만에 부산역에 도착했다."
    context = CharacterContext(tokenizer, text)
    joined = "".join(context.answer_text(token, token) for token in range(len(context.ids)))
    assert joined == text.replace(" ", "")


@pytest.mark.parametrize("make_context", [WordContext, CharacterContext])
@pytest.mark.parametrize(
    "answer",
    [
        Answer("서울", 14),
        Answer("서울", -3),
        Answer("서울", 900),
        Answer("", 3),
        Answer("갔다.", 23),
    ],
)
def test_an_answer_that_is_not_where_it_should_be_has_no_tokens(tokenizer, make_context, answer):
    assert make_context(tokenizer, TEXT).answer_tokens(answer) is None


def test_words_accept_an_answer_that_begins_elsewhere_in_its_word(tokenizer):
    assert WordContext(tokenizer, TEXT).answer_tokens(Answer("울에", 3)) is not None


def test_misplaced_answers_are_left_out_of_training_and_counted(tokenizer):
    examples = [example("대전", 3), example("서울", 3)]
    place = functools.partial(place_by_words, tokenizer)
    features = convert_examples_to_features(examples, tokenizer, place, SMALL, is_training=True)
    assert features.skipped == ["대전"]
    assert features.examples == examples[1:]


def test_misplaced_answers_do_not_matter_in_prediction(tokenizer):
    place = functools.partial(place_by_words, tokenizer)
    examples = [example("대전", 3)]
    features = convert_examples_to_features(examples, tokenizer, place, SMALL, is_training=False)
    assert features.examples == examples
    assert "start_positions" not in features.arrays


def test_a_window_without_the_answer_points_at_its_first_token(tokenizer):
    text = TEXT * 3
    place = functools.partial(place_by_characters, tokenizer)
    features = convert_examples_to_features(
        [example("나", 0, text)], tokenizer, place, SMALL, is_training=True
    )
    starts = features.arrays["start_positions"]
    assert starts[0] > 0
    assert not starts[1:].any()


def test_an_empty_text_has_no_window(tokenizer):
    place = functools.partial(place_by_words, tokenizer)
    features = convert_examples_to_features(
        [example("", 0, " ")], tokenizer, place, SMALL, is_training=False
    )
    assert features.windows == []
    assert features.arrays["input_ids"].shape == (0, SMALL.max_seq_length)


@pytest.mark.parametrize("num_tokens", [1, 7, 8, 9, 40])
@pytest.mark.parametrize("stride", [1, 3, 8, 20])
def test_every_token_has_one_window_of_most_context(num_tokens, stride):
    spans = window_spans(num_tokens, 8, stride)
    shown = np.zeros(num_tokens, int)
    for (start, end), is_max_context in zip(spans, max_contexts(spans)):
        shown[start:end] += np.frombuffer(is_max_context, np.uint8)
    assert shown.tolist() == [1] * num_tokens


def test_text_of_another_vocabulary_is_warned_of(tokenizer, caplog):
    place = functools.partial(place_by_words, tokenizer)
    unknown = example("ᄀ", 0, "꧁꧂ ꧁ ꧂꧁")
    with caplog.at_level("WARNING", logger="absl"):
        convert_examples_to_features([unknown], tokenizer, place, SMALL, is_training=False)
    assert "of all tokens are [UNK]" in caplog.text
