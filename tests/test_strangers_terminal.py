"""What a stranger named reaches a terminal, a shell or a page, and does nothing there."""

import json
import re
import shlex
import sqlite3
import subprocess
from contextlib import closing

import pytest

# A title is set, what was printed is wiped out, the direction of the text is turned, a line of
# ours is faked, markup of rich and of HTML, a colour in one byte, and characters that JSON
# and Python escape in different ways.
EVIL = "a\x1b]0;pwned\x07\x1b[2J\u202e\r\nlazydata: ok [red]b[/red]</script><b>"
EVIL += "\x9b31m\x7f\xa0\U000e0041"
IN_TREE = EVIL.replace("\r", r"\r").replace("\n", r"\n").replace("/", "")
HARMLESS = "data/x.csv"


def quoted(text):
    """A text as YAML has it in double quotes."""
    plain = (c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in text)
    return f'"{"".join(plain)}"'


# Each command is run in one process: a new one for each takes half a minute.
RUN = r"""
import contextlib, io, json, sys
from lazydata.cli import running
done = []
for command in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = running.run(command)
        except Exception as error:
            code = repr(error)
    done.append([code, out.getvalue(), err.getvalue()])
print(json.dumps(done))
"""


def run_all(desk, commands):
    """Exit code, stdout and stderr of each command."""
    done = subprocess.run(
        [*desk.python("code", RUN), json.dumps(commands)],
        cwd=desk.root,
        env=desk.env,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.fixture
def stranger(desk, digest, tmp_path):
    """A clone in which everything that has a name has an evil one."""
    remote, other = tmp_path / "remote", tmp_path / f"other{EVIL}"
    for directory in (remote, tmp_path / f"other{EVIL.replace(chr(13) + chr(10), '')}"):
        directory.mkdir(parents=True)
    nodes = [
        f"file\t1\t1\t{digest(b'x')}",
        f"file\t4\t1\t{digest(b'gone')}",
        "link\t0\t0\tx\x1b[1m",
    ]
    lines = "".join(f"{node}\t{IN_TREE}{number}\n" for number, node in enumerate(nodes))
    tree = f"lazydata tree 1\n{lines}"
    for content in (b"x", tree.encode()):
        name = digest(content).partition(":")[2]
        path = remote / "objects/blake3" / name[:2] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def item(path, content, *more):
        lines = [f"  - path: {path}", f"    hash: {digest(content)}", *more]
        return "\n".join(
            [*lines, f"    usage: [{quoted(EVIL)}, {HARMLESS}]", f"    producer: {quoted(EVIL)}\n"]
        )

    def write(last):
        desk.write(
            "lazydata.yml",
            "version: 2\nremotes:\n"
            f"  {quoted(EVIL)}:\n    url: file://{remote}\n    project: {quoted(EVIL)}\n"
            f"  other:\n    url: {quoted(f'file://{other}')}\n"
            f"  third:\n    url: {quoted('odd' + EVIL + '://x')}\nfiles:\n"
            + item(quoted(EVIL), b"x", "    size: 1")
            + item(quoted("gone" + EVIL), b"gone", f"    source_url: {quoted(EVIL)}")
            + item(quoted("dir" + EVIL + "/"), tree.encode(), "    size: 5", "    files: 2")
            + item(HARMLESS, last)
            + item("cols.csv", b"cols")
            + item("cols.db", b"cols"),
        )
        desk.git("add", "-A")
        desk.git("-c", f"user.name={EVIL.replace('<', '')}", "commit", "-qm", f"s{EVIL}")

    desk.env |= {"GIT_AUTHOR_NAME": f"n{EVIL.replace('<', '').replace('>', '')}"}
    desk.git("init", "-q", "-b", "m\u202e\x9b31m")
    for last in (b"old", b"x"):
        write(last)
    desk.write("cols.csv", f'"{EVIL}",b\n1,2\n')
    with closing(sqlite3.connect(desk.root / "cols.db")) as made, made:
        made.execute(f'CREATE TABLE "{EVIL}" ("{EVIL}" "{EVIL}")')
    return desk


COMMANDS = [
    *(["status"], ["status", "--json"], ["ls"], ["ls", "--json"], ["ls", "--versions"]),
    *(["remotes"], ["remotes", "--json"], ["info", EVIL, "--json"], ["info", HARMLESS]),
    *(["info", EVIL], ["info", f"dir{EVIL}"], ["info", EVIL, "--check"], ["info", "cols.csv"]),
    *(["info", "cols.csv", "--json"], ["info", "cols.db"], ["info", "cols.db", "--json"]),
    *(["doctor"], ["doctor", "--json"], ["verify", "--remote", EVIL], ["unlock", "--all"]),
    *(["gc", "--remote", EVIL], ["gc", "--remote", "other"], ["gc", "--remote", "third"]),
    *(["log", HARMLESS], ["log", HARMLESS, "--json"], ["log", EVIL], ["diff", "HEAD~1"]),
    *(["diff", "HEAD~1", "--json"], ["diff", EVIL], ["why", HARMLESS], ["impact", HARMLESS]),
    *(["graph"], ["graph", "--format", "mermaid"], ["graph", "--format", "dot"]),
    *(
        ["graph", "--format", "json"],
        ["pull", ".", "--dry-run"],
        ["pull", "."],
        ["pull", ".", "--json"],
    ),
    *(["ls", f"dir{EVIL}"], ["ls", f"dir{EVIL}", "--json"], ["pull", f"dir{EVIL}"]),
    *(["restore", f"gone{EVIL}"], ["restore", f"gone{EVIL}", "--json"], ["cat", f"gone{EVIL}"]),
    *(["verify"], ["verify", "--json"], ["push", "--dry-run"], ["push"], ["push", "--json"]),
    *(["push", "--remote", "other"], ["push", "--remote", "third"], ["push", "--remote", EVIL]),
    *(["pull", ".", "--remote", "third"], ["pull", "--rev", "HEAD~1"], ["pull", "--rev", EVIL]),
    *(["restore", HARMLESS, "--from", "HEAD~1"], ["track", EVIL], ["track", f"no{EVIL}"]),
    *(["gc"], ["gc", "--json"], ["report", "-o", "report.html"], ["report", "-o", EVIL]),
    *(["unlock", EVIL], ["add-remote", EVIL, "--name", EVIL], ["remove-remote", EVIL]),
    *(["remove-remote", f"not{EVIL}"], ["config", "get", EVIL], ["untrack", EVIL], ["status"]),
    *(["git", "install"], ["git", "hook", "pre-push", EVIL, EVIL], ["git", "hook", EVIL]),
    ["git", "merge-driver", EVIL, EVIL, EVIL, "7", EVIL],
    [EVIL],
]


def test_no_command_prints_what_a_terminal_obeys(stranger):
    for command, (code, out, err) in zip(COMMANDS, run_all(stranger, COMMANDS), strict=True):
        assert isinstance(code, int), (command, code, err)
        for text in (out, err):
            for line in text.split("\n"):
                odd = [c for c in line if not c.isprintable()]
                assert odd == [], (command, odd, line)
                assert not line.startswith("lazydata: ok"), (command, line)
        if "--json" in command and out:
            json.loads(out)
        assert "Traceback" not in err, (command, err)


def test_what_python_prints_is_nothing_that_a_terminal_obeys(stranger):
    """A traceback, and the lines of a logger that has a handler of the user's own."""
    code = f"""
        import logging, sys, traceback
        import lazydata
        logging.getLogger("lazydata").addHandler(logging.StreamHandler(sys.stdout))
        logging.getLogger("lazydata").setLevel(logging.DEBUG)
        for path in ({EVIL!r}, {"gone" + EVIL!r}, {"no" + EVIL!r}, {f"dir{EVIL}"!r}):
            for call in (lazydata.track, lazydata.restore, lazydata.pull, lazydata.info):
                try:
                    print(ascii(call(path)))
                except lazydata.LazydataError:
                    print(traceback.format_exc())
        print(lazydata.status())
    """
    done = stranger.run_code(code)
    assert done.stdout.count("LazydataError") + done.stdout.count("lazydata.errors.") > 3
    assert "Downloading stored file" in done.stdout  # by the handler
    for line in (done.stdout + done.stderr).split("\n"):
        assert [c for c in line if not c.isprintable()] == [], line
        assert not line.startswith("lazydata: ok"), line


def test_a_report_has_no_markup_of_a_stranger(stranger):
    """It ends no script element and begins none, whatever is listed."""
    ((code, out, _),) = run_all(stranger, [["graph", "--format", "html"]])
    assert code == 0
    assert len(re.findall(r"</script", out, re.IGNORECASE)) == 2
    assert len(re.findall(r"<script", out, re.IGNORECASE)) == 2
    assert "<b>" not in out
    assert all(c.isprintable() or c in "\n\t" for c in out)


def test_completion_offers_no_name_that_a_shell_takes_for_code(desk, digest):
    """zsh evaluates twice what is offered, and bash what stands on the line then."""
    evil = [
        r"x\$(touch pwned)",
        "x`id`",
        "x;id",
        "x'",
        'x"',
        "x y",
        "x\n",
        "x|y",
        "x&",
        "-x",
        "x{1,2}",
    ]
    lines = "".join(f"  - path: {quoted(p)}\n    hash: {digest(b'x')}\n" for p in [*evil, "plain"])
    desk.write(
        "lazydata.yml",
        f"version: 2\nremotes:\n  {quoted(evil[0])}: file:///x\n  good: file:///y\nfiles:\n{lines}",
    )
    code = "from lazydata.cli import completing as c\nprint(c.paths(''), c.remotes(''))"
    assert desk.run_code(code).stdout == "['plain'] ['good']\n"


def test_a_command_in_a_hint_has_a_name_as_one_word(desk):
    """Whoever pastes it runs nothing that a stranger put into a name."""
    name = "x $(touch pwned);'y.csv"
    desk.write("lazydata.yml", "version: 2\nfiles:\n")
    desk.record((name, b"one"))
    desk.write(name, b"two")
    said = desk.run_cli("pull", ".", code=3).stderr
    said += desk.tracker().refuse(name, on_change="error").hint
    said += desk.run_cli("restore", name, "--version", "0123", code=None).stderr
    said += desk.run_cli("track", name).stderr
    commands = [each for each in re.findall("`(lazydata [^`]*)`", said) if "pwned" in each]
    assert len(commands) > 3
    for command in commands:
        assert name in shlex.split(command), command
