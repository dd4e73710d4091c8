"""The compiled manifest answers as the manifest in memory does."""

import pytest

from lazydata import compiled, manifest
from lazydata.digest import Digest
from lazydata.index import Index
from lazydata.stamp import Stamp

USAGES = {
    "data/x.csv": ("train.py", "report.py"),
    "data/deep/x.csv": ("my_train.py",),
    "data/deep/y.csv": ("train.py",),
    "data/images/": ("lib/train.py",),
}
PATHS = [
    *("data", "data!", "data-1/x.csv", "data.csv", "data/!", "data/deep/x.csv", "data/deep/y.csv"),
    *("data/images/", "data/x.csv", "data/é.csv", "data0", "data0/x.csv", "other/images/", "x.csv"),
    *("prefixx.csv", "%/_.csv", "é/x.csv", "\U0001f600/x.csv", "data/\U0001f600"),
]


@pytest.fixture(params=["compiled", "no index", "lost index"])
def views(request, tmp_path):
    """The manifest in memory, and the same one through the index, as it is or as it fails."""
    files = {
        path: manifest.Entry(
            path,
            tuple(
                manifest.Version(Digest(f"blake3:{n:064x}"), n, USAGES.get(path, ())[:n])
                for n in (1, 2)
            ),
        )
        for path in PATHS
    }
    memory = manifest.MemoryView(
        manifest.Manifest(files), file=str(tmp_path / "lazydata.yml"), is_plain=True
    )
    with Index(str(tmp_path / "index")) as index:
        compiled.put(index, memory, Stamp((1, 2, 3, 4, 5)), False, b"text")
        view = compiled.find(index, memory.file, lambda: memory)
        if request.param == "lost index":
            index.close()
        yield memory, memory if request.param == "no index" else view


@pytest.mark.parametrize(
    ("directory", "found"),
    [
        (
            "data",
            [
                *("data/!", "data/deep/x.csv", "data/deep/y.csv", "data/images/", "data/x.csv"),
                *("data/é.csv", "data/\U0001f600"),
            ],
        ),
        ("data/deep", ["data/deep/x.csv", "data/deep/y.csv"]),
        ("data/images", []),
        ("dat", []),
        ("é", ["é/x.csv"]),
        ("%", ["%/_.csv"]),
    ],
)
def test_what_lies_below_a_directory(views, directory, found):
    memory, view = views
    assert list(view.below(directory)) == found
    assert view.below(directory) == memory.below(directory)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        (
            "x.csv",
            {
                *("data-1/x.csv", "data/deep/x.csv", "data/x.csv", "data0/x.csv", "x.csv"),
                *("é/x.csv", "\U0001f600/x.csv"),
            },
        ),
        ("images", {"data/images/", "other/images/"}),
        ("_.csv", {"%/_.csv"}),
        ("é.csv", {"data/é.csv"}),
        ("\U0001f600", {"data/\U0001f600"}),
        ("deep", set()),
    ],
)
def test_what_is_called_so(views, name, found):
    memory, view = views
    assert set(view.called(name)) == found
    assert view.called(name) == memory.called(name)


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("train.py", {"data/x.csv", "data/deep/y.csv"}),
        ("report.py", {"data/x.csv"}),
        ("my_train.py", {"data/deep/x.csv"}),
        ("lib/train.py", {"data/images/"}),
        ("train", set()),
    ],
)
def test_what_a_script_uses(views, script, found):
    memory, view = views
    assert set(view.used_by(script)) == found
    assert view.used_by(script) == memory.used_by(script)
