"""Sentences by Kiwi, by the rules with Kiwi's help, and the choice of a splitter."""

import multiprocessing
import pickle
import subprocess
import sys

import pytest
from sentence_scores import read_paragraphs, score

from deeq_bert.corpus import kiwi_sentences, sentences
from deeq_bert.corpus.splitters import SPLITTERS, make_splitter
from deeq_bert.tokenizers.errors import InputError

# Forms of speech the rules do not dare to end a sentence at.
CASUAL = (
    "나는 어제 친구랑 같이 바닷가에 가서 하루 종일 모래로 집을 짓고 놀았거든 "
    "근데 갑자기 비가 쏟아지는 바람에 우리가 지은 집이 모두 무너져 버리더라"
)


@pytest.fixture(scope="module", params=["kiwi", "hybrid"])
def splitter(request):
    pytest.importorskip("kiwipiepy")
    return make_splitter(request.param)


@pytest.fixture
def without_kiwi(monkeypatch):
    monkeypatch.setattr(kiwi_sentences.importlib.util, "find_spec", lambda name: None)


def test_the_rules_are_chosen_by_name():
    assert make_splitter("rule") is sentences.split


def test_none_splits_at_line_feeds_only():
    split = make_splitter("none")

    assert split(" 비가 온다. 춥다.\n\n 눈이 온다.\n") == ["비가 온다. 춥다.", "눈이 온다."]


def test_another_name_is_an_error():
    with pytest.raises(InputError, match="'kss'. Choose one of rule, kiwi, hybrid, none"):
        make_splitter("kss")


@pytest.mark.parametrize("name", ["kiwi", "hybrid"])
def test_without_kiwi_the_error_says_how_to_install_it(name, without_kiwi):
    with pytest.raises(InputError, match=r"pip install -e '\.\[deeq\]'"):
        make_splitter(name)


@pytest.mark.parametrize("name", ["rule", "none"])
def test_the_rules_need_no_kiwi(name, without_kiwi):
    assert make_splitter(name)("비가 온다") == ["비가 온다"]


def test_splitters_load_nothing_until_they_are_used():
    program = (
        "import sys\nfrom deeq_bert.corpus.splitters import SPLITTERS, make_splitter\n"
        "for name in SPLITTERS: make_splitter(name)\n"
        "sys.exit('kiwipiepy' in sys.modules)"
    )
    pytest.importorskip("kiwipiepy")
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_sentences(splitter):
    assert splitter("비가 온다. 우산을 폈다.\n춥다") == ["비가 온다.", "우산을 폈다.", "춥다"]


def test_kiwi_sees_what_the_rules_leave(splitter):
    assert len(sentences.split(CASUAL.replace("근데", "그"))) == 1
    assert len(splitter(CASUAL.replace("근데", "그"))) == 2


def test_nothing_gives_no_sentence(splitter):
    assert splitter(" \n ") == []


@pytest.mark.parametrize(
    "text",
    [
        CASUAL * 60,
        "가나다라마바사" * 1500,
        "만담과 슬랩스틱 코미디는 그렇지 않다 " * 400,
        "좋아요😀😀 정말 좋아요 👍🏻 그래서 또 갔어요\ud800 다시 \t 갔네요\u3000끝" * 20,
        "ㅋㅋㅋ" * 3000,
    ],
    ids=["sentences", "one word", "overlaps", "characters", "laughter"],
)
def test_nothing_is_lost(splitter, text):
    found = splitter(text)

    assert "".join("".join(found).split()) == "".join(text.split())
    assert all(sentence and sentence == sentence.strip() for sentence in found)


def test_stretches_end_no_sentence():
    pytest.importorskip("kiwipiepy")
    text = "비가 온다. " + "아주 " * 4000 + "많이 온다. 그친다."

    assert len(make_splitter("kiwi")(text)[0]) == len("비가 온다.")
    assert make_splitter("kiwi")(text)[-1] == "그친다."


@pytest.mark.parametrize(
    ("sentence", "doubtful"),
    [
        ("짧은 글", False),
        ("가나다 " * 30 + "끝", True),
        ("가나다 " * 30 + "끝.", False),
        ("가나다 " * 30 + "끝!”", False),
    ],
)
def test_only_long_fragments_without_final_punctuation_go_to_kiwi(sentence, doubtful):
    assert kiwi_sentences.is_doubtful(sentence) is doubtful


def test_a_copy_works_too(splitter):
    copy = pickle.loads(pickle.dumps(splitter))

    assert copy(CASUAL) == splitter(CASUAL)


def test_a_forked_process_loads_its_own(splitter):
    expected = splitter(CASUAL)

    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.map(splitter, [CASUAL]) == [expected]


@pytest.mark.parametrize("name", SPLITTERS)
def test_line_feeds_are_boundaries_for_all(name):
    if name in ("kiwi", "hybrid"):
        pytest.importorskip("kiwipiepy")

    assert make_splitter(name)("봄이\n온다") == ["봄이", "온다"]


def test_kiwi_helps_the_rules(real_corpus):
    pytest.importorskip("kiwipiepy")
    paths = sorted(real_corpus.glob("wiki/kss_bench_txt/[bnstvw]*.txt"))
    paragraphs = [paragraph for path in paths for paragraph in read_paragraphs(path)]

    hybrid = score(make_splitter("hybrid"), paragraphs)

    assert hybrid.f1 > score(sentences.split, paragraphs).f1
    assert hybrid.normalized_f1 > 0.9
