"""The directory remote: what is its own, beyond the contract."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from every_call import everything, files

from lazydata.errors import (
    FileChanged,
    LazydataError,
    NoSpace,
    ObjectMissing,
    RemoteDenied,
    RemoteUnavailable,
    UsageError,
)
from lazydata.progress import silent
from lazydata.remotes import open_remote, url_of
from lazydata.remotes.copying import STEP
from lazydata.remotes.file import FileRemote, path_of


@pytest.fixture
def base(tmp_path: Path) -> Path:
    path = tmp_path / "base"
    path.mkdir()
    return path


@pytest.fixture
def remote(base: Path) -> FileRemote:
    return FileRemote(base.as_uri())


def test_a_share_that_is_not_mounted_is_an_outage(remote: FileRemote, tmp_path: Path) -> None:
    (tmp_path / "base").rmdir()
    assert asyncio.run(everything(remote, tmp_path)) == {RemoteUnavailable}
    assert not (tmp_path / "base").exists()
    with pytest.raises(RemoteUnavailable, match="mounted"):
        asyncio.run(remote.stat("k"))
    (tmp_path / "base").write_text("a file")
    assert asyncio.run(everything(remote, tmp_path)) == {RemoteUnavailable}


def test_prepare_creates_it(tmp_path: Path) -> None:
    remote = FileRemote((tmp_path / "a/b/c").as_uri())
    asyncio.run(remote.prepare())
    assert (tmp_path / "a/b/c").is_dir()


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.EIO, RemoteUnavailable),
        (errno.ESTALE, RemoteUnavailable),
        (errno.ETIMEDOUT, RemoteUnavailable),
        (errno.ENOTCONN, RemoteUnavailable),
        (errno.EACCES, RemoteDenied),
        (errno.EPERM, RemoteDenied),
        (errno.EROFS, RemoteDenied),
        (errno.ENOSPC, NoSpace),
        (errno.EDQUOT, NoSpace),
    ],
)
def test_what_the_system_says(
    remote: FileRemote,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    expected: type[LazydataError],
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(expected) as caught:
        asyncio.run(remote.put_bytes("d/k", b"x"))
    assert remote.url in str(caught.value)
    assert files(path := tmp_path / "base") == set(), path


def test_read_failures_are_not_absence(remote: FileRemote, monkeypatch: pytest.MonkeyPatch) -> None:
    asyncio.run(remote.put_bytes("k", b"x"))

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr(os, "stat", fail)
    with pytest.raises(RemoteUnavailable):
        asyncio.run(remote.stat("k"))


def test_a_full_local_disk_is_named(remote: FileRemote, tmp_path: Path) -> None:
    asyncio.run(remote.put_bytes("k", b"x" * 100_000))
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    with pytest.raises(NoSpace, match="/dev/full"):
        asyncio.run(remote.get("k", Path("/dev/full"), silent))


def test_the_source_is_ours(remote: FileRemote, base: Path, tmp_path: Path) -> None:
    with pytest.raises(ObjectMissing, match="gone"):
        asyncio.run(remote.put("k", tmp_path / "gone", silent))

    source = tmp_path / "shrinks"
    source.write_bytes(b"x" * (2 * STEP + 10))

    def shrink(moved: int, /) -> None:
        if moved > 0:
            os.truncate(source, 10)

    with pytest.raises(FileChanged, match="shrinks"):
        asyncio.run(remote.put("k", source, shrink))
    assert files(base) == set()


def test_bytes_that_end_early_are_noticed(remote: FileRemote, base: Path, tmp_path: Path) -> None:
    (base / "k").write_bytes(b"x" * (2 * STEP + 10))

    def shrink(moved: int, /) -> None:
        if moved > 0:
            os.truncate(base / "k", 10)

    with pytest.raises(RemoteUnavailable, match="ended"):
        asyncio.run(remote.get("k", tmp_path / "t", shrink))


@pytest.mark.parametrize("kernel", ["yes", "no", "refuses", "says 0"])
def test_large_copies(
    remote: FileRemote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kernel: str
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EXDEV, "other file system")

    if kernel == "no":
        monkeypatch.delattr(os, "copy_file_range", raising=False)
    elif kernel != "yes":
        instead = refuse if kernel == "refuses" else (lambda *_: 0)
        monkeypatch.setattr(os, "copy_file_range", instead, raising=False)
    source = tmp_path / "s"
    source.write_bytes(os.urandom(STEP + 12_345))
    asyncio.run(remote.put("k", source, silent))
    asyncio.run(remote.get("k", tmp_path / "t", silent))
    assert (tmp_path / "t").read_bytes() == source.read_bytes()


def test_temp_files_are_not_listed_and_old_ones_go(remote: FileRemote, base: Path) -> None:
    folder = base / ".incoming"
    folder.mkdir()
    old, new = f".lazydata-1-{'0' * 16}.tmp", f".lazydata-1-{'1' * 16}.tmp"
    week = time.time() - 8 * 86400
    for name in (old, new, "not ours"):
        (folder / name).touch()
        if name != new:
            os.utime(folder / name, (week, week))
    (base / "Not A Key").touch()

    async def main() -> list[str]:
        await remote.put_bytes("k", b"")
        return [stat.key async for stat in remote.list("")]

    assert asyncio.run(main()) == ["k"]
    assert files(base) == {"k", f".incoming/{new}", ".incoming/not ours", "Not A Key"}


def test_umask_is_honoured(remote: FileRemote, base: Path) -> None:
    before = os.umask(0o007)
    try:
        asyncio.run(remote.put_bytes("d/k", b""))
    finally:
        os.umask(before)
    assert (base / "d/k").stat().st_mode & 0o777 == 0o660
    assert (base / "d").stat().st_mode & 0o777 == 0o770


def test_cancelled_work_has_stopped(remote: FileRemote, base: Path, tmp_path: Path) -> None:
    source = tmp_path / "s"
    with open(source, "wb") as file:
        file.truncate(64 * STEP)

    async def main() -> None:
        reported: list[int] = []

        def slow(moved: int, /) -> None:
            reported.append(moved)
            time.sleep(0.02)

        task = asyncio.create_task(remote.put("k", source, slow))
        while not reported:
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert files(base) == set()
        assert sum(reported) == 0
        assert len(reported) < 20

    asyncio.run(main())


def test_a_folder_that_goes_away_is_made_again(remote: FileRemote, base: Path) -> None:
    async def main() -> None:
        await remote.put_bytes("d/e/k", b"")
        shutil.rmtree(base / "d")
        shutil.rmtree(base / ".incoming")
        await remote.put_bytes("d/e/k", b"")

    asyncio.run(main())
    assert files(base) == {"d/e/k"}


def as_nobody(work: Callable[[], object]) -> None:
    """Run a check as a user whom mode bits bind."""
    if os.geteuid() != 0:
        work()
        return
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0, "see the traceback on stderr"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """pytest's own are closed to others."""
    path = Path(tempfile.mkdtemp(prefix="lazydata-remote-"))
    path.chmod(0o777)
    yield path
    for folder, _, _ in os.walk(path):
        os.chmod(folder, 0o700)
    shutil.rmtree(path)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.parametrize("mode", [0o000, 0o444])
