"""--json: what each command prints is what the schema says, and so is what the pages show."""

import json
import re
import shutil
import sqlite3
import time
from importlib.resources import files
from pathlib import Path

import pytest
import typer
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from gc_desk import commands
from lazydata.cli.app import app

SCHEMA = json.loads(files("lazydata.cli").joinpath("output.schema.json").read_text("utf-8"))
REGISTRY = Registry().with_resource(SCHEMA["$id"], Resource.from_contents(SCHEMA))
REFERENCE = Path(__file__).parent.parent / "docs" / "reference"
VERSIONED = re.compile(r"(?:blake3|sha256):([0-9a-f]*)…")

X, TABLE, PARTS = "data/x.csv", "data/table.sqlite", "data/parts"
OLD, NEW = b"a,b\n" + b"1,2\n" * 300, b"a,b\n" + b"3,4\n" * 300
MAKER, USER = "make.py", "use.py"


def problems(name, data):
    """What is wrong with an output, by the schema of its command."""
    validator = Draft202012Validator({"$ref": f"{SCHEMA['$id']}#/$defs/{name}"}, registry=REGISTRY)
    return [f"{each.json_path}: {each.message}" for each in validator.iter_errors(data)]


def valid(name, text):
    """The object that was printed, and nothing beside it."""
    assert len(text.splitlines()) == 1, text
    data = json.loads(text)
    assert problems(name, data) == []
    return data


def ask(desk, name, *words, code=0):
    return valid(name, commands(desk, (*words, "--json"), code=code))


@pytest.fixture
def filled(project):
    """Entries of each kind and in each state, with scripts, a history of git, and a remote."""
    project.git("init", "-q")
    for path, content in {X: OLD, "data/y.bin": b"y", "data/gone": b"gone", "z.old": b"z"}.items():
        project.write(path, content)
    for number in range(3):
        project.write(f"{PARTS}/cats/{number}.jpg", f"cat {number}")
    (project.root / PARTS / "link").symlink_to("cats")
    with sqlite3.connect(project.root / TABLE) as connection:
        connection.execute("CREATE TABLE rows (id INTEGER)")
    connection.close()
    commands(project, ("track", X, "data/y.bin", "data/gone", "z.old", TABLE, PARTS))
    project.git("add", "lazydata.yml")
    project.git("commit", "-qm", "First")
    project.run_script(
        f"from lazydata import track\nopen({X!r}, 'wb').write({NEW!r})\ntrack({X!r}, output=True)",
        MAKER,
    )
    project.run_script(
        f"from lazydata import track\nopen(track({X!r})).close()\n"
        "open('made', 'w').write('m')\ntrack('made', output=True)",
        USER,
    )
    project.write(f"{PARTS}/cats/3.jpg", "another")
    commands(project, ("track", PARTS), ("add-remote", project.base / "remote"))
    return project


# -- what commands print


def test_how_entries_stand(filled):
    filled.write("data/y.bin", b"edited")
    (filled.root / "data/gone").unlink()
    never = filled.manifest_file.read_text().replace("path: z.old", "path: never")
    filled.write("lazydata.yml", never)
    rows = ask(filled, "status", "status")["files"]
    states = {row["path"]: row["state"] for row in rows}
    assert states == {
        X: "ok",
        TABLE: "ok",
        "made": "ok",
        f"{PARTS}/": "ok",
        "data/y.bin": "modified",
        "data/gone": "missing",
        "never": "not-downloaded",
    }
    ask(filled, "status", "status", f"{PARTS}/link", f"{PARTS}/cats")
    ask(filled, "status", "status", "--recursive", "--check", code=4)


def test_what_is_listed(filled):
    rows = ask(filled, "ls", "ls", "--versions")["files"]
    (*_, latest) = (row for row in rows if row["path"] == X)
    assert (latest["producer"], latest["usage"]) == ([MAKER], [MAKER, USER])
    ask(filled, "ls", "ls", f"{PARTS}/link")
    ask(filled, "ls", "ls", f"{PARTS}/cats")


def test_what_is_put_back(filled, digest):
    filled.write(X, b"edited")
    assert ask(filled, "restore", "restore", X)["files"] == [{"path": X, "hash": digest(NEW)}]
    ask(filled, "restore", "restore", X, "--from", "HEAD")
    ask(filled, "restore", "restore", f"{PARTS}/cats")


