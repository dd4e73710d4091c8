"""What is fuzzed: each parser of bytes that strangers may have written, and what must hold for it.

A target takes bytes. It returns, or raises an error of lazydata's own: anything else is a finding,
and so is an input that takes too long or too much memory. Seeds are made by code.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from lazydata.baseline import Baseline
from lazydata.digest import Digest, digest_of
from lazydata.errors import LazydataError
from lazydata.ignoring import NAME as IGNORE
from lazydata.ignoring import Ignore
from lazydata.index import FileRow, Index
from lazydata.manifest import RemoteSpec, Version, decode, document, edit, merge, read, text
from lazydata.packs import RAW, ZSTD, PackWriter, read_footer
from lazydata.packs import decode as decode_object
from lazydata.remotes import claims, layout, open_remote, url_of
from lazydata.remotes.claims import Claim, Location, Row
from lazydata.stamp import Stamp
from lazydata.tree import DIR, EXEC, FILE, LINK, Node, Tree
from lazydata.tree import encode as encode_tree

D = [Digest(f"blake3:{digit * 64}") for digit in "0123"]
SECRET = "s3cr3t"
_BLAKE3 = b"blake3:" + b"0" * 64


class Target(NamedTuple):
    """One parser.

    Args:
        check: takes bytes; raises a ``LazydataError``, or anything else for a finding.
        seeds: bytes that are as they should be, or nearly so.
        tokens: pieces that mean something to this parser.
    """

    check: Callable[[bytes], None]
    seeds: list[bytes]
    tokens: list[bytes]


# -- manifests


def check_manifest(data: bytes) -> None:
    """Both lanes say the same, or the fast one leaves it; an edit means what it was to mean."""
    source = decode(data)
    quick = text.scan(source)
    judged = document.load(source, file="f")  # what the fast lane takes must be fine with it
    if quick is not None:
        assert quick == judged.manifest
        assert list(quick.files) == list(judged.manifest.files)
        assert list(quick.remotes) == list(judged.manifest.remotes)
        assert list(text.items(source)) == judged.items
    view = read(source)
    assert view.manifest == judged.manifest
    _check_edits(source)


def _check_edits(source: str) -> None:
    view = read(source)
    new, entry = edit.record(source, view, "new/x", Version(D[3], 5, ("a.py",)))
    after = read(new).manifest
    assert after.files == {**view.manifest.files, "new/x": entry}
    assert after.remotes == view.manifest.remotes
    for path in list(view.manifest.files)[:1]:
        left = {each: entry for each, entry in view.manifest.files.items() if each != path}
        assert read(edit.remove(source, view, path)).manifest.files == left
    spec = RemoteSpec("spare", "file:///x", {"project": "p"})
    after = read(edit.set_remote(source, spec, file="f")).manifest
    assert after.remotes["spare"] == spec
    assert after.files == view.manifest.files


def check_merge(data: bytes) -> None:
    """Three manifests with NULs between them; what they are merged to can be read."""
    base, ours, theirs, *_ = [decode(each) for each in data.split(b"\0")] + ["", "", ""]
    merged = merge.merge(base, ours, theirs)
    after = read(merged.text).manifest
    listed = {*read(ours).manifest.files, *read(theirs).manifest.files}
    assert listed.issuperset(after.files)
    again = merge.merge(ours, merged.text, ours)
    assert again.text == merged.text


_ITEM = f"- path: data/x.csv\n  hash: {D[0]}\n  size: 12\n  usage: a.py\n"
_MANIFESTS = [
    f"version: 2\nfiles:\n{_ITEM}- path: 'd/'\n  hash: {D[1]}\n  size: 7\n  files: 3\n"
    "  usage:\n    - a.py\n    - 'b c.py'\n  producer: m.py\n",
    f"# top\nversion: 2\non_change: warn # or error\ngitignore: false\nremotes:\n  origin:\n"
    f"    url: s3://b/x\n    endpoint: http://h:1\n  two: file:///x\n\nfiles: # here\n{_ITEM}"
    f"\n# a later one\n{_ITEM.replace('0' * 64, '2' * 64)}note: 1\n",
    f"version: 1\nremote: s3://b\nendpoint: http://h\nfiles:\n  - path: x\n    hash: {'ab' * 32}\n"
    "    source_url: https://e.org/x?a=1#b\n    usage: no.py\n",
    "{version: 2, files: [{path: a, hash: " + D[0] + ", usage: [x, y]}, {path: 'bb: c', hash: "
    f'"{D[1]}"' + "}], remotes: {o: file:///x}}\n",
    f'\ufefffiles:\r\n- path: "a\\tb"\r\n  hash: {D[0]}\r\n  usage: &a [x]\r\n- path: é\r\n'
    f"  hash: {D[1]}\r\n  usage: *a\r\n  note: |\r\n    long\r\n    text\r\n"
    "  more: >-\r\n    z\r\n",
    f"files:\n- path: a\n  path: b\n  hash: {D[0]}\n  hash: {D[1]}\n",
    f"files:\n<<<<<<< ours\n{_ITEM}=======\n{_ITEM}>>>>>>> theirs\n",
    f"files:\n- path: a\n- path: b\n  hash: {D[0]}\n? [x, y]\n: {{z: 1}}\n",
]
_YAML = [
    *("\t:#-?,[]{}&*!|>'\"%@`~\n\r=<+._0x"),
    *("\x85", "\u2028", "\x00", "\ufeff", "\xa0", "é", "\U0001f600", "\\x", "\\u", "\\U00110000"),
    *(": ", " #", "- ", "  ", "\\n", "''", "<<: ", "---\n", "...\n", "&a ", "*a", "!!str ", "|\n"),
    *("%YAML 1.1\n", "%TAG ! x\n", "!!binary ", "!!python/name:os ", "!<x> ", "? ", ">-\n", "|9\n"),
    *("true", "null", "1.5", "0x1f", "0o7", "1e9", ".inf", "2024-01-01", "..", "/", "./", "C:"),
    *(".git/", "path: b\n", "usage:\n", "files:\n", "remotes:\n", "=======\n", "size: 07\n"),
    *("version: 1\n", "version: 9\n", "remote: s3://b\n", "producer: x\n", "gitignore: no\n"),
    *("hash: ", "size: ", "url: ", "on_change: ", "  - ", "\n  ", "\n    ", "\n- ", D[2]),
]

# -- trees


def check_tree(data: bytes) -> None:
    """What is read has one form, and leads nowhere."""
    nodes = list(Tree(data))
    assert encode_tree(nodes) == data
    for node in nodes:
        assert not {"/", "\0"} & set(node.name)
        assert node.name not in ("", ".", "..", ".git")


_TREES = [
    encode_tree([]),
    encode_tree([Node("x", FILE, D[0], 5, 1), Node("y", EXEC, D[1], 0, 1)]),
    encode_tree(
        [
            *(Node("a\\tb\n", FILE, D[0], 10**17, 1), Node("d", DIR, D[1], 3, 2)),
            *(Node("é", DIR, D[2], 0, 0), Node("link", LINK, Digest(""), 0, 0, "../a b\t")),
        ]
    ),
]

# -- packs


def check_pack(data: bytes) -> None:
    """What its footer says lies in it; each object has the size it says, or is refused."""

    def at(offset: int, length: int) -> bytes:
        assert 0 <= offset <= offset + length <= len(data)
        return data[offset : offset + length]

    for each in read_footer(at, len(data))[:20]:
        stored = at(each.offset, each.stored)
        try:
            assert len(decode_object(each.codec, stored, each.size)) == each.size
        except LazydataError:
            pass


def check_blob(data: bytes) -> None:
    """The first four bytes say how many there should be, the next one how they are packed."""
    size, codec = int.from_bytes(data[:4], "big"), ZSTD if data[4:5] != b"r" else RAW
    assert len(decode_object(codec, data[5:], size)) == size


def _pack(*objects: bytes) -> bytes:
    file = io.BytesIO()
    writer = PackWriter(file)
    for data in objects:
        writer.add(digest_of(data), data)
    writer.finish()
    return file.getvalue()


def _blob(data: bytes, **options: int) -> bytes:
    from zstandard import ZstdCompressor

    return len(data).to_bytes(4, "big") + b"z" + ZstdCompressor(**options).compress(data)


_ZSTD = [b"\x28\xb5\x2f\xfd", b"\xfd\x2f\xb5\x28", b"\x50\x2a\x4d\x18", b"\xff\xff\xff\xff"]

# -- what a remote says


def check_index_file(data: bytes) -> None:
    """What is read can be written, and is read back the same."""
    claim = claims.decode(_name(data), data)
    for row in claim.rows:
        assert {"", ".", ".."}.isdisjoint(row.key.split("/"))
        assert Row.of(row.digest, row.location) == row
    again = claims.decode(*claims.encode(claim))
    assert set(again.rows) == set(claim.rows)
    assert again.project == claim.project


def _name(data: bytes) -> str:
    return digest_of(data).hex


def check_marker(data: bytes) -> None:
    """A remote of a format that this lazydata knows, or a refusal."""
    layout.check_marker("file:///x", data)


_CLAIMS = [
    Claim("p", ()),
    Claim(
        "fd56818530c7067d",
        (
            Row.of(D[0], Location(layout.object_key(D[0]), 0, 5, "raw", 5)),
            Row.of(D[1], Location(layout.pack_key("a" * 64), 16, 9, "zstd", 900)),
            Row.of(Digest("sha256:" + "a" * 64), Location("data/aa/" + "a" * 62, 0, 1, "raw", 1)),
        ),
        ("b" * 64,),
    ),
]
_NUMBERS = [b"0", b"-1", b"01", b"1e9", b"16777217", b"1000000000000", b"9" * 18, b"9" * 19]
_JSON = [b"{", b"}", b"[", b"]", b'"', b":", b",", b"null", b"true", b"NaN", b"1.0", b"\\ud800"]

# -- what a user, or a manifest, says of remotes


def check_url(data: bytes) -> None:
    """A URL to write down is one that is understood again; a secret is never repeated."""
    said, _, endpoint = data.decode("utf-8", "surrogateescape").partition("\n")
    try:
        url = url_of(said, "/work")
        assert url_of(url, "/elsewhere") == url
        assert SECRET not in _secret(url)
    except LazydataError as error:
        _keeps_quiet(said, error)
    try:
        open_remote(said, {"endpoint": endpoint} if endpoint else {})
    except LazydataError as error:
        _keeps_quiet(said, error)
        if SECRET not in said:
            _keeps_quiet(endpoint, error)


def _keeps_quiet(said: str, error: LazydataError) -> None:
    secret = _secret(said)
    if SECRET in secret and SECRET not in said.replace(secret, "", 1):
        assert SECRET not in str(error)


def _secret(url: str) -> str:
    """What must not be in a URL: all before the host, but for SSH the user."""
    scheme, _, rest = url.partition("://")
    login = rest.partition("/")[0].rpartition("@")[0]
    if scheme.lower() in ("s3", "http", "https"):
        return login
    return login.partition(":")[2] if scheme.lower() == "ssh" else ""


_URLS = [
    *(
        "../my data",
        "~/x",
        "/mnt/a b",
        "file:///mnt/share",
        "FILE://localhost/x%20y",
        "s3://bucket",
    ),
    *("S3://bucket.name/pre/fix/", "ssh://me@[::1]:2222/my%20data", "ssh://host/~/x", "me@host:x"),
    f"ssh://me:{SECRET}@host/x",
    f"s3://{SECRET}@bucket/x",
    f"s3://bucket/x?token={SECRET}\nhttps://me:{SECRET}@h:9000/",
    "s3://bucket/x\nhttp://localhost:8333",
    "ssh://host:0/x",
    "ssh://-oProxyCommand=x/y",
    "gs://bucket/x",
]

# -- what lies in a clone


def check_ignore(data: bytes) -> None:
    """An ignore file is refused as a whole, or answers for every name."""
    with _directory() as directory:
        Path(directory, IGNORE).write_bytes(data)
        found = Ignore.of(directory, directory)
        for rules in (found, found.inside("d"), found.inside("d").inside("*")):
            for name in _NAMES:
                rules.skips(name, is_dir=False)
                rules.skips(name, is_dir=True)


_NAMES = ["x", "a.csv", "é", "*", "[a]", "a" * 200, " ", "\n", "\udc80", "-", "**", "a\\"]
_IGNORES = [
    b"# comment\n*.tmp\n/build/\n!keep.tmp\n\\#x\n\\!y\nd/**/e\n**/f\ng/**\n[a-z]?[!0-9]\nz \\ \n",
    b"\xef\xbb\xbf*\r\n!*.csv\r\n",
    b"a**b\n[]a]\n[^x\n[[:alpha:]]\n[\\d]\n***\n/\n//\n\\\n",
    b"*a*a*a*a*a*b\n?*?*?*?*?*\n",
]


def check_memory(data: bytes) -> None:
    """Whatever lies in ``.lazydata/``: it may be committed by mistake, or on purpose."""
    with _directory() as directory:
        memory = Baseline(directory)
        os.mkdir(memory.directory)
        for name in ("baselines", "displaced", "pushed"):
            Path(memory.directory, name).write_bytes(data)
        for path in memory.all():
            memory.get(path)
        memory.journal()
        memory.pushed(["file:///x"], D)
        memory.displaced("data/new", D[0])
        memory.put({"data/new": D[1], "data/gone": None})
        memory.drop_pushed("file:///x", D)
        assert memory.journal()[-1][1:] == ("data/new", D[0])
        assert memory.all()["data/new"] == memory.get("data/new") == D[1]
        assert "data/gone" not in memory.all()


def check_id(data: bytes) -> None:
    """The id of a workspace names a file of the store, so it is nothing but an id."""
    with _directory() as directory:
        memory = Baseline(directory)
        os.mkdir(memory.directory)
        Path(memory.directory, "id").write_bytes(data)
        assert memory.id.isalnum()
        assert len(memory.id) == 32


_MEMORIES = [
    f"data/x\t{D[0]}\ndata/y\t{D[1]}\ndata/x\t-\na\\nb\\t\\\\\t{D[2]}\n".encode(),
    f"1700000000\tdata/x\t{D[0]}\n9{'0' * 10}\ta\\nb\t{D[1]}\n17".encode(),
    f"file:///x\t{D[0]}\nfile:///x\t{D[1]}\n".encode(),
]


def check_index(data: bytes) -> None:
    """An index that is damaged in any way knows less, and raises nothing."""
    with _directory() as directory:
        Path(directory, "index.sqlite").write_bytes(data)
        row = FileRow(Stamp((1, 2, 3, 4, 5)), False, D[0], b"f" * 16, 7)
        for _ in range(2):
            with Index(directory) as index:
                index.file("/a")
                index.paths_of(1, 2)
                index.put_files([("/b", row)])
                index.restamp(Stamp((1, 2, 3, 4, 5)), Stamp((1, 2, 3, 4, 6)))
                index.directory("/d", "digest, names, tree")
                index.piece("/d", 0, "stats")
                index.directories_in("/")
                index.tree(D[0])
            for name in os.listdir(os.path.dirname(directory)):
                if name.startswith(os.path.basename(directory) + ".damaged"):
                    _remove(os.path.join(os.path.dirname(directory), name))
        with Index(directory) as index:
            index.write("DELETE FROM files WHERE path = ?", [("/b",)])


def _index() -> bytes:
    with _directory() as directory:
        with Index(directory) as index:
            index.put_files([("/a", FileRow(Stamp((1, 2, 3, 4, 5)), True, D[1], b"g" * 16, 9))])
            row = ("/d", 0, 1, D[0], 4, 2, "", b"n", b"s", b"f", b"d", b"t")
            index.put_directories(["/d"], [row])
        return Path(directory, "index.sqlite").read_bytes()


@contextmanager
def _directory() -> Iterator[str]:
    base = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(prefix="lazydata-fuzz-", dir=base) as outer:
        inner = os.path.join(outer, "d")
        os.mkdir(inner)
        yield inner


def _remove(path: str) -> None:
    import shutil

    shutil.rmtree(path, ignore_errors=True)


def _encoded(texts: list[str]) -> list[bytes]:
    return [each.encode() for each in texts]


_TABBED = [b"\t", b"\n", b"\r", b"\\", b"\0", b"\xff", _BLAKE3, *_NUMBERS]
TARGETS = {
    "manifest": Target(check_manifest, _encoded(_MANIFESTS), _encoded(_YAML)),
    "merge": Target(
        check_merge,
        [
            "\0".join((_MANIFESTS[0], _MANIFESTS[0].replace("12", "13"), _MANIFESTS[1])).encode(),
            "\0".join((_MANIFESTS[1], _MANIFESTS[1] + "more: 2\n", _MANIFESTS[1][:-8])).encode(),
            "\0".join((_MANIFESTS[3], _MANIFESTS[3] + "# end\n", _MANIFESTS[4])).encode(),
        ],
        [b"\0", *_encoded(_YAML)],
    ),
    "tree": Target(
        check_tree,
        _TREES,
        [b"file\t", b"exec\t", b"dir\t", b"link\t0\t0\t", b"..", b".git", b"git~1", *_TABBED],
    ),
    "pack": Target(
        check_pack,
        [_pack(), _pack(b"", b"abc"), _pack(b"x" * 4000, bytes(range(256)), b"y" * 70_000)],
        [b"raw", b"zstd", b"lazydata pack 1\n", b"%016x\n" % 90, *_ZSTD, *_TABBED],
    ),
    "blob": Target(
        check_blob,
        [
            *(_blob(b"abc"), _blob(b"x" * 5000, level=19), _blob(bytes(range(256)) * 9)),
            *(b"\0\0\0\x03rabc", b"\xff\xff\xff\xffz", _blob(b"")),
        ],
        _ZSTD,
    ),
    "index file": Target(
        check_index_file,
        [claims.encode(each)[1] for each in _CLAIMS],
        [b'"format"', b'"project"', b'"supersedes"', b"packs/aa/", b"../", *_JSON, *_TABBED],
    ),
    "lazydata.json": Target(
        check_marker,
        [layout.MARKER_BYTES, b'{"format": 2}', b'{"format": 1, "more": [[[]]]}'],
        [b'"format"', *_JSON, *_NUMBERS],
    ),
    "url": Target(
        check_url,
        _encoded(_URLS),
        [
            *(b"://", b"/", b"@", b":", b"?", b"#", b"%00", b"%2e%2e", b"%ff", b"[", b"]", b"~"),
            *(b"s3", b"ssh", b"file", b"localhost", b"-o", b"\\", b" ", b"\xff", b"\xe2\x80\xae"),
            SECRET.encode(),
        ],
    ),
    "ignore file": Target(
        check_ignore,
        _IGNORES,
        [
            *(b"*", b"**", b"?", b"[", b"]", b"!", b"\\", b"/", b"#", b" ", b"\n", b"\r\n", b"-"),
            *(b"[[:alpha:]]", b"[!", b"[]", b"(?", b"{1,2}", b"&&", b"\xee\x80\x80", b"\xff"),
        ],
    ),
    ".lazydata": Target(
        check_memory, _MEMORIES, [b"-", b"file:///x", b"\\n", b"\\t", b"9" * 400, *_TABBED]
    ),
    "workspace id": Target(check_id, [b"a" * 32 + b"\n", b"../x\n"], [b"/", b"..", b"\n", b"\xff"]),
    "index": Target(check_index, [_index()], [b"SQLite format 3", b"\xff\xff\xff\xff", b"\0\0"]),
}


def import_all() -> None:
    """Import what the targets import late, so that it can be instrumented."""
    names = "ruamel.yaml pathspec lazydata.manifest.merge lazydata.manifest.document"
    for name in (*names.split(), "lazydata.remotes.file"):
        __import__(name)
    assert "lazydata.manifest.lanes" in sys.modules
