"""The dependency graph: what depends on what, and how it is printed."""

import json
import os
import pty
import re
import select
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazydata.cli import drawing
from lazydata.cli.printing import columns_of
from lazydata.digest import Digest
from lazydata.manifest import Entry, Version
from lazydata.workspace.graph import (
    MAKES,
    USES,
    around,
    build,
    cycles,
    knots,
    layers,
    makers_of,
    reach,
    results,
    sources,
)

HOSTILE = [
    'data/"];click n0 "javascript:alert(1)".csv',
    "data/</script><script>alert(1)</script>.csv",
    "data/-->&amp;#quot;`x`.csv",
    "data/back\\slash\\N\\G.csv",
    "data/{{script}}.csv",
    "data/\x1b[31mred\x07\u202eevil.csv",
]


def version(number, usage=(), size=1024):
    return Version(Digest(f"blake3:{number:064x}"), size, tuple(usage))


def graph_of(rows, makers=None):
    """From rows of (path, users, makers), each a version."""
    made, found = {}, {}
    for number, (path, used, by) in enumerate(rows):
        one = version(number, used)
        made[one.digest] = by
        found.setdefault(path, []).append(one)
    entries = [Entry(path, tuple(versions)) for path, versions in found.items()]
    return build(entries, makers=makers or (lambda v: made[v.digest]))


PIPELINE = [
    ("raw.csv", ["clean.py"], []),
    ("rates.csv", ["clean.py", "plot.py"], []),
    ("clean.csv", ["train.py"], ["clean.py"]),
    ("model.pkl", ["report.py"], ["train.py"]),
    ("unused.csv", [], []),
]


def test_edges_of_both_kinds():
    graph = graph_of(PIPELINE)
    kinds = {(e.script, e.path): e.kind for e in graph.edges}
    assert kinds["clean.py", "raw.csv"] == USES
    assert kinds["clean.py", "clean.csv"] == MAKES
    assert graph.down["raw.csv"] == ["clean.py"]
    assert graph.up["clean.csv"] == ["clean.py"]
    assert set(reach(graph.up, ["model.pkl"])) == {
        *("model.pkl", "train.py", "clean.csv", "clean.py", "raw.csv", "rates.csv")
    }
    assert set(reach(graph.down, ["rates.csv"])) == {
        *("rates.csv", "clean.py", "plot.py", "clean.csv", "train.py", "model.pkl", "report.py")
    }
    assert sources(graph) == ["rates.csv", "raw.csv", "unused.csv"]
    assert results(graph) == ["plot.py", "report.py", "unused.csv"]


def test_what_made_a_version_is_asked_for_in_one_place():
    one = Version(Digest("blake3:00"), 1, ("use.py", "make.py"), producer=("make.py",))
    assert makers_of(one) == ("make.py",)
    assert makers_of(version(1)) == ()
    graph = build([Entry("x.csv", (one,))])
    assert (graph.up["x.csv"], graph.down["x.csv"]) == (["make.py"], ["use.py"])
    assert cycles(graph) == []


def test_an_edge_of_an_earlier_version_only():
    graph = graph_of([("x.csv", ["old.py", "both.py"], []), ("x.csv", ["both.py"], [])])
    assert {e.script: e.latest for e in graph.edges} == {"old.py": False, "both.py": True}


def test_an_entry_that_is_a_script_too_is_one_node():
    graph = graph_of([("gen.py", [], ["make.py"]), ("x.csv", [], ["gen.py"])])
    assert graph.nodes["gen.py"].kind == "file"
    assert graph.nodes["gen.py"].is_script
    assert set(reach(graph.up, ["x.csv"])) == {"x.csv", "gen.py", "make.py"}


