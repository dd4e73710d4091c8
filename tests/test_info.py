"""What ``info`` tells of an entry, and of what is in it; hostile files included."""

from __future__ import annotations

import functools
import gzip
import io
import json
import os
import sqlite3
import struct
import subprocess
import sys
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazydata import inspecting, inspectors
from lazydata.inspecting import Column, format_of, inspect


@pytest.fixture
def look(tmp_path):
    """Write a file and look into it, in the program that does so."""

    def write_and_look(name, data):
        path = tmp_path / name
        path.write_bytes(data)
        return inspect(str(path))

    return write_and_look


def saved(package, write):
    pytest.importorskip(package)
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


# -- one kind after the other


def test_separated_values(look):
    data = b"\xef\xbb\xbfid;price;name;ok;none\n1;2;a;true;\n2;2.5;'b;false;NA\n"
    (part,) = look("x.csv", data).parts
    assert (part.rows, part.exact, part.width) == (2, True, 5)
    assert part.columns == (
        *(Column("id", "int"), Column("price", "float"), Column("name", "text")),
        *(Column("ok", "bool"), Column("none", "empty")),
    )
    (part,) = look("x.tsv", b'a,b\tc\n1\t"two\nlines"\n').parts
    assert (part.rows, [c.name for c in part.columns]) == (1, ["a,b", "c"])
    (part,) = look("x.csv.gz", gzip.compress(b"a,b\n1,2\n")).parts
    assert (part.rows, part.width) == (1, 2)
    (part,) = look("empty.csv", b"").parts
    assert (part.rows, part.width) == (0, 0)


def test_json_lines(look):
    (part,) = look("x.jsonl", b'{"a": 1, "b": null}\n\n{"a": 2.5, "c": []}\n[1]\n').parts
    assert part.rows == 3
    assert part.columns == (Column("a", "float"), Column("b", "null"), Column("c", "list"))
    assert "line 2" in look("bad.jsonl", b'{}\n{"a": \n').problem


def test_parquet(look):
    pytest.importorskip("pyarrow")
    from pyarrow import parquet, table

    rows = table({"id": [1, 2, 3], "name": ["a", "b", None]})
    (part,) = look("x.parquet", saved("pyarrow", lambda f: parquet.write_table(rows, f))).parts
    assert (part.rows, part.columns) == (3, (Column("id", "int64"), Column("name", "string")))


def test_numpy(look):
    numpy = pytest.importorskip("numpy")
    (part,) = look("x.npy", saved("numpy", lambda f: numpy.save(f, numpy.zeros((3, 4))))).parts
    assert (part.shape, part.type) == ((3, 4), "float64")
    named = {"a": numpy.arange(3), "b/c": numpy.array("x")}
    found = look("x.npz", saved("numpy", lambda f: numpy.savez_compressed(f, **named)))
    assert [(p.name, p.shape, p.type) for p in found.parts] == [
        ("a", (3,), "int64"),
        ("b/c", (), "<U1"),
    ]
    objects = numpy.array([{}, 1], dtype=object)
    found = look("o.npy", saved("numpy", lambda f: numpy.save(f, objects, allow_pickle=True)))
    assert (found.parts[0].shape, found.parts[0].type) == ((2,), "object")


def test_images(look):
    image = pytest.importorskip("PIL.Image")
    for form, ending in (("PNG", "png"), ("JPEG", "JPG"), ("GIF", "gif"), ("TIFF", "tif")):
        data = saved("PIL", lambda f, form=form: image.new("RGB", (64, 48)).save(f, form))
        (part,) = look(f"x.{ending}", data).parts
        assert part.shape == (64, 48)
        assert part.type


