"""Every bash block and Python block in README.md and docs is run, as a user would type it."""

from __future__ import annotations

import ast
import dataclasses
from pathlib import Path

import pytest

import documents


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> documents.Machine:
    reason = documents.why_not()
    if reason:
        pytest.skip(reason)
    base = tmp_path_factory.getbasetemp()
    return documents.Machine(base.parent if base.name.startswith("popen-") else base)


@pytest.mark.parametrize("page", documents.pages())
def test_page(page: str, machine: documents.Machine, tmp_path: Path) -> None:
    machine.run(documents.steps(page), tmp_path)


def test_a_block_ends_with_its_first_command_that_fails(
    machine: documents.Machine, tmp_path: Path
) -> None:
    first = documents.Block("page.md:1", "bash", "cd /srv\nexport NAME=value\numask 027")
    second = documents.Block(
        "page.md:9", "bash", "echo $PWD $NAME $(umask)\nfalse || true\n(exit 5)\necho more"
    )
    with pytest.raises(AssertionError) as told:
        machine.run([first, second], tmp_path)
    for text in ("exit code 5, not 0", "page.md:9", "/srv value 0027"):
        assert text in str(told.value)
    assert not str(told.value).endswith("more\n")
    third = documents.Block("page.md:20", "python", "import os\nprint(os.getcwd())", "/srv\n/mnt")
    (tmp_path / "again").mkdir()
    with pytest.raises(AssertionError, match="not printed: /mnt"):
        machine.run([first, dataclasses.replace(second, code=5), third], tmp_path / "again")


def test_what_nox_plays_is_there() -> None:
    tree = ast.parse((documents.ROOT / "noxfile.py").read_text())
    sessions = {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}
    wanted = {name for page in documents.pages() for name in documents.played(page)}
    assert wanted <= sessions
    shown = {block.text for page in documents.pages() for block in documents.blocks(page)}
    assert set(documents.PLAYED_BY) <= shown, "no page has it (any more)"


def test_exit_codes_are_of_blocks_that_are_there() -> None:
    shown = {(page, block.first) for page in documents.pages() for block in documents.blocks(page)}
    assert set(documents.ENDS_WITH) <= shown


def test_preparations_are_for_pages_that_are_there() -> None:
    there = {page.removeprefix("docs/").replace(".md", ".sh") for page in documents.pages()}
    own = {"sandbox.sh", "session.sh", "world.sh", "askpass.sh"}
    found = {p.relative_to(documents.BESIDE).as_posix() for p in documents.BESIDE.rglob("*.sh")}
    assert found - own <= there
