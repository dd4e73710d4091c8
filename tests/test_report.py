"""The report: one page that loads nothing, looked at in a real browser."""

import base64
import hashlib
import html.parser
import json
import os
import re
import stat
import time
from pathlib import Path

import pytest

import browser
import lazydata
from lazydata.cli.page import page as render
from lazydata.digest import Digest
from lazydata.manifest import Entry, Version
from lazydata.workspace.graph import build
from lazydata.workspace.reporting import EntryRow, Report, VersionRow

HOSTILE = [
    "data/</script><script>document.title='owned'</script>.csv",
    "data/<!--<script>.csv",
    "data/<img src=x onerror=document.title='owned'>.csv",
    "data/{{script}}{{data}}.csv",
    "data/\x1b[31m\u202eevil.csv",
]
DATES = [f"2026-0{month}-05T12:00:00Z" for month in range(1, 6)]


def manifest(rows, remotes=""):
    """Rows of (path, number of the version, bytes, scripts)."""
    lines = ["version: 2", *([remotes] if remotes else []), "files:"]
    for path, number, size, used in rows:
        lines += [f"  - path: {json.dumps(path)}", f"    hash: blake3:{number:064x}"]
        lines += [f"    size: {size}", *([f"    files: {number}"] if path.endswith("/") else [])]
        lines += ["    usage:", *(f"      - {json.dumps(u)}" for u in used)] if used else []
    return "\n".join(lines) + "\n"


SMALL = [
    ("data/raw/a.csv", 1, 40 << 20, ["src/clean.py", "src/plot.py"]),
    ("data/raw/b.csv", 2, 10 << 20, ["src/clean.py"]),
    ("data/images/", 3, 90 << 20, ["src/plot.py", "src/gone.py"]),
    ("model.pkl", 4, 5 << 20, ["src/gone.py"]),
    ("model.pkl", 5, 6 << 20, ["src/plot.py"]),
    ("unused.csv", 6, 1 << 20, []),
]


def many(count=5000):
    rows = []
    for n in range(count):
        scripts = [f"src/{n % 50:02}.py", f"src/{n * 7 % 300:03}.py"][: n % 3]
        rows.append((f"data/{n % 40:02}/part-{n:05}.parquet", n + 1, (n * 7919) % 9999999, scripts))
    return rows


def digest(number):
    return Digest(f"blake3:{number:064x}")


@pytest.fixture
def small(desk):
    for script in ("src/clean.py", "src/plot.py"):
        desk.write(script, "")
    desk.write("lazydata.yml", manifest(SMALL))
    return desk


@pytest.fixture(scope="module")
def chromium():
    program = browser.find()
    if program is None:
        pytest.skip("there is no Chromium here")
    running = browser.Browser(program)
    yield running
    running.close()


@pytest.fixture
def look(chromium):
    """Open a page; when it is left it must have had no complaints, and asked for nothing."""
    opened = []

    def leave():
        for each in opened:
            assert each.complaints == []
            assert each.requests == []
            each.close()
        opened.clear()

    def page(desk, **more):
        leave()  # behind another tab nothing is drawn
        if not (desk.root / "report.html").exists():
            desk.run_cli("report")
        opened.append(chromium.page(desk.root / "report.html", **more))
        return opened[0]

    yield page
    leave()


def embedded(text):
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])


# The file


