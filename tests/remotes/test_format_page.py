"""A reader made from the page on the format reads what lazydata does, and refuses the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import zstandard
from blake3 import blake3
from format_reader import extract, list_objects, list_pack

from lazydata.errors import LazydataError
from lazydata.packs import MAGIC, decode, read_footer
from lazydata.remotes import claims
from lazydata.remotes.layout import check_marker

HEAD = '{"format":1,"project":"p","supersedes":[]}'
DIGEST = f"blake3:{blake3(b'abc').hexdigest()}"
OWN = f"objects/blake3/{DIGEST[7:9]}/{DIGEST[7:]}"
ROW = f"{DIGEST}\t3\t{OWN}\t0\t3\traw"


@pytest.fixture
def remote(project: Any) -> Path:
    """A remote with large and small objects, some of which shrink, of several pushes."""
    base = Path(project.base / "remote")
    project.run_cli("add-remote", base)
    project.write("data/large.bin", bytes(range(256)) * 8000)
    for number in range(30):
        project.write(f"data/{number}.csv", b"%d,%d\n" % (number, number) * (number * 40))
    project.run_cli("track", *sorted(str(path) for path in (project.root / "data").iterdir()))
    project.run_cli("push", "data/large.bin")
    project.run_cli("push")
    return base


def test_all_objects_are_listed_and_can_be_had(project: Any, remote: Path) -> None:
    wanted = {item["hash"]: project.read(item["path"]) for item in project.items()}
    assert list_objects(remote) == {digest: len(data) for digest, data in wanted.items()}
    assert {digest: extract(remote, digest) for digest in wanted} == wanted
    (pack,) = remote.rglob("*.pack")
    small = {digest: len(data) for digest, data in wanted.items() if len(data) <= 1 << 20}
    assert dict(list_pack(pack)) == small
    # Compressed, or this would say little.
    assert pack.stat().st_size < sum(small.values()) / 2


def test_what_is_damaged_or_gone_is_told(remote: Path) -> None:
    digests = list_objects(remote)
    (pack,) = remote.rglob("*.pack")
    digest, _ = list_pack(pack)[-1]
    whole = pack.read_bytes()
    pack.write_bytes(whole[:30] + bytes(len(whole) - 30))
    with pytest.raises(ValueError, match=digest):
        extract(remote, digest)
    pack.unlink()
    with pytest.raises(KeyError):
        extract(remote, digest)
    for index_file in (remote / "index").iterdir():
        index_file.write_bytes(index_file.read_bytes() + b"more\n")
    assert list_objects(remote) == {}
    (large,) = [each for each in digests if digests[each] > 1 << 20]
    assert len(extract(remote, large)) == digests[large]  # found without an index file


def put(base: Path, key: str, data: bytes) -> None:
    path = base / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def put_index_file(base: Path, *lines: str) -> tuple[str, bytes]:
    data = "".join(f"{line}\n" for line in lines).encode()
    name = blake3(data).hexdigest()
    put(base, f"index/{name}.idx", data)
    return name, data


def takes(call: Any, *args: Any) -> bool:
    try:
        call(*args)
    except (LazydataError, ValueError):
        return False
    return True


@pytest.mark.parametrize(
    ("marker", "fine"),
    [
        ('{"format": 1}\n', True),
        ('{"more": [], "format": 1}', True),
        ('{"format": 2}', False),
        ('{"format": 0}', False),
        ('{"format": true}', False),
        ('{"format": 1.0}', False),
        ("[1]", False),
        ("", False),
    ],
)
def test_lazydata_json_by_the_page_and_by_lazydata(tmp_path: Path, marker: str, fine: bool) -> None:
    put(tmp_path, "lazydata.json", marker.encode())
    assert takes(list_objects, tmp_path) == fine
    assert takes(check_marker, "file:///r", marker.encode()) == fine


@pytest.mark.parametrize(
    ("lines", "fine"),
    [
        ([HEAD, ROW], True),
        ([HEAD.replace("}", ',"more":1}'), ROW], True),
        ([HEAD.replace("1", "2"), ROW], False),
        ([HEAD.replace("1", "0"), ROW], False),
        ([HEAD.replace('"p"', "7"), ROW], False),
        ([HEAD.replace("[]", '["ab"]'), ROW], True),
        ([HEAD.replace("[]", "[1]"), ROW], False),
        ([HEAD.replace("supersedes", "other"), ROW], False),
        (["[]", ROW], False),
        ([HEAD, ROW, ROW.replace("raw", "other7")], True),
        ([HEAD, ROW, ROW.replace("\t0\t", "\t7\t"), ROW], True),
        ([HEAD, ROW, ROW.replace("objects/", "any.where/")], True),
        ([HEAD, ROW, ROW.replace("objects/", "objects/../")], False),
        ([HEAD, ROW, ROW.replace("objects/", "/objects/")], False),
        ([HEAD, ROW, ROW.replace("\t0\t", "\t00\t")], False),
        ([HEAD, ROW, ROW.replace("\t0\t", f"\t{10**18}\t")], False),
        ([HEAD, ROW, ROW.replace("raw", "RAW")], False),
        ([HEAD, ROW, ROW.replace("blake3:", "")], False),
        ([HEAD, ROW, ROW + "\t"], False),
        ([HEAD, ROW, ""], False),
    ],
)
def test_an_index_file_by_the_page_and_by_lazydata(
    tmp_path: Path, lines: list[str], fine: bool
) -> None:
    name, data = put_index_file(tmp_path, *lines)
    assert (DIGEST in list_objects(tmp_path)) == fine
    assert takes(claims.decode, name, data) == fine


@pytest.mark.parametrize(
    ("footer", "fine"),
    [
        ("", True),
        (f"{DIGEST}\t3\t16\t3\traw\n", True),
        (f"{DIGEST}\t3\t17\t2\tother\n", True),
        (f"{DIGEST}\t3\t17\t3\traw\n", False),
        (f"{DIGEST}\t3\t16\t3\n", False),
        (f"{DIGEST}\t3\t16\t+3\traw\n", False),
        (f"{DIGEST}\t3\t16\t3\traw", False),
    ],
)
def test_a_footer_by_the_page_and_by_lazydata(tmp_path: Path, footer: str, fine: bool) -> None:
    data = MAGIC + b"abc" + footer.encode() + b"%016x\n" % len(footer) + MAGIC
    put(tmp_path, "a.pack", data)
    assert takes(list_pack, tmp_path / "a.pack") == fine
    assert takes(read_footer, lambda at, length: data[at : at + length], len(data)) == fine


def test_what_can_not_be_used_is_passed_over(tmp_path: Path) -> None:
    ranges = [
        "3\tpacks/aa/b.pack\t0\t3\traw",  # is damaged
        "3\tpacks/aa/gone.pack\t0\t3\traw",
        "3\tpacks/aa/c.pack\t0\t3\tother",
        f"{17 << 20}\tpacks/aa/c.pack\t0\t3\tzstd",
        "4\tpacks/aa/c.pack\t0\t3\traw",
    ]
    put(tmp_path, "packs/aa/b.pack", b"abX")
    put(tmp_path, "packs/aa/c.pack", b"abc")
    put_index_file(tmp_path, HEAD, *(f"{DIGEST}\t{each}" for each in ranges))
    with pytest.raises(ValueError, match="damaged"):
        extract(tmp_path, DIGEST)
    put(tmp_path, OWN, b"abc")
    assert extract(tmp_path, DIGEST) == b"abc"


def test_the_window_of_a_single_segment_is_its_content(tmp_path: Path) -> None:
    data = bytes(range(256)) * (12 << 12)
    frame = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters(window_log=24)
    ).compress(data)
    assert zstandard.get_frame_parameters(frame).window_size == len(data) == 12 << 20
    put(tmp_path, "packs/aa/b.pack", frame)
    digest = f"blake3:{blake3(data).hexdigest()}"
    put_index_file(tmp_path, HEAD, f"{digest}\t{len(data)}\tpacks/aa/b.pack\t0\t{len(frame)}\tzstd")
    assert extract(tmp_path, digest) == decode("zstd", frame, len(data)) == data
