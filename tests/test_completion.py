"""Completion in the shell: what it offers, and the script that asks for it."""

import os
import re
import shutil
import subprocess
import sys

import pytest

COMMANDS = [
    *("init", "track", "untrack", "status", "ls", "restore", "cat", "unlock", "log", "diff"),
    "info",
    *("graph", "why", "impact", "report", "add-remote", "remove-remote", "remotes"),
    *("push", "pull", "verify", "doctor", "gc", "git", "config"),
]
# What only that shell understands.
SCRIPTS = {
    "bash": r"(?m)^complete .*-F \S+ lazydata$",
    "zsh": r"(?m)^#compdef lazydata$",
    "fish": r"(?m)^complete --command lazydata ",
}

bash = pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")


def offered(desk, words):
    """What completion offers for the last of some words."""
    env = {
        "_LAZYDATA_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    done = desk.run_cli(env=env)
    assert done.stderr == ""
    return done.stdout.split()


def test_every_command_is_offered(desk):
    assert offered(desk, "lazydata ") == COMMANDS


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("lazydata un", ["untrack", "unlock"]),
        ("lazydata config ", ["get", "set", "list"]),
        ("lazydata verify --j", ["--json"]),
        ("lazydata nothing-like-it", []),
    ],
)
def test_what_fits_is_offered(desk, words, expected):
    assert offered(desk, words) == expected


def test_completion_needs_no_workspace_and_writes_nothing(desk):
    offered(desk, "lazydata pull ")
    assert os.listdir(desk.root) == []
    assert not desk.lazydata_home.exists()


@bash
@pytest.mark.parametrize("shell", SCRIPTS)
def test_show_completion_prints_the_script_of_the_shell_that_asks(desk, shell):
    """The shell is told by the name of the process above."""
    done = subprocess.run(
        [shell, "-c", f"{sys.executable} -m lazydata --show-completion; exit $?"],
        executable=shutil.which("bash"),
        env=desk.env,
        cwd=desk.root,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert re.search(SCRIPTS[shell], done.stdout)
    assert "_LAZYDATA_COMPLETE=complete_" + shell in done.stdout
    assert done.stderr == ""


@bash
def test_script_completes_in_bash(desk):
    program = desk.write("bin/lazydata", f'#!/bin/sh\nexec "{sys.executable}" -m lazydata "$@"\n')
    program.chmod(0o755)
    done = subprocess.run(
        [
            "bash",
            "--norc",
            "-c",
            'eval "$(lazydata --show-completion)"\n'
            "function=$(complete -p lazydata | sed 's/.*-F \\([^ ]*\\).*/\\1/')\n"
            "COMP_WORDS=(lazydata re) COMP_CWORD=1\n"
            "$function lazydata re lazydata\n"
            'echo "${COMPREPLY[@]}"\n',
        ],
        env=desk.env | {"PATH": f"{program.parent}:{desk.env['PATH']}"},
        cwd=desk.root,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == ["restore", "report", "remove-remote", "remotes"]
    assert done.stderr == ""


@pytest.fixture
def listing(desk):
    """A workspace with files, a tracked directory and two remotes; data/sub is where we go."""
    for path in ("data/x.csv", "data/y.csv", "data/sub/z.csv", "data/images/cats/1.jpg"):
        desk.write(path, path)
    desk.write("data/images/labels.csv", "a")
    for arguments in (
        ("init",),
        ("track", "data/x.csv", "data/y.csv", "data/sub/z.csv", "data/images"),
        ("add-remote", str(desk.root / "one")),
        ("add-remote", str(desk.root / "two"), "--name", "two"),
    ):
        assert desk.run_cli(*arguments).returncode == 0
    shutil.rmtree(desk.root / "data")
    return desk


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("lazydata restore ", ["data/"]),
        ("lazydata pull data/", ["data/images/", "data/sub/", "data/x.csv", "data/y.csv"]),
        ("lazydata pull data/x.csv data/y", ["data/y.csv"]),
        ("lazydata ls ./data/s", ["./data/sub/"]),
        ("lazydata cat data/images/", ["data/images/cats/", "data/images/labels.csv"]),
        ("lazydata log data/images/cats/", ["data/images/cats/1.jpg"]),
        ("lazydata why data/su", ["data/sub/"]),
        ("lazydata status nothing/", []),
        ("lazydata status ../", []),
        ("lazydata push --remote ", ["origin", "two"]),
        ("lazydata remove-remote t", ["two"]),
        ("lazydata config set remotes.t", ["remotes.two.profile"]),
        ("lazydata config get l", ["link"]),
    ],
)
def test_listed_paths_and_remotes_are_offered(listing, words, expected):
    """Whether or not a file is on disk."""
    assert offered(listing, words) == expected


def test_a_broken_manifest_offers_nothing_and_says_nothing(desk):
    desk.write("lazydata.yml", "files: [")
    assert offered(desk, "lazydata restore ") == []