def test_sqlite(look, tmp_path):
    path = tmp_path / "made.db"
    connection = sqlite3.connect(path)
    connection.execute('CREATE TABLE "odd ""name" (id INTEGER PRIMARY KEY, t TEXT, x)')
    connection.execute("CREATE TABLE empty (a REAL)")
    connection.execute("CREATE VIEW v AS SELECT * FROM empty")
    connection.executemany('INSERT INTO "odd ""name" (t) VALUES (?)', [("a",), ("b",)])
    connection.commit()
    connection.close()
    before = sorted(p.name for p in tmp_path.iterdir())
    found = look("made.db", path.read_bytes())
    assert [(p.name, p.rows, p.columns) for p in found.parts] == [
        ("empty", 0, (Column("a", "real"),)),
        ('odd "name', 2, (Column("id", "integer"), Column("t", "text"), Column("x", ""))),
    ]
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_the_ending_tells_the_format():
    assert format_of("a/b.CSV") == "CSV"
    assert format_of("x.csv.gz") == "CSV"
    assert format_of(".csv") == "CSV"
    assert format_of("csv") is None
    assert format_of("x.gz") is None


# -- files that mean harm


BOMB = b"\x93NUMPY\x02\x00" + struct.pack("<I", (1 << 32) - 1)


@functools.cache
def hostile():
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.npy", BOMB + b" " * (64 << 20))
    png = (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + b"IHDR"
        + struct.pack(">IIBBBBB", 1 << 30, 1 << 30, 8, 6, 0, 0, 0)
    )
    return {
        "not.parquet": b"PAR1" + b"\xff" * 64 + struct.pack("<I", 1 << 30) + b"PAR1",
        "not.png": b"GIF",
        "large.png": png,
        "not.npy": BOMB + b"{",
        "bomb.npz": archive.getvalue(),
        "not.npz": b"PK\x05\x06" + b"\xff" * 18,
        "not.db": b"SQLite format 3\0" + b"\xff" * 4096,
        "deep.jsonl": b"[" * 200_000,
        "long.jsonl": b'{"a": ' + b"1" * 200_000 + b"}",
        "cut.csv.gz": gzip.compress(b"a,b\n" * 1000)[:-20],
        "field.csv": b'a\n"' + b"x" * (4 << 20),
    }


@pytest.mark.parametrize("name", sorted(hostile()))
def test_a_broken_file_is_one_line(look, name):
    found = look(name, hostile()[name])
    assert found.problem
    assert "\n" not in found.problem
    assert len(found.problem) <= 250
    assert "Traceback" not in found.problem


def test_a_zip_bomb_is_read_up_to_a_limit(look):
    found = look("x.csv.gz", gzip.compress(b"a,b\n" + b"1,2\n" * 12_000_000, 1))
    (part,) = found.parts
    assert not part.exact
    assert part.rows <= 1_000_000


def test_a_row_without_end_is_cut(look):
    (part,) = look("x.csv", b"a," * (17 << 20)).parts
    assert not part.exact
    assert part.rows == 0
    assert len(part.columns) == 500


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.csv")
    assert inspect(str(tmp_path / "x.csv")) is None
    assert inspect(str(tmp_path / "absent.csv")).problem == "No such file or directory"


@pytest.mark.parametrize("told", [b"", b"{", b"[]"])
def test_a_program_that_dies_is_one_line(look, monkeypatch, tmp_path, told):
    program = tmp_path / "dies.py"
    program.write_text(f"import os\nos.write(1, {told!r})\nos.kill(os.getpid(), 9)\n")
    monkeypatch.setattr(inspectors, "__file__", str(program))
    assert look("x.csv", b"a").problem == "it takes too much time or memory"


def test_a_program_that_hangs_is_ended(look, monkeypatch, tmp_path):
    program = tmp_path / "hangs.py"
    program.write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr(inspectors, "__file__", str(program))
    monkeypatch.setattr(inspecting, "_SECONDS", 0.2)
    assert look("x.csv", b"a").problem == "it takes too long"


