"""Completion in the shell: what it offers, and the script that asks for it."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time

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

# Shells that wait for keys, and what makes each of them complete.
INTERACTIVE = {
    "bash": (["--norc", "-i"], ""),
    "zsh": (["-f", "-i"], "autoload -Uz compinit; compinit -u -D; "),
}

bash = pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")


def needs(*shells):
    """Each shell as a parameter; one that is not here is skipped."""
    return [
        pytest.param(
            shell,
            marks=pytest.mark.skipif(not shutil.which(shell), reason=f"{shell} is not installed"),
        )
        for shell in shells
    ]


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


BELOW_DATA = ["data/images/", "data/sub/", "data/x.csv", "data/y.csv"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("lazydata restore da", ["data/", *BELOW_DATA]),
        ("lazydata pull data/", BELOW_DATA),
        ("lazydata pull data/x.csv data/y", ["data/y.csv"]),
        ("lazydata ls ./data/s", ["./data/sub/", "./data/sub/z.csv"]),
        ("lazydata cat data/i", [f"data/images/{name}" for name in ("", "cats/", "labels.csv")]),
        ("lazydata cat data/images/", ["data/images/cats/", "data/images/labels.csv"]),
        ("lazydata log data/images/cats/", ["data/images/cats/1.jpg"]),
        ("lazydata why data/su", ["data/sub/", "data/sub/z.csv"]),
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


@pytest.fixture
def shell_env(listing):
    """The environment of somebody who types in a shell: ``lazydata`` is on the PATH."""
    program = listing.write(
        "bin/lazydata", f'#!/bin/sh\nexec "{sys.executable}" -m lazydata "$@"\n'
    )
    program.chmod(0o755)
    return listing.env | {"PATH": f"{program.parent}:{listing.env['PATH']}"}


class Typist:
    """Somebody at a terminal.

    Args:
        command: the shell.
        env: its environment.
        cwd: its working directory.
    """

    def __init__(self, command, env, cwd):
        self.terminal, end = pty.openpty()
        self.shell = subprocess.Popen(
            command, stdin=end, stdout=end, stderr=end, env=env, cwd=cwd, start_new_session=True
        )
        os.close(end)

    def type(self, keys, until):
        """Press keys, wait for a text, and return all that was shown meanwhile."""
        os.write(self.terminal, keys.encode())
        shown, end = "", time.monotonic() + 60
        while until not in shown and time.monotonic() < end:
            if select.select([self.terminal], [], [], 1)[0]:
                shown += os.read(self.terminal, 65536).decode(errors="replace")
        assert until in shown, shown
        return shown

    def close(self):
        self.shell.kill()
        self.shell.wait()
        os.close(self.terminal)


@pytest.mark.parametrize("name", needs(*INTERACTIVE))
def test_the_tab_key_completes(listing, shell_env, name):
    """A directory gets no space after it, since a file in it may be meant."""
    arguments, prepare = INTERACTIVE[name]
    typist = Typist([name, *arguments], shell_env, listing.root)
    try:
        # Completion starts the program; what is typed calls the function. No prompt, so that
        # nothing but the answer looks like one.
        typist.type(
            f'PS1=; {prepare}eval "$(lazydata --show-completion)"; '
            "lazydata() { echo \"<$*>\"; }; echo rea''dy\n",
            "ready",
        )
        typist.type("lazydata resto\t data/x\t\n", "<restore data/x.csv>")
        typist.type("lazydata push --remote tw\t\n", "<push --remote two>")
        typist.type("lazydata ls data/su\tz\t\n", "<ls data/sub/z.csv>")
    finally:
        typist.close()


@pytest.mark.parametrize("name", needs("fish"))
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("lazydata remote", ["remotes"]),
        ("lazydata push --remote ", ["origin", "two"]),
        ("lazydata pull data/", BELOW_DATA),
    ],
)
def test_fish_completes(listing, shell_env, name, line, expected):
    done = subprocess.run(
        [name, "-c", f"lazydata --show-completion | source; complete -C '{line}'"],
        env=shell_env,
        cwd=listing.root,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert [each.partition("\t")[0] for each in done.stdout.splitlines()] == expected
    assert done.stderr == ""
