"""Transcripts of KsponSpeech, and CoNLL-U treebanks."""

import time

import pytest

from deeq_bert.corpus.readers.annotated_text import ConlluReader, KsponReader
from deeq_bert.corpus.readers.input_file import InputFile
from deeq_bert.tokenizers.errors import InputError


def read(tmp_path, reader, text: str) -> list:
    path = tmp_path / "file.txt"
    path.write_text(text, encoding="utf-8")
    return list(reader.read(InputFile(str(path))))


@pytest.mark.parametrize(
    ("transcript", "text"),
    [
        ("o/ n/ 그/ 네가 왔다. b/", "그 네가 왔다."),
        ("n/그/ 그거", "그 그거"),
        ("(3개)/(세 개) 샀어+ (1/2)/(이 분의 일)*.", "3개 샀어 1/2."),
        ("아+ 아니 1+1은 2다", "아 아니 1+1은 2다"),
        ("(괄호) 안의 글", "(괄호) 안의 글"),
    ],
)
def test_transcripts_lose_their_marks(tmp_path, transcript, text):
    (document,) = read(tmp_path, KsponReader(), f"a/b_000001.pcm :: {transcript}\n")
    assert (document.id, document.paragraphs) == ("a/b_000001.pcm", [text])


def test_a_line_without_its_parts_is_broken(tmp_path):
    records = read(tmp_path, KsponReader(), "a.pcm :: 글\n그냥 글\n")
    assert (records[1].problem, records[1].sample) == ("no ::", "그냥 글")


@pytest.mark.parametrize("piece", ["(", "()/(", "/", "+", "b/", "가/", "*+", "(a)/"])
def test_a_transcript_of_any_kind_takes_time_by_its_size(tmp_path, piece):
    start = time.monotonic()
    read(tmp_path, KsponReader(), "a.pcm :: " + piece * (1_000_000 // len(piece)) + "x")
    assert time.monotonic() - start < 5


TREEBANK = """# newdoc id = 첫글
# sent_id = 1
# text = 첫 문장이다.
1\t첫\t_\tDET\t_\t_\t2\tdet\t_\t_
2\t문장이다\t_\tNOUN\t_\t_\t0\troot\t_\t_

# text = 둘째 = 문장.
1\t둘째\t_\tNOUN\t_\t_\t0\troot\t_\t_

# newdoc
# text = 다른 글.
1\t다른\t_\tDET\t_\t_\t0\troot\t_\t_
"""


def test_sentences_of_a_treebank_are_paragraphs(tmp_path):
    first, second = read(tmp_path, ConlluReader(), TREEBANK)
    assert (first.id, first.paragraphs) == ("첫글", ["첫 문장이다.", "둘째 = 문장."])
    assert second.paragraphs == ["다른 글."]


def test_a_treebank_without_marks_of_documents_is_one(tmp_path):
    text = TREEBANK.replace("newdoc", "newpar")
    (document,) = read(tmp_path, ConlluReader(), text)
    assert len(document.paragraphs) == 3


def test_a_sentence_without_its_text_is_broken(tmp_path):
    document, broken = reversed(read(tmp_path, ConlluReader(), "1\t글\t_\n\n# text = 글.\n1\t글\n"))
    assert (broken.problem, broken.place.rpartition(" ")[2]) == ("no # text comment", "1")
    assert document.paragraphs == ["글."]


@pytest.mark.parametrize("reader", [KsponReader(), ConlluReader()])
def test_a_file_of_another_kind_is_refused(tmp_path, reader):
    with pytest.raises(InputError, match="그냥 글.*Choose another reader"):
        read(tmp_path, reader, "그냥 글\n")


def test_a_real_treebank_is_read_whole(real_corpus):
    path = real_corpus / "ud" / "conllu_raw" / "ko_pud-ud-test.conllu"
    (document,) = ConlluReader().read(InputFile(str(path)))
    assert len(document.paragraphs) == 1000


def test_all_transcripts_of_the_fixtures_are_read(real_formats):
    path = real_formats / "aihub" / "105_kspon" / "train.trn"
    documents = list(KsponReader().read(InputFile(str(path))))
    assert len(documents) == 200
    assert not any("/" in document.paragraphs[0] for document in documents)
