"""Plain text: documents by blank lines, by files, by lines."""

import pickle
import random

import pytest

from deeq_bert.corpus.readers import document_parts, input_file, plain_text
from deeq_bert.corpus.readers.base import BrokenRecord
from deeq_bert.corpus.readers.input_file import InputFile
from deeq_bert.corpus.readers.plain_text import PlainTextReader
from deeq_bert.tokenizers.errors import InputError


def write(tmp_path, text: str, encoding: str = "utf-8") -> str:
    path = tmp_path / "text.txt"
    path.write_bytes(text.encode(encoding))
    return str(path)


def paragraphs(tmp_path, text: str, **options) -> list[list[str]]:
    file = InputFile(write(tmp_path, text))
    return [document.paragraphs for document in PlainTextReader(**options).read(file)]


def test_blank_lines_separate_documents(tmp_path):
    text = "\n\n하나.\n둘.\n \u3000\t\n\n셋.\r\n\r\n"
    assert paragraphs(tmp_path, text) == [["하나.", "둘."], ["셋."]]


def test_each_line_is_a_document(tmp_path):
    assert paragraphs(tmp_path, "하나.\n\n 둘. \n", documents="line") == [["하나."], ["둘."]]


def test_a_file_is_a_document(tmp_path):
    assert paragraphs(tmp_path, "하나.\n\n둘.\n", documents="file") == [["하나.", "둘."]]


def test_wrapped_lines_are_joined(tmp_path):
    text = "긴 문장이 여러\n줄에 걸쳐 있다.\n\n다음 문단.\n 들여 쓴 줄은\n새 문단이다.\n"
    assert paragraphs(tmp_path, text, documents="file", join_lines=True) == [
        ["긴 문장이 여러 줄에 걸쳐 있다.", "다음 문단.", "들여 쓴 줄은 새 문단이다."]
    ]


@pytest.mark.parametrize("documents", plain_text.DOCUMENTS)
def test_a_file_without_text_has_no_documents(tmp_path, documents):
    assert paragraphs(tmp_path, "\n \n\n", documents=documents) == []


def test_documents_are_called_by_their_place(tmp_path):
    path = write(tmp_path, "\n하나.\n둘.\n\n셋.\n")
    documents = list(PlainTextReader().read(InputFile(path)))
    assert [document.id for document in documents] == [f"{path}, line 2", f"{path}, line 5"]


def read_in_ranges(path: str, cuts: list[int], size: int, reader: PlainTextReader) -> list:
    return [
        document.paragraphs
        for begin, end in zip([0, *cuts], [*cuts, size])
        for document in reader.read(InputFile(path, encoding="utf-8", begin=begin, end=end))
    ]


@pytest.mark.parametrize("documents", ["blank_line", "line"])
def test_every_document_is_in_one_range_wherever_the_cuts_are(tmp_path, documents, monkeypatch):
    monkeypatch.setattr(input_file, "BLOCK_BYTES", 16)
    monkeypatch.setattr(plain_text, "_LOOK_BACK_BYTES", 4)
    choose = random.Random(1)
    reader = PlainTextReader(documents)
    for trial in range(60):
        lines = choose.choices(["", " ", "\u3000", "가", "나 다", "긴 줄 " * 5, "\r"], k=30)
        data = ("\ufeff" * (trial % 2) + "\n".join(lines)).encode()
        path = write(tmp_path, data.decode())
        whole = read_in_ranges(path, [], len(data), reader)
        cuts = sorted(choose.sample(range(1, len(data)), choose.randint(1, 5)))
        assert read_in_ranges(path, cuts, len(data), reader) == whole, (data, cuts)


def test_only_what_can_be_read_in_ranges_says_so():
    assert PlainTextReader("blank_line").splits
    assert PlainTextReader("line").splits
    assert not PlainTextReader("file").splits


@pytest.mark.parametrize(
    "options",
    [{"documents": "blank_line"}, {"documents": "file"}, {"documents": "file", "join_lines": True}],
)
def test_a_document_without_end_comes_in_parts(tmp_path, options, monkeypatch):
    monkeypatch.setattr(document_parts, "MAX_DOCUMENT_CHARACTERS", 50)
    monkeypatch.setattr(plain_text, "MAX_DOCUMENT_CHARACTERS", 50)
    path = write(tmp_path, "열 글자쯤 되는 줄.\n" * 20)
    documents = list(PlainTextReader(**options).read(InputFile(path)))
    assert len(documents) > 2
    assert [document.id.rpartition("#")[2] for document in documents[1:3]] == ["2", "3"]
    assert " ".join(" ".join(document.paragraphs) for document in documents) == " ".join(
        ["열 글자쯤 되는 줄."] * 20
    )


@pytest.mark.parametrize("documents", plain_text.DOCUMENTS)
def test_a_line_that_is_too_long_is_a_broken_record(tmp_path, documents, monkeypatch):
    monkeypatch.setattr(input_file, "MAX_LINE_BYTES", 100)
    monkeypatch.setattr(input_file, "BLOCK_BYTES", 16)
    path = write(tmp_path, "가\n" + "x" * 500 + "\n나\n")
    records = list(PlainTextReader(documents).read(InputFile(path)))
    (broken,) = [record for record in records if isinstance(record, BrokenRecord)]
    assert (broken.place, broken.problem) == (f"{path}, line 2", "line too long")
    texts = [record.paragraphs for record in records if record is not broken]
    assert sum(texts, []) == ["가", "나"]


def test_options_are_checked():
    with pytest.raises(InputError, match="reader.documents is 'page'; expected one of"):
        PlainTextReader("page")
    with pytest.raises(InputError, match="join_lines goes with reader.documents=file"):
        PlainTextReader(join_lines=True)


def test_readers_can_be_sent_to_other_processes():
    assert pickle.loads(pickle.dumps(PlainTextReader("line"))).splits


def test_old_and_new_encodings_give_the_same_documents(real_corpus):
    folder = real_corpus / "books" / "novels_txt"
    reader = PlainTextReader("file")
    new, old = (
        next(reader.read(InputFile(str(folder / f"김유정_동백꽃{suffix}.txt"))))
        for suffix in ("", "_euc-kr")
    )
    assert new.paragraphs == old.paragraphs
    assert len(new.paragraphs) == 88