def test_cycles():
    graph = graph_of(
        [
            ("state.db", ["step.py"], ["step.py"]),
            ("a.csv", ["one.py"], ["two.py"]),
            ("b.csv", ["two.py"], ["one.py"]),
            ("c.csv", [], ["two.py"]),
        ]
    )
    assert sorted(cycles(graph)) == [
        ["a.csv", "b.csv", "one.py", "two.py"],
        ["state.db", "step.py"],
    ]
    assert sources(graph) == ["a.csv", "state.db"]
    assert results(graph) == ["c.csv", "state.db"]
    lines = list(drawing.tree(graph, results(graph), graph.up, (), drawing.Style()))
    assert [line for line in lines if "(1.0 KiB, cycle)" in line or "(cycle)" in line]


def test_long_chains_and_wide_fans_are_fine():
    chain = [(f"{n:05}.csv", [f"{n:05}.py"], [f"{n - 1:05}.py"]) for n in range(5000)]
    graph = graph_of(chain)
    columns = layers(graph)
    assert columns["04999.csv"] == 9999
    assert len(reach(graph.up, ["04999.csv"])) == 10000
    lines = list(drawing.tree(graph, results(graph), graph.up, (), drawing.Style(width=80)))
    assert len(lines) < 40
    assert max(map(columns_of, lines)) <= 80
    fan = graph_of([(f"{n}.csv", ["all.py"], []) for n in range(5000)])
    lines = list(drawing.tree(fan, ["all.py"], fan.up, (), drawing.Style()))
    assert len(lines) == 22
    assert lines[-1].endswith("… 4,980 more (--all shows them)")
    lines = list(drawing.tree(fan, ["all.py"], fan.up, (), drawing.Style(everything=True)))
    assert len(lines) == 5001


@st.composite
def graphs(draw):
    names = st.sampled_from([f"s{n}.py" for n in range(6)])
    some = st.lists(names, max_size=3, unique=True)
    return graph_of(
        [
            (f"d{draw(st.integers(0, 7))}.csv", draw(some), draw(some))
            for _ in range(draw(st.integers(0, 12)))
        ]
    )


@given(graphs())
def test_rules_that_hold_for_any_graph(graph):
    groups = knots(graph)
    assert sorted(name for group in groups for name in group) == sorted(graph.nodes)
    of = {name: at for at, group in enumerate(groups) for name in group}
    columns = layers(graph)
    for name, below in graph.down.items():
        for other in below:
            back = name in reach(graph.down, [other])
            assert (of[name] == of[other]) == back
            if not back:
                assert of[name] < of[other]
                assert columns[name] < columns[other]
    assert set(reach(graph.down, sources(graph))) == set(graph.nodes)
    assert set(reach(graph.up, results(graph))) == set(graph.nodes)


@given(graphs(), st.integers(16, 60))
def test_a_tree_names_all_that_is_reached_and_keeps_its_width(graph, width):
    lines = list(drawing.tree(graph, results(graph), graph.up, (), drawing.Style(width=width)))
    assert all(columns_of(line) <= width for line in lines)
    text = "\n".join(drawing.tree(graph, results(graph), graph.up, (), drawing.Style()))
    assert set(re.findall(r"[ds]\d\.\w+", text)) == set(graph.nodes)
    assert text.count("\n") < len(graph.nodes) + len(graph.edges) + 1


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), st.integers(1, 30))
def test_shortened_fits(text, room):
    text = text if text.isprintable() else "plain"
    assert columns_of(drawing.shortened(text, room)) <= room


# Names of strangers


def test_mermaid_has_nothing_of_a_name_but_its_text():
    graph = graph_of([(name, ["a.py"], []) for name in HOSTILE])
    lines = list(drawing.mermaid(graph, {"a.py"}))
    node = re.compile(r'  n\d+(\(\[|\[\(?)"[\w/._\-+=, ()#;]*"(\]\)|\)?\]):::\w+')
    edge = re.compile(r"  n\d+ (-->|==>|-\.->) n\d+")
    assert lines[0] == "flowchart LR"
    assert all(node.fullmatch(x) or edge.fullmatch(x) for x in lines[1:-2])
    assert sum(bool(edge.fullmatch(x)) for x in lines) == len(HOSTILE)
    # "#60;" is how Mermaid spells a character; a "#" of a name must not begin such a one.
    (line,) = [x for x in lines if "quot" in x]
    assert "#38;amp#59;#35;quot#59;#96;x#96;" in line


