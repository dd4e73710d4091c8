"""What a stranger's repository lists fills no memory: long texts, large numbers, deep nesting."""

import sqlite3
from contextlib import closing

import pytest

X, DATA = "data/x.csv", b"a,b\n1,2\n"
HEAD = "version: 2\n"
# Runs commands in a process that has little memory, and may write no large file.
RUN = """
import resource, sys
from lazydata.cli import app, render, render_info, running
resource.setrlimit(resource.RLIMIT_AS, ({memory}, {memory}))
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 26, 1 << 26))
{before}
sys.exit(max(running.run(command) for command in {commands!r}))
"""


def run_in(desk, *commands, memory=768 << 20, before=""):
    code = RUN.format(memory=memory, before=before, commands=list(commands))
    return desk.run_code(code, code=None)


def item(path, name, *more):
    lines = [f"  - path: {path}", f"    hash: {name}", *(f"    {line}" for line in more)]
    return "\n".join(lines) + "\n"


ITEM = item(X, "0" * 64)
MANY = 2_000_000
LONG = {
    "comments": HEAD + "#\n" * MANY + "files:\n" + ITEM,
    "blank lines": HEAD + "files:\n" + ITEM + "\n" * MANY,
    "scripts": HEAD + "files:\n" + ITEM + "    usage:\n" + "    - a\n" * (MANY // 4),
    "a name": HEAD + "files:\n" + ITEM + item("a" * MANY, "0" * 64),
    "a name of words": HEAD + "files:\n" + ITEM + item("a" + " a" * MANY, "0" * 64),
    "a quoted name": HEAD + "files:\n" + ITEM + item("'" + "a" * MANY + "'", "0" * 64),
}


@pytest.mark.parametrize("text", LONG)
def test_a_long_text_takes_little_more_memory_than_it_has_bytes(desk, text):
    """A regular expression that counts lines by repeating a group remembers 300 bytes of each."""
    desk.write("lazydata.yml", LONG[text])
    done = run_in(desk, ["status"], memory=512 << 20)
    assert done.returncode == 0, done.stderr[-500:]
    assert X in done.stdout


KEYS = {
    "at the top": HEAD + "".join(f"k{i}: 1\n" for i in range(60_000)),
    "in an item": HEAD + "files:\n" + ITEM + "".join(f"    k{i}: 1\n" for i in range(60_000)),
    "remotes": HEAD + "remotes:\n" + "".join(f"  k{i}: file:///x\n" for i in range(60_000)),
    "in braces": HEAD + "x: {" + ", ".join(f"k{i}: 1" for i in range(60_000)) + "}\n",
    "in brackets": HEAD + "x: [" + "1, " * 120_000 + "]\n",
}


@pytest.mark.parametrize("text", KEYS)
def test_a_million_keys_are_refused(desk, text):
    """Here it is a tenth of that, for the time it takes; each key takes a kilobyte or two."""
    desk.write("lazydata.yml", KEYS[text])
    limit = "from lazydata.manifest import nodes\nnodes._NODES //= 10"
    done = run_in(desk, ["status"], before=limit)
    assert done.returncode == 11, done.stderr[-500:]
    assert "more than 100,000 keys and values" in done.stderr


@pytest.mark.parametrize("sign", ["[", "{a: ", "- ", "? "])
def test_nesting_without_end_is_refused(desk, sign):
    desk.write("lazydata.yml", HEAD + "x:\n  " + sign * 100_000)
    done = run_in(desk, ["status"])
    assert done.returncode == 11, done.stderr[-500:]
    assert "nested too deeply" in done.stderr


@pytest.mark.parametrize("name", ["baselines", "displaced", "pushed"])
def test_a_memory_of_nothing_but_line_breaks(project, remote, name):
    """Git keeps it in next to nothing, and a repository may bring it along."""
    project.run_cli("add-remote", str(remote))
    project.record((X, DATA))
    with open(project.root / ".lazydata" / name, "ab") as file:
        file.write(b"\n" * (8 << 20))
    done = run_in(project, ["status"], ["push"], ["pull", "."], ["gc"], memory=320 << 20)
    assert done.returncode == 0, done.stderr[-500:]


# -- what is claimed


@pytest.fixture
def remote(tmp_path):
    directory = tmp_path / "remote"
    directory.mkdir()
    return directory


@pytest.fixture
def put(remote, digest):
    def put(content):
        name = digest(content)
        path = remote / "objects/blake3" / name.partition(":")[2][:2] / name.partition(":")[2]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return name

    return put


def lists(desk, remote, *items):
    head = f"{HEAD}remotes:\n  origin:\n    url: {remote.as_uri()}\nfiles:\n"
    desk.write("lazydata.yml", head + "".join(items))


TERABYTE = 1 << 40
READING = [["status"], ["info", X], ["log", X], ["ls"], ["verify"], ["gc"], ["report"]]


def test_a_claimed_terabyte_takes_no_memory_and_no_disk(desk, remote, put, digest):
    lists(
        desk,
        remote,
        item(X, put(DATA), f"size: {TERABYTE}"),
        item("gone", digest(b"gone"), f"size: {TERABYTE}"),
        item("d/", digest(b"tree"), f"size: {TERABYTE}", f"files: {TERABYTE}"),
    )
    done = run_in(desk, ["pull", "."], *READING)
    assert done.returncode < 20, done.stderr[-500:]
    assert "MemoryError" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_directory_that_claims_terabytes(desk, remote, put):
    tree = f"lazydata tree 1\nfile\t{TERABYTE}\t1\t{put(DATA)}\tx\n".encode()
    lists(desk, remote, item("d/", put(tree), f"size: {TERABYTE}", "files: 1"))
    done = run_in(desk, ["pull", "."], ["status"], ["ls", "d"], ["verify"])
    assert done.returncode < 20, done.stderr[-500:]
    assert "Traceback" not in done.stderr
    assert desk.read("d/x") == DATA


def test_directories_in_each_other_without_end(desk, remote, put):
    """Deeper than Python's calls may be, and longer than a path may be."""
    tree = f"lazydata tree 1\nfile\t{len(DATA)}\t1\t{put(DATA)}\tx\n".encode()
    for _ in range(2200):
        tree = f"lazydata tree 1\ndir\t{len(DATA)}\t1\t{put(tree)}\td\n".encode()
    lists(desk, remote, item("d/", put(tree), f"size: {len(DATA)}", "files: 1"), item(X, put(DATA)))
    done = run_in(desk, ["pull", "."], ["verify"])
    assert 0 < done.returncode < 20, done.stderr[-500:]
    assert "Traceback" not in done.stderr
    assert desk.read(X) == DATA
    assert not (desk.root / "d").exists()


def test_a_data_file_with_long_names_is_told_in_few_words(desk, remote):
    """A hundred megabytes of columns are not handed on by the program that reads them."""
    desk.write(X.replace("csv", "db"), b"")
    with closing(sqlite3.connect(desk.root / X.replace("csv", "db"))) as made, made:
        name = "\u20ac" * 250
        columns = ", ".join(f'"{name}{number}" "{name}"' for number in range(400))
        for table in range(100):
            made.execute(f'CREATE TABLE "{table}" ({columns})')
    desk.write("lazydata.yml", HEAD + "files:\n")
    desk.run_cli("track", X.replace("csv", "db"))
    code = f"""
        from lazydata import inspecting
        found = inspecting.inspect({X.replace("csv", "db")!r})
        print(len(found.parts) + found.more, found.problem)
        with open("/proc/self/status") as status:
            print([line.split()[1] for line in status if line.startswith("VmHWM")][0])
    """
    told, kibibytes = desk.run_code(code).stdout.splitlines()
    assert told == "100 None"
    assert int(kibibytes) < 100_000