def test_history(filled):
    first, second = ask(filled, "log", "log", X)["versions"]
    assert (first["commit"], second["subject"]) == (None, "First")
    ask(filled, "log", "log", PARTS)
    for inside in ("cats/3.jpg", "link", "cats"):
        rows = ask(filled, "log", "log", f"{PARTS}/{inside}")["versions"]
        assert all("part" in row for row in rows)
    commands(filled, ("untrack", "z.old"))
    changes = {e["path"]: e["change"] for e in ask(filled, "diff", "diff")["entries"]}
    assert changes == {X: "changed", "made": "added", f"{PARTS}/": "changed", "z.old": "removed"}
    assert ask(filled, "diff", "diff", "HEAD", "HEAD")["entries"] == []


def test_what_is_known_of_an_entry(filled):
    told = ask(filled, "info", "info", X, "--check")
    assert (told["producer"], told["usage"]) == ([MAKER], [USER])
    assert told["contents"]["parts"][0]["columns"][0] == {"name": "a", "type": "int"}
    assert ask(filled, "info", "info", TABLE)["contents"]["format"] == "SQLite"
    assert ask(filled, "info", "info", PARTS)["endings"][0]["files"] == 4
    ask(filled, "info", "info", f"{PARTS}/link")
    commands(filled, ("untrack", "z.old"))
    assert ask(filled, "info", "info", "z.old")["state"] == "not listed"


def test_the_graph(filled):
    commands(filled, ("track", USER))
    (filled.root / MAKER).unlink()
    kinds = {edge["kind"] for edge in ask(filled, "graph", "graph")["edges"]}
    assert kinds == {"uses", "makes"}
    assert ask(filled, "why", "why", "made")["sources"]
    assert ask(filled, "impact", "impact", X)["files"] == ["made"]


def test_remotes_and_transfers(filled, new_desk):
    ask(filled, "remotes", "remotes")
    assert ask(filled, "push", "push", "--dry-run")["dry_run"]
    ask(filled, "push", "push")
    assert ask(filled, "push", "push")["objects"] == 0
    other = new_desk("other")
    shutil.copytree(filled.root / ".git", other.root / ".git")
    shutil.copy(filled.manifest_file, other.manifest_file)
    assert ask(other, "pull", "pull", ".", "--dry-run")["dry_run"]
    assert X in ask(other, "pull", "pull", ".")["paths"]
    ask(other, "pull", "pull")
    told = ask(other, "pull-rev", "pull", "--rev", "HEAD", "--dry-run")
    assert told["rev"] == "HEAD"
    ask(other, "pull-rev", "pull", "--rev", "HEAD")
    other.write(X, b"edited")
    (left,) = ask(other, "pull", "pull", ".", code=3)["left"]
    assert X in left


def test_damage(filled):
    commands(filled, ("push",))
    assert ask(filled, "verify", "verify")["damage"] == []
    told = ask(filled, "verify", "verify", "--remote", "origin")
    assert (told["remote"], told["damage"]) == ("origin", [])
    filled.damage(filled.object(OLD))
    (row,) = ask(filled, "verify", "verify", code=13)["damage"]
    assert row["problem"] == "corrupt"
    filled.damage(filled.object(NEW))
    assert ask(filled, "verify", "verify", "--repair")["damage"][0]["repaired"]
    for file in (filled.base / "remote").rglob("*/**/*"):
        if file.is_file():
            filled.damage(file)
    assert ask(filled, "verify", "verify", "--remote", "origin", code=13)["damage"]


def test_gc(filled):
    commands(filled, ("push",), ("untrack", "z.old"))
    filled.git("commit", "-qam", "Second")
    time.sleep(0.1)
    for grace in ("7d", "0.05s"):
        for more in ((), ("--force",)):
            told = ask(filled, "gc", "gc", "--grace", grace, *more)
            assert told["dry_run"] == (not more)
            ask(filled, "gc-remote", "gc", "--remote", "origin", "--grace", grace, *more)
    ask(filled, "gc", "gc", "--max-size", "1B", "--grace", "0", "--force")
    filled.write("lazydata.yml", "version: 2\nfiles: 7\n")
    assert ask(filled, "gc", "gc")["blocked"]


