"""The folder of a run that is under way."""

import pytest

from deeq_bert.corpus.work_folder import WorkFolder
from deeq_bert.tokenizers.errors import InputError

PLAN = {"seed": 1, "sources": [{"rules": {"emoji": "keep"}}]}


def test_the_same_plan_goes_on(tmp_path):
    folder = WorkFolder(str(tmp_path / "work"), PLAN, restart=False)
    assert not folder.was_there
    folder.mark("part.json", {"lines": 3})
    folder.close()
    again = WorkFolder(str(tmp_path / "work"), PLAN, restart=False)
    assert again.was_there
    assert again.marker("part.json") == {"lines": 3}
    again.close()


def test_another_plan_is_refused_with_both_values(tmp_path):
    folder = WorkFolder(str(tmp_path / "work"), PLAN, restart=False)
    folder.mark("part.json", {})
    folder.close()
    other = {"seed": 1, "sources": [{"rules": {"emoji": "drop"}}]}
    with pytest.raises(InputError, match=r'sources\[0\].rules.emoji was "keep", is "drop"'):
        WorkFolder(str(tmp_path / "work"), other, restart=False)


def test_another_plan_takes_over_where_no_part_is_finished(tmp_path):
    WorkFolder(str(tmp_path / "work"), PLAN, restart=False).close()
    again = WorkFolder(str(tmp_path / "work"), {"seed": 2}, restart=False)
    assert not again.was_there
    assert again.marker("plan.json") == {"seed": 2}
    again.close()


def test_a_plan_whose_results_are_good_for_another_goes_on_as_that(tmp_path):
    folder = WorkFolder(str(tmp_path / "work"), PLAN, restart=False)
    folder.mark("part.json", {"lines": 3})
    folder.close()
    again = WorkFolder(str(tmp_path / "work"), {"seed": 2}, restart=False, good_for_plan=[PLAN])
    assert again.was_there
    assert again.marker("part.json") == {"lines": 3}
    assert again.marker("plan.json") == {"seed": 2}
    again.close()


def test_a_folder_of_other_files_is_left_alone(tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="holds other files, such as mine.txt"):
        WorkFolder(str(tmp_path / "work"), PLAN, restart=True)
    assert (tmp_path / "work" / "mine.txt").read_text() == "mine"


def test_restart_throws_away_what_another_plan_left(tmp_path):
    folder = WorkFolder(str(tmp_path / "work"), PLAN, restart=False)
    folder.mark("part.json", {})
    folder.close()
    again = WorkFolder(str(tmp_path / "work"), {"seed": 2}, restart=True)
    assert again.marker("part.json") is None
    assert not again.was_there
    again.close()


def test_two_processes_cannot_work_in_it(tmp_path):
    folder = WorkFolder(str(tmp_path / "work"), PLAN, restart=False)
    with pytest.raises(InputError, match="Another process"):
        WorkFolder(str(tmp_path / "work"), PLAN, restart=False)
    folder.close()


def test_nothing_of_it_is_left_at_the_end(tmp_path):
    folder = WorkFolder(str(tmp_path / "work"), PLAN, restart=False)
    folder.mark("part.json", {})
    folder.remove()
    assert not (tmp_path / "work").exists()
