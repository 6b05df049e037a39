"""Names of output files."""

import pytest

from deeq_bert.corpus.outputs import OutputName, check_outputs
from deeq_bert.tokenizers.errors import InputError


def test_a_place_for_a_number_makes_a_series():
    name = OutputName("corpus/train-@####.txt")
    assert name.is_series
    assert name.path(1) == "corpus/train-0001.txt"
    assert name.path(12345) == "corpus/train-12345.txt"
    assert name.stem == "corpus/train"


def test_the_sign_may_be_left_out():
    assert OutputName("train-#####.txt").path(7) == "train-00007.txt"


def test_a_name_without_a_place_is_one_file():
    name = OutputName("out/news.txt")
    assert not name.is_series
    assert name.path(1) == "out/news.txt"
    assert name.stem == "out/news"


@pytest.mark.parametrize("name", ["", "out/", "a-##-##.txt", "out-##/a.txt"])
def test_other_names_are_refused(name):
    with pytest.raises(InputError, match="--output_file"):
        OutputName(name)


def test_the_files_of_a_series_are_found(tmp_path):
    for name in (
        "train-0001.txt",
        "train-0002.txt",
        "train-10000.txt",
        "train-1.txt",
        "train-a.txt",
    ):
        (tmp_path / name).touch()
    found = OutputName(f"{tmp_path}/train-@####.txt").existing()
    assert found == [f"{tmp_path}/train-{number}.txt" for number in ("0001", "0002", "10000")]


@pytest.mark.parametrize("other", ["train-0007.txt", "train-0001.txt", "./train-12345.txt"])
def test_another_output_under_a_name_of_the_series_is_refused(tmp_path, other):
    output = OutputName(f"{tmp_path}/train-@####.txt")
    with pytest.raises(InputError, match="--output_file writes, too"):
        check_outputs(output, [], [f"{tmp_path}/{other}"])


def test_an_input_that_is_an_output_is_refused(tmp_path):
    path = tmp_path / "news.txt"
    path.write_text("글")
    with pytest.raises(InputError, match="is an input, but is to be written"):
        check_outputs(OutputName(str(path)), [str(path)], [])
