"""docs/images/life-of-a-request.svg is what its script draws, and has the steps that its page tells of."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

from atomhttp import Timings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "life-of-a-request.md").read_text()


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = ROOT / "scripts" / "life_of_a_request.py"
    spec = importlib.util.spec_from_file_location("life_of_a_request", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_image_is_up_to_date(script: ModuleType) -> None:
    assert script.IMAGE.read_text() == script.draw(), "python scripts/life_of_a_request.py"


def test_it_can_be_read_without_being_seen(script: ModuleType) -> None:
    image = ElementTree.fromstring(script.draw())
    texts = {child.tag.rpartition("}")[2]: child.text or "" for child in image}
    assert texts["title"]
    for step in names(script):
        assert step in texts["desc"], step
    found = re.search(r"!\[(.*?)\]\(images/life-of-a-request\.svg\)", PAGE, re.DOTALL)
    assert found is not None
    assert all(step.partition(",")[0] in found[1] for step in names(script))


def test_nothing_is_fetched_for_it(script: ModuleType) -> None:
    assert re.findall(r"https?://|url\(|@import|<image|<script", script.draw()) == ["http://"]  # the namespace


def test_it_fits_on_a_phone(script: ModuleType) -> None:
    # 360 px less the margins of a page: the smallest text still has 10 px.
    assert 12 * 330 / script.WIDTH >= 10


def names(script: ModuleType) -> list[str]:
    return [item.name for item in script.STORY if isinstance(item, script.Step)]


def test_the_page_has_its_steps_in_its_order(script: ModuleType) -> None:
    rows = re.findall(
        r"^\| ([\w ,]+?) \| .+ \|.*\|$", PAGE.partition("## Step by step")[2].partition("##")[0], re.MULTILINE
    )
    assert rows[0] == "Step"
    assert rows[1:] == names(script)[:-1]


def test_the_phases_are_those_of_the_timings(script: ModuleType) -> None:
    phases = [item.phase for item in script.STORY if isinstance(item, script.Step) and item.phase]
    assert [*phases, "total"] == list(Timings._fields)