def test_graphviz_reads_dot_and_gives_the_names_back():
    if not shutil.which("dot"):
        pytest.skip("Graphviz is not installed")
    graph = graph_of([(name, ["a.py"], []) for name in HOSTILE])
    text = "\n".join(drawing.dot(graph, {"a.py"}))
    done = subprocess.run(
        ["dot", "-Tjson0"], input=text, capture_output=True, text=True, check=True
    )
    drawn = json.loads(done.stdout)
    assert len(drawn["objects"]) == len(HOSTILE) + 1
    assert len(drawn["edges"]) == len(HOSTILE)
    svg = subprocess.run(["dot", "-Tsvg"], input=text, capture_output=True, text=True, check=True)
    assert not svg.stderr
    assert "<script" not in svg.stdout
    assert "&lt;/script&gt;" in svg.stdout
    assert "back\\slash\\N\\G.csv" in svg.stdout
    assert "&#45;&#45;&gt;&amp;amp;" in svg.stdout


# The commands


def manifest(rows):
    lines = ["version: 2", "files:"]
    for number, (path, used, *_) in enumerate(rows):
        lines += [
            f"  - path: {json.dumps(path)}",
            f"    hash: blake3:{number:064x}",
            "    size: 1024",
        ]
        lines += ["    usage:", *(f"      - {u}" for u in used)] if used else []
    return "\n".join(lines) + "\n"


USED = [
    ("data/raw.csv", ["src/clean.py", "src/plot.py"]),
    ("data/rates.csv", ["src/clean.py"]),
    ("data/images/", ["src/gone.py"]),
    ("data/old.csv", ["src/plot.py"]),
    ("data/old.csv", []),
    ("unused.csv", []),
]


@pytest.fixture
def used(desk):
    desk.write("lazydata.yml", manifest(USED))
    desk.write("src/clean.py", "")
    desk.write("src/plot.py", "")
    return desk


def test_graph_is_a_tree_of_what_was_made_from_what(used):
    assert used.run_cli("graph").stdout.splitlines() == [
        "src/clean.py",
        "├── data/rates.csv  (1.0 KiB)",
        "└── data/raw.csv  (1.0 KiB)",
        "src/gone.py  (not there)",
        "└── data/images/  (1.0 KiB)",
        "src/plot.py",
        "├── data/old.csv  (an earlier version)",
        "└── data/raw.csv  (1.0 KiB)",
        "No script is recorded of 1 entry:",
        "    unused.csv",
    ]


def test_graph_of_a_path_is_what_it_has_to_do_with(used):
    assert used.run_cli("graph", "data/rates.csv").stdout.splitlines() == [
        "src/clean.py",
        "└── data/rates.csv  (1.0 KiB)",
    ]
    found = used.json_cli("graph", "clean.py")
    assert [node["name"] for node in found["nodes"]] == [
        *("data/rates.csv", "data/raw.csv", "src/clean.py")
    ]
    assert found["nodes"][0]["kind"] == "file"
    assert found["nodes"][2] == {
        "name": "src/clean.py",
        "kind": "script",
        "script": True,
        "absent": False,
        "hash": None,
        "size": None,
        "versions": 0,
    }
    edge = {"script": "src/clean.py", "path": "data/raw.csv", "kind": "uses", "latest": True}
    assert edge in found["edges"]
    assert found == json.loads(used.run_cli("graph", "clean.py", "--format", "json").stdout)


def test_graph_without_a_path_is_about_the_working_directory(used):
    (used.root / "data").mkdir()
    inside = used.run_cli("graph", cwd=used.root / "data").stdout
    assert "raw.csv" in inside
    assert "unused.csv" not in inside
    assert "images/" in used.run_cli("graph", "data/images/cat.jpg").stdout


