"""Ignore files: git itself is the judge of what they mean."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lazydata.errors import FileDenied, UsageError
from lazydata.ignoring import LARGEST, LONGEST, NAME, PATTERNS, Ignore

FILES = [
    *("a", "b", "c.log", "d.txt", "build/a", "build/b/a", "build/c.log", "src/a", "src/b/a"),
    *("src/build/a", "src/b/c.log", "src/b/build/x", "src/b/b/b/c.log", "#a", "!a", "src/!a"),
    *("a b", "b ", "src/a[1]", "src/a1", "src/A1", "src/a-", "src/a]", "a\\b", "*", ".x", "a\nb"),
    *("log/a", "log/b/a", "x/log/a", "aXbXc", "abc", "src/abc", "foo/bar", "x/foo/bar", "ab/d.txt"),
    *("foo/x/bar", "foo/x/y/bar", "log.d/a", "x/a/x/a/b", "tab\t", "two  "),
]

CASES = [
    *("a", "/a", "a/", "/a/", "build", "build/", "/build", "src/b", "/src/b", "src/b/", "*", "/*"),
    *("**", "/**", "**/", "**/a", "/**/a", "src/**", "src/**/", "src/**/a", "**/b/**", "src/**/b/"),
    *(
        "**/**/a",
        "foo/**/**/bar",
        "foo/**/bar",
        "foo/*/bar",
        "**foo/bar",
        "a**",
        "**c",
    ),
    *("*.log", "/*.log", "src/*", "src/*/a", "*/a", "*/*/a", "*/", "/*/", "?", "a?", "?/a", "a?b"),
    *("[ab]", "[!a]", "[^a]", "[a-b]", "src/a[0-9]", "a[]1]", "a[-1]", "a[1-]", "a[!]]", "[]-]"),
    *("# a", "#a", "\\#a", "!a", "\\!a", "!!a", "!#a", "a ", "a  ", "b\\ ", "b\\  ", "a b", " a"),
    *(
        "\\a",
        "\\*",
        "a\\\\b",
        "a\\",
        "a\\\\",
        "a\\b",
        "",
        "/",
        "//",
        "//a",
        "a//",
        "src//a",
        "!",
        "!/",
    ),
    *(
        "a\r",
        "a \r",
        "a\t",
        "tab\t",
        "two\\ \\ ",
        "a*",
        "*a*",
        "*a*b*",
        "a*c",
        "*X*X*",
        ".*",
        "*.*",
    ),
    *(
        "*\n!a",
        "*\n!*/",
        "*\n!*/\n!*.log",
        "/*\n!/src\n/src/*\n!/src/b",
        "a\n!a",
        "!a\na",
        "build\n!b",
    ),
    *(
        "*\n!src/",
        "src/*\n!src/b/",
        "src/\n!src/a",
        "*.log\n!src/b/c.log",
        "a*\n!ab*\nabc",
        "src\\/a",
    ),
    *("\ufeffa", "\ufeff#a\nb", "x/a/**/a/b", "**/x/a/b", "x/**/x/a/b", "**/a/*/a/**", "log*/a"),
]


def git(where: Path, *args: str, given: str = "", codes: tuple[int, ...] = (0,)) -> str:
    env = {"PATH": os.environ["PATH"], "HOME": str(where), "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", *args], cwd=where, env=env, input=given.encode(), capture_output=True, check=False
    )
    assert done.returncode in codes, done.stderr
    return done.stdout.decode()


def said_by_git(root: Path, paths: list[str]) -> set[str]:
    given = "\0".join(paths)
    out = git(root, "check-ignore", "--no-index", "-z", "--stdin", given=given, codes=(0, 1))
    return set(out.split("\0")) - {""}


def walked(root: str, directory: str, rules: Ignore, skipped: bool = False) -> set[str]:
    """All that is ignored, and what is in ignored directories."""
    found = set()
    for entry in os.scandir(directory):
        if entry.name in (".git", ".gitignore", NAME):
            continue
        is_dir = entry.is_dir(follow_symlinks=False)
        skip = skipped or rules.skips(entry.name, is_dir=is_dir)
        if skip:
            found.add(os.path.relpath(entry.path, root))
        if is_dir:
            inside = rules if skip else rules.inside(entry.name)
            found |= walked(root, entry.path, inside, skip)
    return found


def make(root: Path) -> list[str]:
    for path in FILES:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    (root / "link").symlink_to("src")
    return [str(path.relative_to(root)) for path in sorted(root.rglob("*"))]


def write(directory: Path, text: str) -> None:
    for name in (".gitignore", NAME):
        (directory / name).write_bytes(text.encode())


def test_what_git_says_of_each_case(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    paths = []
    for number, text in enumerate(CASES):
        case = tmp_path / str(number)
        case.mkdir()
        paths += [f"{number}/{path}" for path in make(case)]
        write(case, text)
    said = said_by_git(tmp_path, paths)
    assert len(said) > 1000
    found = walked(str(tmp_path), str(tmp_path), Ignore.of(str(tmp_path), str(tmp_path)))
    wrong = sorted(said ^ found)
    assert not wrong, [(CASES[int(path.split("/")[0])], path, path in said) for path in wrong[:20]]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    root = tmp_path_factory.mktemp("tree")
    paths = make(root)
    git(root, "init", "-q")
    return root, paths


PARTS = st.sampled_from(
    [
        "a",
        "b",
        "src",
        "build",
        "*",
        "**",
        "*.log",
        "c.log",
        "[ab]",
        "?",
        "b*",
        "*b*",
        "\\a",
        "[!s]*",
    ]
)
LINES = st.builds(
    lambda bang, slash, parts, end: bang + slash + "/".join(parts) + end,
    *(st.sampled_from(["", "", "!"]), st.sampled_from(["", "", "/"])),
    *(st.lists(PARTS, min_size=1, max_size=4), st.sampled_from(["", "", "/", " "])),
)
TEXTS = st.lists(LINES, max_size=5).map("\n".join)
PLACES = ["", "src", "src/b", "build", "x"]


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(TEXTS, min_size=len(PLACES), max_size=len(PLACES)))
def test_what_git_says_of_files_in_each_other(tree: tuple[Path, list[str]], texts) -> None:
    root, paths = tree
    for place, text in zip(PLACES, texts, strict=True):
        write(root / place, text)
    found = walked(str(root), str(root), Ignore.of(str(root), str(root)))
    assert found == said_by_git(root, paths)


def test_rules_of_a_directory_are_those_on_the_way_to_it(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / NAME).write_text("*.tmp\n/a/b/x\n/x\n")
    (tmp_path / "a" / NAME).write_text("!keep.tmp\n")
    rules = Ignore.of(str(tmp_path), str(tmp_path / "a" / "b"))
    names = ["x", "y", "y.tmp", "keep.tmp"]
    assert [name for name in names if rules.skips(name, is_dir=False)] == ["x", "y.tmp"]


def test_without_a_file_there_is_no_rule_and_no_library(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    code = (
        "import sys\n"
        "from lazydata.ignoring import Ignore\n"
        f"rules = Ignore.of({str(tmp_path)!r}, {str(tmp_path / 'a')!r})\n"
        "assert rules.is_empty and rules.inside('gone').is_empty\n"
        "assert not rules.skips('x', is_dir=True)\n"
        "assert 'pathspec' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_rules_that_hold_elsewhere_are_gone(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / NAME).write_text("/b/*.tmp\n# nothing else\n\n")
    rules = Ignore.of(str(tmp_path), str(tmp_path))
    assert not rules.is_empty
    assert rules.inside("a").is_empty
    assert rules.inside("b").skips("x.tmp", is_dir=False)


@pytest.mark.parametrize("name", ["caf\udce9", "a\nb", "\x80", "Ünï", "*"])
def test_any_name_can_be_asked_for(name: str, tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("*\n")
    assert Ignore.of(str(tmp_path), str(tmp_path)).skips(name, is_dir=False)


def refused(root: Path) -> str:
    with pytest.raises(UsageError) as caught:
        Ignore.of(str(root), str(root))
    assert NAME in caught.value.message
    return str(caught.value)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a\xff\n", "is not UTF-8"),
        (b"#" * (LARGEST + 1), "larger than 1 MiB"),
        (b"ok\n" + b"*" * (LONGEST + 1), f"{NAME}:2: "),
        (b"\n".join(b"*%d" % n for n in range(PATTERNS + 1)), "names with wildcards"),
        (b"/".join(b"*%d" % n for n in range(PATTERNS + 1)), "more than"),
        (b"ok\n[z-a]\n", f"{NAME}:2: '[z-a]' is not understood"),
        (b"[[:digit:]]", "[a-z]"),
        (b"[a\\]]", "is not understood"),
        (b"a[b", "'[b' is not understood"),
        (b"[a--b]", "is not understood"),
    ],
)
def test_what_is_not_understood_is_told(data: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(data)
    assert said in refused(tmp_path)


def test_only_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.symlink_to("elsewhere")
    assert "not a regular file" in refused(tmp_path)
    path.unlink()
    os.mkfifo(path)
    assert "not a regular file" in refused(tmp_path)
    path.unlink()
    path.mkdir()
    assert "not a regular file" in refused(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("a\n")
    (tmp_path / NAME).chmod(0)
    with pytest.raises(FileDenied, match=NAME):
        Ignore.of(str(tmp_path), str(tmp_path))


@pytest.mark.parametrize(
    "pattern",
    ["*a" * 100 + "b", "*a?" * 80 + "b", "*[ab]" * 50 + "c", "*" * 250 + "b", "a*" * 100 + "[!a]"],
)
def test_no_pattern_takes_forever(pattern: str, tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(pattern + "\n")
    rules = Ignore.of(str(tmp_path), str(tmp_path))
    # Going back and forth, each would take longer than the world is old.
    assert not rules.skips("a" * 255, is_dir=False)


def test_no_pattern_takes_forever_on_the_way_down(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("**/a/" * 100 + "b\n")
    rules = Ignore.of(str(tmp_path), str(tmp_path))
    said = []
    for _ in range(300):
        said.append(rules.skips("b", is_dir=False))
        rules = rules.inside("a")
    assert said == [False] * 100 + [True] * 200