def test_settings_and_the_set_up(filled, desk):
    commands(filled, ("config", "set", "link", "copy"), ("config", "set", "allow", "/scratch"))
    commands(filled, ("config", "set", "remotes.origin.profile", "me"))
    assert ask(filled, "config-list", "config", "list")["settings"]["link"] == "copy"
    ask(filled, "doctor", "doctor")


@pytest.mark.parametrize(
    ("text", "words", "code"),
    [
        ("", ("ls", "nope"), 12),
        ("<<<<<<< a\n", ("status",), 11),
        ("", ("restore", X, "data/y.bin"), 3),
        ("", ("push",), 2),
    ],
    ids=["not listed", "broken manifest", "several", "no remote"],
)
def test_errors(project, text, words, code):
    listed = "".join(
        f"  - path: {path}\n    hash: blake3:{'0' * 64}\n    size: 1\n"
        for path in (X, "data/y.bin")
    )
    project.write("lazydata.yml", f"version: 2\nfiles:\n{text}{listed}")
    done = project.run_cli(*words, "--json", code=code)
    told = valid("error", done.stderr.splitlines()[-1])
    assert told["code"] == code
    assert told["hint"] or told["left"]


# -- the schema


def parts_of(schema, at="#"):
    """Every schema in a schema."""
    yield at, schema
    for key in ("properties", "$defs"):
        for name, each in schema.get(key, {}).items():
            yield from parts_of(each, f"{at}/{key}/{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from parts_of(schema[key], f"{at}/{key}")
    for each in schema.get("anyOf", ()):
        yield from parts_of(each, f"{at}/anyOf")


OPEN = {  # what others name may be in there
    "#/$defs/remotes/properties/remotes/items",
    "#/$defs/config-list/properties/settings",
    "#/$defs/config-list/properties/settings/properties/remotes",
}


def test_the_schema_is_one():
    Draft202012Validator.check_schema(SCHEMA)
    listed = {each["$ref"].removeprefix("#/$defs/") for each in SCHEMA["anyOf"]}
    used = {each["$ref"].removeprefix("#/$defs/") for _, each in parts_of(SCHEMA) if "$ref" in each}
    assert used | listed == set(SCHEMA["$defs"])


def test_the_schema_lets_nothing_through_that_it_does_not_name():
    objects = {at: each for at, each in parts_of(SCHEMA) if each.get("type") == "object"}
    is_open = {at for at, each in objects.items() if each.get("additionalProperties") is not False}
    assert is_open - {f"{at}/additionalProperties" for at in OPEN} == OPEN


def test_each_key_is_described():
    for at, each in parts_of(SCHEMA):
        names = each.get("properties", {})
        for name, key in names.items():
            target = SCHEMA["$defs"].get(key.get("$ref", "").removeprefix("#/$defs/"), {})
            assert key.get("description") or target.get("description"), f"{at}: {name}"


# -- what is documented


def with_json(command, names=()):
    """The names of the commands that have --json."""
    for name, each in getattr(command, "commands", {}).items():
        yield from with_json(each, (*names, name))
    if any("--json" in parameter.opts for parameter in command.params):
        yield "-".join(names)


ALSO = ("pull-rev", "gc-remote", "error")  # of a command in another mode, or of all of them


def test_every_command_has_a_schema():
    commands_ = set(with_json(typer.main.get_command(app)))
    listed = {each["$ref"].removeprefix("#/$defs/") for each in SCHEMA["anyOf"]}
    assert listed == commands_ | set(ALSO)


def examples(page):
    """Each JSON block of a page, with its digests, which are cut off there, at full length."""
    text = (REFERENCE / page).read_text(encoding="utf-8")
    for block in re.findall(r"^```json\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        yield json.loads(VERSIONED.sub(lambda m: "blake3:" + m[1].ljust(64, "0"), block))


def test_every_command_has_an_example_that_is_valid():
    names = [each["$ref"].removeprefix("#/$defs/") for each in SCHEMA["anyOf"]]
    shown = set()
    for page in ("commands.md", "exit-codes.md"):
        for example in examples(page):
            fitting = [name for name in names if not problems(name, example)]
            assert fitting, {name: problems(name, example) for name in names}
            shown.update(fitting)
    assert shown == set(names)