def test_limits_hold():
    code = (
        "import resource, sys; sys.path[:0] = [sys.argv[1]]; import inspectors as i; i._limit();"
        "print(*(resource.getrlimit(r)[0] for r in (resource.RLIMIT_AS, resource.RLIMIT_CPU)))"
    )
    here = os.path.dirname(inspectors.__file__)
    done = subprocess.run(
        [sys.executable, "-c", code, here], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(2 << 30), "10"]


def test_code_beside_the_data_is_not_run(tmp_path, monkeypatch, look):
    numpy = pytest.importorskip("numpy")
    (tmp_path / "numpy.py").write_text("open('pwned', 'w')")
    (tmp_path / "csv.py").write_text("open('pwned', 'w')")
    monkeypatch.chdir(tmp_path)
    assert look("x.npy", saved("numpy", lambda f: numpy.save(f, numpy.zeros(3)))).parts
    assert look("x.csv", b"a\n1\n").parts
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(("name", "package"), [("x.npy", "numpy"), ("x.parquet", "pyarrow")])
def test_a_package_that_is_not_here_is_named(monkeypatch, name, package):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, "numpy.lib.format", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(inspectors.Unreadable, match=rf"takes {package}: pip install"):
        inspectors.READERS[format_of(name)](io.BytesIO(b""))


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0\ufeff"), max_size=8)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=6))
def test_rows_that_csv_wrote_are_counted(rows):
    import csv

    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(["a", "b"])
    writer.writerows(rows)
    (part,) = inspectors.delimited(io.BytesIO(buffer.getvalue().encode()), ",")
    assert (part["rows"], part["exact"], part["width"]) == (len(rows), True, 2)


# -- the command


class Commands:
    """Commands of one process that lives on: to start one for each takes half a second."""

    def __init__(self, desk):
        self._tracker = desk.tracker()

    def run(self, *arguments, code=0):
        done = self._tracker.run(
            """
            import contextlib, io
            from lazydata.cli.running import run
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                code = run(arguments)
            value = [code, out.getvalue()]
            """,
            arguments=arguments,
        )
        assert done.value[0] == code, (done.value, done.stderr)
        self.stderr = done.stderr
        return done.value[1]

    def json(self, *arguments, **more):
        return json.loads(self.run(*arguments, "--json", **more))


@pytest.fixture
def commands(project):
    return Commands(project)


def test_info_of_a_file(project, commands):
    project.git("init", "-q")
    commands.run("add-remote", str(project.base / "remote"))
    project.run_script(
        'from lazydata import track\nopen("x.csv", "w").write("id,n\\n1,a\\n")\ntrack("x.csv")',
        "make.py",
    )
    project.run_script('from lazydata import track\ntrack("x.csv")', "use.py")
    project.git("add", "-A")
    project.git("commit", "-qm", "one")
    commands.run("push")
    project.run_script(
        'from lazydata import track\nopen("x.csv", "w").write("id,n\\n1,a\\n2,b\\n")\n'
        'track("x.csv")',
        "make.py",
    )
    told = commands.json("info", "x.csv")
    new, old = told["versions"]
    assert (told["kind"], told["state"], told["size"]) == ("file", "ok", 13)
    assert (told["producer"], told["usage"]) == (["make.py"], ["use.py"])
    assert told["contents"]["parts"][0]["rows"] == 2
    assert told["first"]
    assert told["last"] is None
    assert (new["here"], new["stored"], new["remotes"]) == (True, True, [])
    assert (old["here"], old["stored"], old["remotes"]) == (False, True, ["origin"])
    shown = commands.run("info", "x.csv")
    for line in (
        "made by         make.py",
        "used by         use.py (an earlier version)",
        "contents        CSV: 2 rows, 2 columns",
        "last recorded   not committed yet",
    ):
        assert line in shown
    # The remote loses its copy, and this clone does not know: --check does.
    for path in (project.base / "remote").rglob("*"):
        if path.is_file() and path.name == old["hash"].partition(":")[2]:
            path.unlink()
    assert commands.json("info", "x.csv")["versions"][1]["remotes"] == ["origin"]
    assert commands.json("info", "x.csv", "--check")["versions"][1]["remotes"] == []
    assert commands.json("info", "x.csv")["versions"][1]["remotes"] == []
    (project.base / "remote").rename(project.base / "elsewhere")
    assert commands.json("info", "x.csv", "--check", code=3)["unasked"]
    assert "origin can't be asked" in commands.stderr
    # Not here, and not listed any more.
    commands.run("untrack", "x.csv")
    told = commands.json("info", "x.csv")
    assert told["state"] == "not listed"
    assert told["contents"]["parts"]
    commands.run("info", "nope.csv", code=12)


