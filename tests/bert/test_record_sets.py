"""Sets of shards that are whole, and those that are not."""

import pytest
from record_shards import make_set, write_info

from deeq_bert.bert.record_info import known_infos
from deeq_bert.bert.record_sets import check_record_sets, set_faults, temporary_files
from deeq_bert.tokenizers.errors import InputError


def faults(paths) -> list[tuple[str, bool]]:
    names = [str(path) for path in paths]
    return list(set_faults(names, known_infos(names)))


@pytest.fixture
def shards(sample_records, tmp_path):
    """A set of four."""
    return make_set(sample_records, tmp_path, 4)


def forget(tmp_path):
    """Leaves only the records, as of another program."""
    for path in tmp_path.glob("*.json"):
        path.unlink()


def test_a_whole_set_has_no_fault(shards):
    assert faults(shards) == []


def test_a_whole_set_may_be_moved_without_what_is_known_of_it(shards, tmp_path):
    (tmp_path / "train.tf.json").unlink()
    assert faults(shards) == []
    forget(tmp_path)
    assert faults(shards) == []


def test_files_that_are_no_shards_have_no_fault(sample_records):
    assert faults([sample_records]) == []


def test_what_is_there_and_not_named_is_not_missed(shards):
    assert faults(shards[:2]) == []


def test_shards_that_are_not_there_are_named(shards):
    shards[2].unlink()
    ((message, certain),) = faults([*shards[:2], shards[3]])
    assert "Of 4 shards" in message and "train.tf-00002-of-00004" in message
    # The whole set was made once.
    assert not certain


def test_shards_that_were_never_made_are_an_error(shards, tmp_path):
    shards[2].unlink()
    (tmp_path / "train.tf.json").unlink()
    ((message, certain),) = faults([*shards[:2], shards[3]])
    assert "Run create_pretraining_data.py again" in message
    assert certain


def test_of_another_program_nothing_is_certain(shards, tmp_path):
    forget(tmp_path)
    shards[2].unlink()
    ((_, certain),) = faults([*shards[:2], shards[3]])
    assert not certain


def test_of_many_missing_shards_some_are_named(sample_records, tmp_path):
    shards = make_set(sample_records, tmp_path, 10)
    for path in shards[1:]:
        path.unlink()
    ((message, _),) = faults(shards[:1])
    assert "9 are not there" in message and "and 6 more" in message


def test_shards_of_two_sets_of_one_name_are_told(sample_records, shards, tmp_path):
    others = make_set(sample_records, tmp_path, 2)
    ((message, certain),) = faults([*others, *shards])
    assert "train.tf-00000-of-00004 is of a set of 4 shards" in message
    assert '-*-of-00002"' in message and certain

    forget(tmp_path)
    ((message, certain),) = faults([*others, *shards])
    assert "of 2 and 4 shards" in message and not certain


def test_shards_of_runs_with_other_flags_are_told(sample_records, shards, tmp_path):
    (tmp_path / "other").mkdir()
    make_set(sample_records, tmp_path / "other", 4, random_seed=7)
    other = tmp_path / "other" / "train.tf-00001-of-00004"
    other.rename(shards[1])
    (tmp_path / "other" / "train.tf-00001-of-00004.json").rename(f"{shards[1]}.json")
    ((message, certain),) = faults(shards)
    assert "random_seed is 12345 for the one and 7 for the other" in message and certain


@pytest.mark.parametrize("keeps_json", [True, False])
def test_a_shard_that_is_not_that_of_the_set_is_told(shards, tmp_path, keeps_json):
    shards[1].write_bytes(shards[0].read_bytes() + shards[1].read_bytes())
    if not keeps_json:
        forget(tmp_path)
    found = faults(shards)
    assert [certain for _, certain in found] == [True] * keeps_json
    assert all("train.tf-00001-of-00004 is not of the run" in message for message, _ in found)


def test_damaged_information_on_a_set_is_an_error(shards, tmp_path):
    (tmp_path / "train.tf.json").write_text("{")
    with pytest.raises(InputError, match=r"train\.tf\.json does not say"):
        faults(shards)


def test_information_of_unknown_form_tells_nothing(shards, tmp_path):
    for listed in (None, 7, [7], [{}], [{"name": "train.tf-00000-of-00004", "bytes": None}]):
        write_info(tmp_path / "train.tf", {"tokenizer": {}, "shards": listed})
        assert faults(shards) == []


def test_what_is_certain_stops_and_what_is_not_warns(shards, tmp_path, caplog):
    shards[2].unlink()
    names = [str(path) for path in shards if path != shards[2]]
    with caplog.at_level("WARNING", logger="absl"):
        check_record_sets(names, known_infos(names))
    assert "1 are not there" in caplog.text
    (tmp_path / "train.tf.json").unlink()
    with pytest.raises(InputError, match="1 are not there"):
        check_record_sets(names, known_infos(names))


def test_temporary_files_of_the_set_are_found(shards, tmp_path):
    for name in (
        ".train.tf-00002-of-00004.host-1.tmp",
        ".train.tf.json.host-1.tmp",
        ".other.h-1.tmp",
    ):
        (tmp_path / name).write_text("")
    found = temporary_files(map(str, shards))
    assert found == [
        str(tmp_path / ".train.tf-00002-of-00004.host-1.tmp"),
        str(tmp_path / ".train.tf.json.host-1.tmp"),
    ]
