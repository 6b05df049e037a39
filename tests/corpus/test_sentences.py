"""Sentences by rules: an example a line, "|" standing for a boundary."""

import random
import time

import pytest
from sentence_scores import read_paragraphs, score

from deeq_bert.corpus.sentences import split

PUNCTUATED = """
비가 온다. | 우산을 폈다. | 그래도 젖었다!
정말? | 믿을 수 없다!! | 왜 그랬을까?! | 모르겠다
안녕하세요！ | 반갑습니다。 | 또 봐요
我来了。 | 你好！ | 再见？ | 好
비가 그쳤다.[1][2] | 해가 떴다.[참고 3] | 맑다.
그 책은 잘 팔렸다. (2021년 3월) | 다음 책도 그랬다.
(다 믿지는 마세요..) | 아무튼 그렇습니다.
그는 웃었다 (정말이다). | 그리고 갔다.
"""

QUOTATIONS = """
“오늘은 춥다. 내일도 춥겠다.”라고 말했다. | 그는 떠났다.
"왜? 몰라."라며 웃었다. | 끝이다.
그는 "가자. 어서."하고 외쳤다. | 우리는 갔다.
그는 "가자. 어서." 하며 일어섰다. | 우리도 일어섰다.
'됐다. 이제 그만.' | 그는 그렇게 생각했다.
“나는 몰라.” | 그리고 문을 닫았다.
“가.” | “왜?” | “그냥.”
김 씨는 “맞다”고 했다. | 이 씨는 “아니다. 틀렸다”고 했다.
그는 "첫째가 있다. 둘째도 있다”고 말했다. | 셋째는 없다.
그는 (말하자면 그렇다. 아니면 말고) 떠났다. | 나는 남았다.
옛말에 ' 낮말은 새가 듣는다 ' 는 말이 있다. | 그렇다.
《밤. 그리고 낮》을 읽었다. | 좋았다.
정말 될까? 라는 의문이 든다. | 안 된다.
이건 뭐지?? 하고 찾아봤다. | 별것 아니었다.
키는 17" 정도다. | 무게는 모른다.
He didn't go. | We don't know. | 끝이다.
"""

DOTS = """
원주율은 3.14 정도다. | 값은 2.5배다.
2020. 10. 17. 서울에서 열렸다. | 비가 왔다.
이 방법(김철수, 2010. 3.)은 널리 쓰인다. | 다음을 보자.
1. 사과를 씻는다. | 2. 껍질을 깎는다. | 3. 먹는다.
가. 목적 나. 범위
값은 3000. | 그리고 끝.
Dr. Kim은 U.S. 시민이다. | Apple Inc. 주식도 있다.
e.g. 사과, No. 1 vs. No. 2.
J. K. 롤링이 썼다. | 재밌다.
It is fine. | We go. | Mr. Smith came at 5 p.m. yesterday.
주소는 http://a.example/x?y=1. | 메일은 a.b@c.example 입니다. | 감사합니다.
글쎄… 잘 모르겠다. | 그런데... 누구세요?
그 사람이 갔다... | 나도 가고 싶은데 갈 수가...
긴장이 감돌았다…는 말은 과장이다. | 조용했다.
"""

BARE = """
강남역에 다녀왔습니다 | 음식이 맛있었어요 | 다음에 또 갈 거예요
모두 다 좋다 | 필요 없는 것도 중요 내용도 무엇보다 바다 같다
집마다 다르다 | 그렇게 보인다 | 내일은 없다
비가 온다 하더라도 간다 | 눈이 온다 해도 간다
생각했다 하면 실수다 | 춥다 싶었다 | 좋다 말했다
맛있다는 말을 들었다 | 그는 간다고 했다
갔다 와서 사람이 많다 보니 늦었다
먹어도 될까 싶었다 | 괜찮을까 걱정했다
뜻이 무엇인가 하는 문제다
이것도 있음 | 저것도 없음 | 다음 주에 처음 감
갔다 왔음. | 정말 좋아함 | 꼭 다시 가야 함
신임 대표는 취임 후 책임 경영을 한다
재밌네 | 동네 사람 네 명이 봤다
했거든요 | 그렇더라고요 | 수요 조사를 하죠 | 네
르완다 사람과 아만다 씨가 왔다
이거 진짜 웃긴 거야 | 근데 좀 길어
"""

MOODS = """
재밌어요ㅋㅋㅋ | 또 볼게요 ㅎㅎ | 추천합니다 ^^ | 꼭 보세요 😊 | 안녕!
너무 슬펐다 ㅠㅠ | 그래도 좋았다~ | 최고!! ㅋㅋ | 끝
진짜 감사합니다♡♡ 👍🏻 | 좋아요
사진ㅎㅎ | 여기 있어요
ㅋㅋㅋㅋ 이게 뭐야
"""


