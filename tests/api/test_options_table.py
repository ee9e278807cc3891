"""docs/options.md shows the options that there are: its tables are made of the code's."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from atomhttp._model.options import OPTIONS, Option
from atomhttp._model.retry_config import check_retry_config

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "options.md").read_text()


def load_script():
    spec = importlib.util.spec_from_file_location("options_table", ROOT / "scripts" / "options_table.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


script = load_script()


def rows(name: str) -> list[list[str]]:
    """The cells of a table on the page, without its head."""
    table = PAGE.partition(f"<!-- {name}: begin -->\n")[2].partition(f"<!-- {name}: end -->")[0]
    return [re.split(r" ?(?<!\\)\| ?", line)[1:-1] for line in table.splitlines()[2:]]


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_the_page_is_what_the_script_writes():
    assert script.render(PAGE) == PAGE, "docs/options.md is not up to date: python scripts/options_table.py"


@pytest.mark.parametrize(("right", "wrong"), [("| `30` |", "| `31` |"), ("`maxBackoff`", "`maxWait`")])
def test_a_table_that_is_out_of_date_is_seen(right, wrong):
    current = script.render(PAGE)
    outdated = current.replace(right, wrong)
    assert outdated != current
    assert script.render(outdated) == current


def test_a_page_without_its_marks_is_not_overwritten():
    with pytest.raises(SystemExit, match="options: begin"):
        script.render(PAGE.replace("<!-- options: begin -->", ""))


def test_every_option_has_its_row():
    assert [words(row[0]) for row in rows("options")] == [
        list(dict.fromkeys((option.alias, option.name))) for option in OPTIONS
    ]
    for row, option in zip(rows("options"), OPTIONS, strict=True):
        assert len(row) == 7, row
        assert row[3] == option.unit
        assert row[4] == {"both": "client, call", "client": "client", "call": "call"}[option.scope]
        assert row[6] == option.doc.replace("|", "\\|")
        assert row[1]
        assert row[6]


def test_every_merge_rule_is_explained():
    explained = re.findall(r"^\| (replace|deep|by name) \|", PAGE, re.MULTILINE)
    assert {row[5] for row in rows("options")} == set(explained)


def test_the_retry_keys_are_taken_in_every_spelling_of_the_page():
    values = {"int": 2, "number or timedelta": 2, "number, timedelta or None": None, "bool": False}
    values |= {"list of int": [503], "list of str": ["GET"], "callable or None": print}
    for key, others, kind, default, meaning in rows("retry"):
        assert default
        assert meaning
        spellings = [*words(key), *words(others)]
        assert {name for each in spellings for name in check_retry_config("x", {each: values[kind]})} == {
            words(key)[-1]
        }


def test_a_bar_in_a_description_makes_no_cell():
    option = Option("x", "a | b", None, print, "one | two")
    assert script._table(("h",), [script._option_row(option)]).splitlines()[2].count(r"\|") == 2


def test_the_script_writes_the_file(tmp_path, monkeypatch, capsys):
    page = tmp_path / "options.md"
    page.write_text(re.sub(r"(?s)(<!-- (\w+): begin -->\n).*?(<!-- \2: end -->)", r"\1\3", PAGE))
    monkeypatch.setattr(script, "PAGE", page)
    script.main()
    assert page.read_text() == script.render(PAGE)
    assert "written anew" in capsys.readouterr().err
    script.main()
    assert "as it was" in capsys.readouterr().err
