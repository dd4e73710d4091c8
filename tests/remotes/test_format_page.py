"""A reader that was made from the page on the format alone reads what lazydata writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from format_reader import extract, list_objects, list_pack


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