def examples(*texts: str) -> list[str]:
    return [line for text in texts for line in text.strip().split("\n")]


@pytest.mark.parametrize("example", examples(PUNCTUATED, QUOTATIONS, DOTS, BARE, MOODS))
def test_sentences(example):
    assert split(example.replace(" | ", " ")) == example.split(" | ")


@pytest.mark.parametrize(
    "example",
    [
        "맛있다.|그래서 또 갔다",
        "재밌어요!!!|꼭 보세요",
        "맛있었다ㅋㅋ|근데 비싸다",
        "뭐지?|모르겠다",
    ],
)
def test_sentences_without_a_blank_between(example):
    assert split(example.replace("|", "")) == example.split("|")


def test_a_line_feed_is_a_boundary():
    assert split("봄이\n온다 \n\n 꽃이\t핀다\n") == ["봄이", "온다", "꽃이\t핀다"]


@pytest.mark.parametrize("blank", ["", " ", "\n", " \u3000\n\t"])
def test_nothing_gives_no_sentence(blank):
    assert split(blank) == []


@pytest.mark.parametrize("blank", ["\t", "\u3000", "\xa0", "   "])
def test_any_white_space_parts_sentences(blank):
    assert split(f"간다.{blank}온다{blank}") == ["간다.", "온다"]


PIECES = [*"다요죠까네음임함.…!?。，,:\"'“”‘’()[]<>《》「」ㅠ~♥😀3a나 \t\n\xa0\u3000\u200d\ud800"]
PIECES += [
    "했다",
    "갔다.",
    "습니다",
    "하고",
    "라고",
    "할까",
    "그래서",
    "근데",
    "사람",
    "ㅋㅋ",
    "^^",
]
PIECES += ["..", "1.", "U.S.", "etc.", "가.", " ", " ", " "]


def test_nothing_is_lost():
    chance = random.Random(1)
    for _ in range(3000):
        text = "".join(chance.choices(PIECES, k=chance.randint(0, 30)))

        sentences = split(text)

        assert "".join("".join(sentences).split()) == "".join(text.split())
        assert all(sentence and sentence == sentence.strip() for sentence in sentences)


@pytest.mark.parametrize(
    "unit",
    [*"다요음.!?…\"'“”(<ㅋ~1a 가 \t", "다 ", "다. ", "다.", "다... ", "가... ", "1. ", "a. ", "ㅋ "]
    + [
        '"a ',
        "(가) ",
        "(가(",
        "“가",
        "“다.” ",
        "[1]",
        "다(",
        "하고 다 ",
        "다~.",
        "!?",
        "'\"",
        "다  ",
    ],
)
def test_a_long_line_of_one_thing_takes_no_time(unit):
    text = unit * (1_000_000 // len(unit))
    begin = time.process_time()

    split(text)

    assert time.process_time() - begin < 5


@pytest.mark.parametrize("tail", "다.~ㅋ!\"'“( a1")
def test_a_long_tail_takes_no_time(tail):
    begin = time.process_time()

    split("갔다." + tail * 300_000 + "가")
    split("갔다 ㅋ" + tail * 300_000 + "가")

    assert time.process_time() - begin < 5


def test_sentences_of_blogs_tweets_and_an_encyclopedia(real_corpus):
    paths = sorted(real_corpus.glob("wiki/kss_bench_txt/*.txt"))
    paragraphs = [
        paragraph
        for path in paths
        if path.name != "SOURCE.txt"
        for paragraph in read_paragraphs(path)
    ]

    scores = score(split, paragraphs)

    assert scores.em > 0.86
    assert scores.normalized_f1 > 0.9


@pytest.mark.parametrize(("marks", "least"), [("", 0.99), (".!?…", 0.93)])
def test_sentences_of_a_treebank(real_corpus, marks, least):
    paragraphs = []
    for path in sorted(real_corpus.glob("ud/kaist_txt/M*.txt"))[::10]:
        lines = path.read_text(encoding="utf-8").split("\n")
        lines = [stripped for line in lines if (stripped := line.strip().rstrip(marks))]
        paragraphs += [lines[index : index + 5] for index in range(0, len(lines), 5)]

    assert score(split, paragraphs).em > least


@pytest.mark.parametrize(
    "sentence",
    [
        "똑같은 증상이 있었는데 껐다 켜니까 되더라고요",
        "문을 열었다 닫았다 하면서 놀았다",
        "하루 종일 왔다 갔다 했다",
        "오늘 갔다 온 식당입니다",
        "줬다 뺏는 게 어딨어",
    ],
)
def test_two_verbs_that_take_turns_are_one_sentence(sentence):
    assert split(sentence) == [sentence]
