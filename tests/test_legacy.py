"""Workspaces, stores and remotes of lazydata 1.x: read for ever, and left as they are."""

import functools
import hashlib
import http.server
import shutil
import threading

import pytest

X = "data/x.csv"
OLD, NEW = b"a,b\n1,2\n", b"a,b\n1,3\n"
STORES = [".lazydata/data", ".lazydata-cache"]


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def item(content, more="", name=None):
    """An item as lazydata 1.x wrote it: a bare hash."""
    return f"- path: {X}\n  hash: {name or sha256(content)}\n  size: {len(content)}\n{more}"


def write_manifest(desk, *items, head=""):
    return desk.write("lazydata.yml", f"version: 1\n{head}files:\n" + "".join(items))


def put(directory, content, name=None):
    """Put an object where lazydata 1.x kept it below a directory."""
    name = name or sha256(content)
    path = directory / name[:2] / name[2:]
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def has_object(desk, content):
    name = sha256(content)
    path = desk.lazydata_home / "store" / "objects-v1" / "sha256" / name[:2] / name
    return path.is_file() and path.read_bytes() == content


@pytest.fixture
def tracker(desk):
    return desk.tracker(fresh=True, env={"no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"})


# -- files that are there


@pytest.mark.parametrize("spelling", [str.lower, str.upper])
def test_unchanged_file_says_and_writes_nothing(desk, tracker, spelling):
    write_manifest(desk, item(OLD, "  usage: old.py\n", spelling(sha256(OLD))))
    file = desk.write(X, OLD)
    before, manifest = file.stat(), desk.state()
    for _ in range(2):
        assert tracker.track(X).stderr == ""
        shutil.rmtree(desk.lazydata_home / "index")
    assert desk.state() == manifest
    assert desk.read(X) == OLD
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    desk.run_cli("status", "--check")


@pytest.mark.parametrize("spelling", [str.lower, str.upper])
def test_changed_file_is_recorded_anew_and_the_old_item_stays(desk, tracker, digest, spelling):
    old = item(OLD, "  usage: old.py  # by hand\n", spelling(sha256(OLD)))
    write_manifest(desk, old)
    desk.write(X, OLD)
    tracker.track(X)
    desk.write(X, NEW)
    assert len(tracker.track(X).said) == 1
    text = desk.manifest_file.read_text()
    assert text.startswith(f"version: 1\nfiles:\n{old}")
    assert desk.versions(X) == [spelling(sha256(OLD)), digest(NEW)]
    assert has_object(desk, OLD)
    assert desk.holds(NEW)
    before = desk.state()
    assert tracker.track(X).stderr == ""
    assert desk.state() == before


@pytest.mark.parametrize("last", ["sha256", "blake3"])
def test_bytes_that_are_listed_under_both_algorithms_are_unchanged(desk, tracker, digest, last):
    items = {"sha256": item(OLD), "blake3": item(OLD, name=digest(OLD))}
    items[last] = items.pop(last)
    write_manifest(desk, *items.values())
    desk.write(X, OLD)
    before = desk.state()
    for lost in (False, False, True, True):
        if lost:
            shutil.rmtree(desk.lazydata_home / "index")
        assert tracker.track(X).stderr == ""
        assert desk.state() == before
    write_manifest(desk, *reversed(items.values()))
    before = desk.state()
    assert tracker.track(X).stderr == ""
    assert desk.state() == before


# -- files that are missing


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize(("spelling", "link"), [(str.upper, "auto"), (str.lower, "hardlink")])
def test_missing_file_is_restored_from_the_old_store(desk, tracker, store, spelling, link):
    """Which is only read: nothing is linked to it, either."""
    write_manifest(desk, item(OLD, name=spelling(sha256(OLD))))
    desk.write(desk.lazydata_home / "config.yml", f"link: {link}\n")
    old = put(desk.home / store, OLD)
    before, manifest = old.stat(), desk.state()
    tracker.track(X)
    assert desk.read(X) == OLD
    assert desk.state() == manifest
    now = old.stat()
    assert (now.st_mode, now.st_nlink, now.st_mtime_ns) == (before.st_mode, 1, before.st_mtime_ns)
    desk.write(X, NEW)
    assert old.read_bytes() == OLD


@pytest.mark.parametrize("store", STORES)
def test_damage_in_the_old_store_is_refused_and_left_alone(desk, tracker, store):
    write_manifest(desk, item(OLD))
    old = put(desk.home / store, NEW, sha256(OLD))
    reply = tracker.refuse(X)
    assert reply.exit_code == 13
    assert reply.expected == f"sha256:{sha256(OLD)}"
    assert reply.actual == f"sha256:{sha256(NEW)}"
    assert not (desk.root / X).exists()
    assert old.read_bytes() == NEW


def test_missing_file_comes_from_the_old_layout_of_a_remote(desk, tracker, tmp_path):
    write_manifest(desk, item(OLD), head=f"remote: file://{tmp_path}/remote\n")
    put(tmp_path / "remote" / "data", OLD)
    before = desk.state()
    tracker.track(X)
    assert desk.read(X) == OLD
    assert has_object(desk, OLD)
    assert desk.state() == before


def test_damage_in_the_old_layout_of_a_remote_is_refused(desk, tracker, tmp_path):
    write_manifest(desk, item(OLD), head=f"remote: file://{tmp_path}/remote\n")
    put(tmp_path / "remote" / "data", NEW, sha256(OLD))
    assert tracker.refuse(X).exit_code == 13
    assert not (desk.root / X).exists()
    done = desk.run_cli("pull", X, code=3)
    assert X in done.stderr
    assert not (desk.root / X).exists()


# -- source_url


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def served(tmp_path):
    """A directory, and the URL at which it is served."""
    directory = tmp_path / "served"
    directory.mkdir()
    handler = functools.partial(Handler, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield directory, f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_source_url_is_the_last_resort(desk, tracker, served):
    directory, url = served
    (directory / "old.csv").write_bytes(OLD)
    write_manifest(desk, item(OLD, f"  source_url: {url}/old.csv\n"))
    before = desk.state()
    tracker.track(X)
    assert desk.read(X) == OLD
    assert has_object(desk, OLD)
    assert desk.state() == before


def test_remote_comes_before_the_source_url(desk, tracker, served, tmp_path):
    directory, url = served
    (directory / "old.csv").write_bytes(NEW)
    source = f"  source_url: {url}/old.csv\n"
    write_manifest(desk, item(OLD, source), head=f"remote: file://{tmp_path}/remote\n")
    put(tmp_path / "remote" / "data", OLD)
    assert "source_url" not in tracker.track(X).stderr
    assert desk.read(X) == OLD


@pytest.mark.parametrize("content", [NEW, OLD + b"more", OLD[:-1], None])
def test_other_bytes_at_the_source_url_are_refused(desk, tracker, served, content):
    directory, url = served
    if content is not None:
        (directory / "old.csv").write_bytes(content)
    write_manifest(desk, item(OLD, f"  source_url: {url}/old.csv\n"))
    reply = tracker.refuse(X)
    assert reply.exit_code == 12
    assert "source_url" in reply.stderr
    assert not (desk.root / X).exists()
    assert not has_object(desk, OLD)


def test_source_url_never_reads_a_local_file(desk, tracker, tmp_path):
    (tmp_path / "secret").write_bytes(OLD)
    write_manifest(desk, item(OLD, f"  source_url: file://{tmp_path}/secret\n"))
    assert tracker.refuse(X).exit_code == 12
    assert not (desk.root / X).exists()
    assert not has_object(desk, OLD)