def test_info_of_a_directory_and_what_is_in_it(project, commands):
    for name, data in (("a/x.CSV", "id\n1\n"), ("y.csv", "id\n"), ("README", "1"), ("z.bin", "")):
        project.write(f"d/{name}", data)
    commands.run("add-remote", str(project.base / "remote"))
    commands.run("track", "d")
    commands.run("push")
    told = commands.json("info", "d", "--check")
    assert (told["kind"], told["files"], told["contents"]) == ("directory", 4, None)
    assert told["endings"] == [
        {"ending": ".csv", "files": 2, "size": 8},
        {"ending": "", "files": 1, "size": 1},
        {"ending": ".bin", "files": 1, "size": 0},
    ]
    assert told["versions"][0]["remotes"] == ["origin"]
    told = commands.json("info", "d/a/x.CSV", "--check")
    assert (told["kind"], told["size"], told["endings"]) == ("file", 5, None)
    assert told["contents"]["parts"][0]["rows"] == 1
    assert told["versions"][0]["remotes"] == ["origin"]
    told = commands.json("info", "d/a")
    assert (told["kind"], told["files"]) == ("directory", 1)
    # A missing file is looked at in the store.
    (project.root / "d/a/x.CSV").unlink()
    assert commands.json("info", "d/a/x.CSV")["contents"]["parts"][0]["rows"] == 1
    project.write("x.csv", "")
    commands.run("track", "x.csv")
    commands.run("info", ".", code=2)


def test_names_of_strangers_are_printable(project, commands):
    project.write("x.csv", "\x1b[31mred,b\n1,2\n")
    project.write("evil\x1b[31m.csv", "a\n")
    commands.run("track", "x.csv", "evil\x1b[31m.csv")
    for name in ("x.csv", "evil\x1b[31m.csv"):
        assert "\x1b" not in commands.run("info", name)


def test_a_file_that_may_not_be_read_is_one_line(ordinary):
    ordinary.write("x.csv", "a\n1\n")
    ordinary.run_cli("track", "x.csv")
    (ordinary.root / "x.csv").chmod(0)
    done = ordinary.run_cli("info", "x.csv", "--json")
    told = json.loads(done.stdout)
    assert told["contents"]["problem"] == "Permission denied"
    assert told["state"] == "modified"


def test_a_directory_that_lists_itself_again_and_again_is_counted_once(project):
    """Ten names in each of twelve levels, all the same tree below: 10 ** 12 paths."""
    code = """
    import json
    from lazydata.digest import digest_of
    from lazydata.tree import DIR, FILE, Node, encode
    from lazydata.workspace import info
    from lazydata.trees import Trees
    from lazydata.index import Index
    trees = Trees(None, Index(None))
    node = Node("f.csv", FILE, digest_of(b"x"), 1, 1)
    data = encode([node])
    size = files = 1
    for _ in range(12):
        digest = digest_of(data)
        trees.made[digest] = data
        data = encode([Node(str(n), DIR, digest, size, files) for n in range(10)])
        size, files = size * 10, files * 10
    trees.made[digest_of(data)] = data
    print(json.dumps(info._count(trees, Node("", DIR, digest_of(data), size, files))))
    """
    assert json.loads(project.run_code(code).stdout) == {".csv": [10**12, 10**12]}