def test_no_entry_is_a_refusal(open_folder: Path, mode: int) -> None:
    base, work = open_folder / "base", open_folder / "work"
    base.mkdir()
    work.mkdir()
    work.chmod(0o777)
    (base / "k").write_bytes(b"x")
    base.chmod(mode)
    remote = FileRemote(base.as_uri())

    def check() -> None:
        assert set(asyncio.run(everything(remote, work))) == {RemoteDenied}

    as_nobody(check)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_what_is_closed_is_refused_alone(open_folder: Path) -> None:
    base = open_folder / "base"
    (base / "shut").mkdir(parents=True)
    (base / "k").write_bytes(b"x")
    (base / "shut" / "k").write_bytes(b"x")
    (base / "shut").chmod(0o000)
    base.chmod(0o555)
    remote = FileRemote(base.as_uri())

    def check() -> None:
        assert asyncio.run(remote.get_range("k", 0, 9)) == b"x"
        for call in (
            remote.get_range("shut/k", 0, 1),
            remote.stat("shut/k"),
            remote.put_bytes("new", b""),
            remote.delete(["k"]),
        ):
            with pytest.raises(RemoteDenied, match="Permission denied"):
                asyncio.run(call)

    as_nobody(check)


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("/mnt/share", "file:///mnt/share"),
        ("/mnt/share/", "file:///mnt/share"),
        ("share", "file:///work/here/share"),
        ("../a b#c%41?", "file:///work/a%20b%23c%2541%3F"),
        ("dätä", "file:///work/here/d%C3%A4t%C3%A4"),
        ("~/share", "file:///home/me/share"),
        ("file:///mnt/my%20share/", "file:///mnt/my%20share"),
        ("FILE://localhost/mnt", "file:///mnt"),
        ("S3://bucket/some/prefix/", "s3://bucket/some/prefix"),
        ("s3://bucket", "s3://bucket"),
        ("ssh://me@host:2222/data", "ssh://me@host:2222/data"),
    ],
)
def test_url_of(typed: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert url_of(typed, "/work/here") == url
    assert url_of(url, "/elsewhere") == url


@pytest.mark.parametrize(
    "typed",
    [
        "ssh://me:hunter2@host/data",
        "s3://AKIA:hunter2@bucket/x",
        "s3://hunter2@bucket/x",
        "s3://bucket/x?token=hunter2",
        "ssh://me:hunter2/x@host/data",
        "ssh://me:hunter2@[host/data",
        "file://host/data",
        "file:relative://x",
        "file://data",
        "s3://",
        "me@host:/data",
        "",
        " ",
        "a\nb",
    ],
)
def test_what_is_no_url(typed: str) -> None:
    with pytest.raises(UsageError) as caught:
        url_of(typed, "/work")
    assert "hunter2" not in str(caught.value)


def test_unknown_kinds_are_named() -> None:
    with pytest.raises(UsageError, match="file://"):
        open_remote("gopher://host/x")


def test_paths_come_back(tmp_path: Path) -> None:
    for name in ("a b", "ä", "%41", "#?&"):
        assert path_of(url_of(str(tmp_path / name), "/")) == str(tmp_path / name)
    with pytest.raises(UsageError):
        path_of("file:relative")
    with pytest.raises(UsageError):
        path_of("file:///a?b")
