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
    WorkFolder(str(tmp_path / "work"), PLAN, restart=False).close()
    other = {"seed": 1, "sources": [{"rules": {"emoji": "drop"}}]}
    with pytest.raises(InputError, match=r'sources\[0\].rules.emoji was "keep", is "drop"'):
        WorkFolder(str(tmp_path / "work"), other, restart=False)


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