class Outline(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.links, self.policy, self.text = [], [], "", {}

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append(tag)
        self.links += [v for k, v in attrs.items() if k in ("src", "href", "action", "data")]
        if attrs.get("http-equiv") == "Content-Security-Policy":
            self.policy = attrs["content"]

    def handle_data(self, data):
        self.text.setdefault(self.tags[-1] if self.tags else "", []).append(data)


def test_the_page_is_one_file_that_forbids_itself_the_network(small):
    small.run_cli("report", "-o", "out.html")
    text = small.read("out.html").decode()
    outline = Outline()
    outline.feed(text)
    assert outline.links == []
    assert "http://" not in text
    assert "https://" not in text
    assert "@import" not in text
    assert "url(" not in text
    assert outline.policy.startswith("default-src 'none'; style-src 'sha256-")
    for tag in ("style", "script"):
        (body,) = [t for t in outline.text[tag] if len(t) > 2000 and not t.startswith("{")]
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in outline.policy
    assert str(small.root.parent) not in text


def test_hostile_names_stay_names(desk):
    desk.write("lazydata.yml", manifest([(n, at, 9, [n]) for at, n in enumerate(HOSTILE)]))
    desk.run_cli("report")
    text = desk.read("report.html").decode()
    assert text.count("</script") == 2
    assert "<img" not in text
    assert "\x1b" not in text
    names = [node[0] for node in embedded(text)["nodes"]]
    assert set(HOSTILE[:4]) < set(names)


def test_only_a_report_is_replaced(small):
    small.run_cli("report")
    small.run_cli("report")
    small.write("notes.html", "mine")
    done = small.run_cli("report", "-o", "notes.html", code=2)
    assert "no report of lazydata" in done.stderr
    assert small.read("notes.html") == b"mine"
    small.run_cli("report", "-o", "src", code=2)
    small.run_cli("report", "-o", "nowhere/report.html", code=None)
    assert not (small.root / "nowhere").exists()
    assert small.run_cli("report", "-o", "-").stdout.startswith("<!doctype html>\n")


def test_a_directory_that_may_not_be_written(ordinary):
    part = Path(lazydata.__file__).parent / "report" / "page.html"
    if ordinary.run_code(f"open({str(part)!r})", code=None).returncode:
        pytest.skip("an ordinary user may not read lazydata's own files here")
    ordinary.write("lazydata.yml", manifest(SMALL))
    closed = ordinary.write("closed/x", "").parent
    closed.chmod(stat.S_IRUSR | stat.S_IXUSR)
    done = ordinary.run_cli("report", "-o", "closed/report.html", code=15)
    assert "closed/report.html" in done.stderr
    assert os.listdir(closed) == ["x"]


def test_what_is_where_and_since_when(project, tmp_path):
    project.git("init", "-q")
    project.run_cli("add-remote", str(tmp_path / "shared"))
    project.record(("a.csv", b"one"), ("b.csv", b"two"))
    project.run_cli("push", "a.csv")
    when = {"GIT_AUTHOR_DATE": DATES[0], "GIT_COMMITTER_DATE": DATES[0]}
    project.env.update(when)
    project.git("add", "lazydata.yml")
    project.git("commit", "-qm", "First of all")
    project.env.update(dict.fromkeys(when, DATES[1]))
    project.record(("b.csv", b"three"))
    project.git("commit", "-qam", "Another b")
    project.record(("c.csv", b"four"))
    project.run_cli("report")
    data = embedded(project.read("report.html").decode())
    of = {data["nodes"][entry["at"]][0]: entry for entry in data["entries"]}
    assert {path: entry["state"] for path, entry in of.items()} == dict.fromkeys(of, "ok")
    assert [c["subject"] for c in data["commits"]] == ["First of all", "Another b"]
    assert [c["when"] for c in data["commits"]] == [1767614400, 1770292800]
    assert data["remotes"] == ["origin"]
    hash_, size, files, commit, stored, remotes = of["a.csv"]["versions"][0]
    assert (size, files, commit, stored, remotes) == (3, None, 0, 1, [0])
    assert hash_ == project.versions("a.csv")[0]
    assert [row[3:] for row in of["b.csv"]["versions"]] == [[0, 1, []], [1, 1, []]]
    assert of["c.csv"]["versions"][0][3] == -1


def test_a_part_of_the_graph_as_a_page(small, look):
    text = small.run_cli("graph", "data/raw/b.csv", "--format", "html").stdout
    data = embedded(text)
    assert [node[0] for node in data["nodes"]] == ["data/raw/b.csv", "src/clean.py"]
    assert data["only_graph"]
    small.write("report.html", text)
    page = look(small)
    assert page.run("document.getElementById('tabs').hidden")
    assert "1 entry" in page.text("#facts")


# In a browser


def test_the_policy_keeps_out_what_got_in(small, chromium):
    small.run_cli("report")
    text = small.read("report.html").decode()
    image = "<img src='http://127.0.0.1:9/x.png' onerror='document.title=1'>"
    added = f"{image}<script>document.title = 'owned'</script></body>"
    small.write("report.html", text.replace("</body>", added))
    page = chromium.page(small.root / "report.html")
    assert page.run("document.title") == "work"
    assert sum("violates the following Content Security Policy" in c for c in page.complaints) >= 2
    page.close()


def test_what_made_a_file_is_drawn(small, look):
    makers = {"data/raw/b.csv": ["src/clean.py"], "model.pkl": ["src/plot.py"]}
    number = {digest(n): path for path, n, *_ in SMALL}
    entries = {}
    for path, at, size, used in SMALL:
        entries.setdefault(path, []).append(Version(digest(at), size, tuple(used)))
    entries = [Entry(path, tuple(versions)) for path, versions in entries.items()]
    graph = build(entries, makers=lambda version: makers.get(number[version.digest], []))
    rows = [EntryRow(e, "ok", [VersionRow(v, None, True, ()) for v in e.versions]) for e in entries]
    made = Report("made", 0, False, False, [], rows, graph, set())
    small.write("report.html", render(made))
    page = look(small)
    page.frame()
    page.click(*page.run("drawing.at('src/plot.py')"))
    assert page.texts("#details h3") == ["Uses (3)", "Makes"]
    page.press("#details h3:last-of-type + ul button")
    assert page.text("#details h2") == "model.pkl"
    assert page.texts("#details h3") == ["Made by", "Used by (2)", "Versions (2)"]
    page.press("#details p + button")  # only what is related
    assert page.run("drawing.state.items") == 5
    page.press("#whole")
    assert page.run("drawing.state.items") == 8


def test_the_graph_answers_clicks(small, look):
    page = look(small)
    assert "5 entries" in page.text("#facts")
    page.frame()
    page.click(*page.run("drawing.at('src/plot.py')"))
    assert page.text("#details h2") == "src/plot.py"
    assert page.texts("#details li") == ["data/images/", "data/raw/a.csv", "model.pkl"]
    page.press("#details li:nth-child(3) button")
    assert page.text("#details h2") == "model.pkl"
    assert "an earlier version" in page.text("#details")
    assert page.texts("#details .hash") == ["0" * 12, "0" * 12]
    before = page.run("drawing.state")
    page.frame()
    x, y = page.run("drawing.at('unused.csv')")
    page.mouse("mousePressed", x, y, button="left", clickCount=1)
    for step in range(1, 5):
        page.mouse("mouseMoved", x + 20 * step, y + 5 * step, button="left", buttons=1)
    page.mouse("mouseReleased", x + 80, y + 20, button="left", clickCount=1)
    after = page.run("drawing.state")
    assert after["left"] - before["left"] == pytest.approx(80)
    assert after["top"] - before["top"] == pytest.approx(20)
    assert after["selected"] == before["selected"] == "model.pkl"
    page.mouse("mouseWheel", x, y, deltaX=0, deltaY=-300)
    page.until(f"drawing.state.scale > {after['scale']} * 1.3")


def test_the_graph_answers_keys(small, look):
    page = look(small)
    page.key("/")
    page.type("pl py")
    assert page.texts("#found li") == ["src/plot.py"]
    page.key("Enter")
    assert page.run("document.activeElement.id") == "canvas"
    assert page.text("#details h2") == "src/plot.py"
    page.key("ArrowLeft")
    chosen = page.text("#details h2")
    assert chosen in ("data/images/", "data/raw/a.csv", "model.pkl")
    assert page.text("#said").startswith(chosen)
    page.key("ArrowRight")
    scale = page.run("drawing.state.scale")
    page.key("+")
    assert page.run("drawing.state.scale") == pytest.approx(scale * 1.3)
    page.key("-")
    left = page.run("drawing.state.left")
    page.key("ArrowLeft", shift=True)
    assert page.run("drawing.state.left") == pytest.approx(left + 60)
    page.key("Enter")
    assert page.run("document.activeElement.id") == "details"
    page.run("document.getElementById('canvas').focus()")
    page.key("Escape")
    assert page.text("#details") == ""
    page.key("0")
    seen = set()  # up and down lead to all that there is
    for _ in range(12):
        page.key("ArrowDown")
        seen.add(page.text("#details h2"))
    assert "unused.csv" in seen


def test_tabs_and_their_keys(small, look):
    page = look(small, view="bytes")
    assert page.run("document.getElementById('bytes').hidden") is False
    page.run("document.getElementById('tab-bytes').focus()")
    for view in ("time", "pushed", "graph", "bytes"):
        page.key("ArrowRight")
        assert page.run("document.activeElement.id") == f"tab-{view}"
        assert (
            page.run("[...document.querySelectorAll('section')].filter((s) => !s.hidden)[0].id")
            == view
        )


def test_the_treemap_has_all_bytes(small, look):
    page = look(small, view="bytes")
    title = "#map [title^='data/, ']"
    share = (
        "(() => { const b = document.querySelector({}).getBoundingClientRect(), m = "
        "document.getElementById('map'); "
        "return b.width * b.height / m.clientWidth / m.clientHeight; })()"
    )
    assert page.run(share.replace("{}", json.dumps(title))) == pytest.approx(140 / 147, abs=0.02)
    page.run(f"document.querySelector({json.dumps(title)}).focus()")
    page.key("Enter")
    assert page.text("#crumbs strong") == "data"
    assert not page.run("document.querySelector('#map [title^=\"model\"]')")
    page.key("Backspace")
    assert page.text("#crumbs strong") == "work"
    assert len(page.texts("#map .earlier")) == 0
    page.press("#bytes-all")
    assert len(page.texts("#map .earlier")) == 1
    page.press("#map .earlier")
    assert page.text("#details h2") == "model.pkl"


def test_the_timeline(desk, look):
    desk.git("init", "-q")
    for at, date in enumerate(DATES):
        desk.write("lazydata.yml", manifest(SMALL[: at + 1]))
        desk.env.update(GIT_AUTHOR_DATE=date, GIT_COMMITTER_DATE=date)
        desk.git("add", "lazydata.yml")
        desk.git("commit", "-qm", f"Number {at}")
    desk.write("lazydata.yml", manifest(SMALL))
    page = look(desk, view="time")
    assert page.text("#time-note") == "5 versions by week. 1 version is in no commit yet."
    assert len(page.texts("#time tbody tr")) == 5
    assert "2026-05-05 12:00" in page.text("#time tbody tr")
    page.run("document.querySelector('#bars button').focus()")
    page.key("Enter")
    assert [row.split("\t")[1] for row in page.texts("#time tbody tr")] == ["data/raw/a.csv"]
    page.press("#time-size")
    heights = page.run(
        "[...document.querySelectorAll('#bars .fill')].map((f) => f.offsetHeight).filter(Boolean)"
    )
    assert heights[0] / heights[2] == pytest.approx(40 / 90, abs=0.03)


def test_without_git_nothing_is_dated(small, look):
    page = look(small, view="time")
    assert page.text("#time-note") == "There is no history of git here, so nothing is dated."


def test_what_is_not_pushed(project, look, tmp_path):
    project.record(("a.csv", b"one"), ("b.csv", b"twelve"))
    page = look(project, view="pushed")
    assert page.text("#pushed-note").startswith("2 versions (9 B) are not known to be on a remote.")
    assert "There is no remote yet" in page.text("#pushed-note")
    assert [row.split("\t")[0] for row in page.texts("#pushed tbody tr")] == ["b.csv", "a.csv"]
    project.run_cli("add-remote", str(tmp_path / "shared"))
    project.run_cli("push", "a.csv")
    project.run_cli("report")
    page = look(project, view="pushed")
    assert "`lazydata push` sends what is stored here." in page.text("#pushed-note")
    assert page.texts("#pushed tbody td:first-child") == ["b.csv"]
    project.run_cli("push")
    project.run_cli("report")
    assert look(project, view="pushed").text("#pushed-note") == (
        "Every version is known to be on a remote (origin)."
    )


def test_hostile_names_are_shown_as_they_are(desk, look):
    desk.write("lazydata.yml", manifest([(n, at, 9 + at, [n]) for at, n in enumerate(HOSTILE)]))
    for view in ("graph", "bytes", "time", "pushed"):
        page = look(desk, view=view)
        page.key("/")
        page.type("script")
        page.key("Enter")
        assert "script" in page.text("#details h2")
        assert page.run("document.title") == "work"
        assert page.run("document.scripts.length") == 2
    assert HOSTILE[0] in page.texts("#pushed td:first-child")
    assert "data/\\x1b[31m\\u202eevil.csv" in page.texts("#pushed td:first-child")


def test_light_and_dark(small, look):
    def brightness(page):
        colour = page.run("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3

    corner = (
        "[...document.getElementById('canvas').getContext('2d').getImageData({}).data].slice(0, 3)"
    )
    shown = {}
    for dark in (False, True):
        page = look(small, dark=dark)
        page.frame()
        assert (brightness(page) < 100) == dark
        x, y = page.run("drawing.at('unused.csv')")
        box = page.run(
            "(({ x, y }) => [x, y])(document.getElementById('canvas').getBoundingClientRect())"
        )
        at = f"{round(x - box[0])}, {round(y - box[1]) - 14}, 1, 1"
        shown[dark] = sum(page.run(corner.format(at))) / 3
    assert shown[True] < 100 < shown[False]


def test_five_thousand_entries(desk, look):
    desk.write("lazydata.yml", manifest(many()))
    desk.run_cli("report")
    begun = time.monotonic()
    page = look(desk)
    page.frame()
    # A bound on hours, not on milliseconds: a layout that grows with the square would hit it.
    assert time.monotonic() - begun < 20
    assert page.run("NODES.length") > 5000
    assert page.run("drawing.state.items") < 1000
    page.key("/")
    page.type("part-04321")
    page.key("Enter")
    assert page.text("#details h2") == "data/01/part-04321.parquet"
    for view in ("bytes", "time", "pushed", "graph"):
        page.press(f"#tab-{view}")
        page.frame()
    page.press("#tab-pushed")
    assert len(page.texts("#pushed tbody tr")) == 100
    page.run("document.querySelector('#pushed .more').click()")
    assert len(page.texts("#pushed tbody tr")) == 200


def test_an_empty_workspace(project, look):
    page = look(project)
    assert "lists nothing yet" in page.text("#nothing")
    for view in ("bytes", "time", "pushed"):
        page.press(f"#tab-{view}")
    assert page.text("#pushed-note") == "Nothing is listed yet."


def test_a_narrow_window(small, look):
    page = look(small, size=(380, 700))
    page.run("show(NODES.find((n) => n.name === 'src/plot.py'))")
    assert page.run("document.documentElement.scrollWidth") <= 380