def test_impact_and_why(used):
    said = used.run_cli("impact", "raw.csv").stdout.splitlines()
    assert said == [
        "data/raw.csv  (1.0 KiB)",
        "├── src/clean.py",
        "└── src/plot.py",
        "2 scripts depend on data/raw.csv.",
    ]
    found = used.json_cli("impact", "data")
    assert found["scripts"] == ["src/clean.py", "src/gone.py", "src/plot.py"]
    assert found["files"] == []
    assert (
        used.run_cli("impact", "unused.csv").stdout == "Nothing recorded depends on unused.csv.\n"
    )
    said = used.run_cli("why", "src/plot.py").stdout.splitlines()
    assert said[1:] == [
        "├── data/old.csv  (an earlier version)",
        "└── data/raw.csv  (1.0 KiB)",
    ]
    assert used.json_cli("why", "src/plot.py")["sources"] == ["data/old.csv", "data/raw.csv"]
    said = used.run_cli("why", "data/raw.csv").stdout
    assert said == "Nothing is recorded of what data/raw.csv was made from.\n"


@pytest.mark.parametrize("command", ["graph", "why", "impact"])
def test_a_path_that_names_nothing(used, command):
    done = used.run_cli(command, "nope.csv", code=12)
    assert "lists nothing at nope.csv" in done.stderr


def test_graph_of_an_empty_workspace(project):
    assert project.run_cli("graph").stdout == "lazydata.yml lists nothing here.\n"
    assert project.json_cli("graph")["nodes"] == []
    assert project.run_cli("graph", "-f", "dot").stdout.startswith("digraph")


def on_a_terminal(desk, *args, columns=40, **env):
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    command = desk.python("cli", *args)
    env = {k: v for k, v in desk.env.items() if k != "NO_COLOR"} | env
    with subprocess.Popen(
        command,
        cwd=desk.root,
        env=env | {"COLUMNS": str(columns), "PYTHONIOENCODING": "utf-8"},
        stdout=theirs,
        stdin=subprocess.DEVNULL,
    ) as process:
        os.close(theirs)
        out = b""
        while select.select([ours], [], [], 30)[0]:
            try:
                got = os.read(ours, 1 << 16)
            except OSError:  # the other end is closed
                break
            if not got:
                break
            out += got
    os.close(ours)
    assert process.returncode == 0
    return out.decode().replace("\r\n", "\n")


def test_colours_and_width_on_a_terminal_only(used):
    long = "data/" + "very/" * 20 + "deep.csv"
    used.write("lazydata.yml", manifest([*USED, (long, ["src/clean.py"])]))
    coloured = on_a_terminal(used, "graph", TERM="xterm-256color")
    assert "\x1b[1msrc/clean.py\x1b[0m" in coloured
    plain = on_a_terminal(used, "graph", TERM="xterm-256color", NO_COLOR="1")
    assert re.sub(r"\x1b\[\d*m", "", coloured) == plain
    assert "\x1b" not in plain
    assert "\x1b" not in on_a_terminal(used, "graph", TERM="dumb")
    assert max(map(len, plain.splitlines())) == 40
    assert "…" in plain
    assert long in used.run_cli("graph", env={"COLUMNS": "40"}).stdout


def test_hostile_names_do_nothing_to_a_terminal(desk):
    desk.write("lazydata.yml", manifest([(name, ["\x22a\\e[31m.py\x22"]) for name in HOSTILE]))
    for form in ("tree", "mermaid", "dot", "json"):
        out = desk.run_cli("graph", "--format", form).stdout
        assert all(line.isprintable() for line in out.splitlines()), form
    coloured = on_a_terminal(desk, "graph", columns=200, TERM="xterm")
    assert set(re.findall(r"\x1b\[\d*.", coloured)) == {"\x1b[1m", "\x1b[2m", "\x1b[0m"}
    names = {node["name"] for node in desk.json_cli("graph")["nodes"]}
    assert 'data/"];click n0 "javascript:alert(1)".csv' in names


def test_around_keeps_only_what_is_connected():
    graph = graph_of(PIPELINE)
    part = around(graph, ["clean.csv"])
    assert "plot.py" not in part.nodes
    assert "report.py" in part.nodes
    assert all(edge.script in part.nodes and edge.path in part.nodes for edge in part.edges)
