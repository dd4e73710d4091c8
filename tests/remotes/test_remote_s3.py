"""The S3 remote against a real server: what is its own, beyond the contract."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from seaweedfs import OWNER, READER, WRITER, Identity, Server

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
from lazydata.remotes import base, s3_address, s3_client, s3_downloads, s3_uploads
from lazydata.remotes.s3 import S3Remote
from lazydata.remotes.s3_client import Bucket


@pytest.fixture(autouse=True)
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """No connection is so fast that it is left alone; tests of that say so."""
    monkeypatch.setattr(s3_downloads, "_FAST", float("inf"))


MIB = 1 << 20
SMALLEST_PART = 5 * MIB  # that a server has to take


@pytest.fixture
def remote(s3: Server) -> Iterator[S3Remote]:
    remote = S3Remote(s3.url(), {"endpoint": s3.endpoint, "project": "p"})
    yield remote
    asyncio.run(remote.close())


@pytest.fixture
def opened(s3: Server) -> Iterator[Callable[..., S3Remote]]:
    """Another remote: ``opened(url)`` or ``opened(url, endpoint=…)``."""
    made: list[S3Remote] = []

    def make(url: str, **options: str) -> S3Remote:
        made.append(S3Remote(url, {"endpoint": s3.endpoint, **options}))
        return made[-1]

    yield make
    for each in made:
        asyncio.run(each.close())


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are large from 10 MiB on, and their parts as small as may be."""
    monkeypatch.setattr(s3_uploads, "PARTS_FROM", 2 * SMALLEST_PART)
    monkeypatch.setattr(s3_uploads, "PART", SMALLEST_PART)
    monkeypatch.setattr(s3_downloads, "PIECE", MIB)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What is asked of the server, with all arguments."""
    made: list[tuple[str, dict[str, Any]]] = []
    call = Bucket.call

    def noted(self: Bucket, operation: str, *args: Any, **more: Any) -> Any:
        made.append((operation, more))
        return call(self, operation, *args, **more)

    monkeypatch.setattr(Bucket, "call", noted)
    return made


def become(who: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in who.env.items():
        monkeypatch.setenv(name, value)


def prefix_of(remote: S3Remote) -> str:
    return remote.url.removeprefix("s3://").partition("/")[2] + "/"


def a_file(path: Path, size: int) -> Path:
    path.write_bytes(os.urandom(size))
    return path


async def listed(remote: S3Remote, prefix: str = "") -> set[str]:
    return {each.key async for each in remote.list(prefix)}


def every_call(remote: S3Remote, folder: Path) -> dict[str, Callable[[], Awaitable[object]]]:
    small, large = a_file(folder / "small", 10), a_file(folder / "large", s3_uploads.PARTS_FROM)
    return {
        "prepare": remote.prepare,
        "put": lambda: remote.put("k", small, silent),
        "put large": lambda: remote.put("k", large, silent),
        "put_bytes": lambda: remote.put_bytes("k", b"x"),
        "get": lambda: remote.get("k", folder / "target", silent),
        "get_range": lambda: remote.get_range("k", 0, 1),
        "stat": lambda: remote.stat("k"),
        "list": lambda: listed(remote),
        "delete": lambda: remote.delete(["k"]),
        "delete many": lambda: remote.delete(["k", "l"]),
    }


def failures(remote: S3Remote, folder: Path) -> dict[str, LazydataError | None]:
    """What each call raises, if it does."""

    async def main() -> dict[str, LazydataError | None]:
        found: dict[str, LazydataError | None] = {}
        for name, call in every_call(remote, folder).items():
            try:
                await call()
                found[name] = None
            except LazydataError as error:
                found[name] = error
        await remote.close()
        return found

    found = asyncio.run(main())
    for error in filter(None, found.values()):
        assert remote.url in error.message
        assert error.hint
        shown = "".join(traceback.format_exception(error)) + repr(vars(error))
        assert not any(who.key in shown or who.secret in shown for who in (OWNER, READER, WRITER))
    return found


@pytest.mark.parametrize(
    "url",
    [
        *("s3://AKID:hush@bucket/p", "s3://hush@bucket", "s3://", "s3:///p", "s3://Bucket_hush"),
        *("s3://b", "s3://arn:aws:s3:::hush", "s3://a..b", "s3://-ab", "https://bucket/hush"),
        *("s3://bucket/p?token=hush", "s3://bucket/p#hush", "s3://bucket/a/../hush"),
        *("s3://bucket/%2e%2e/hush", "s3://bucket/a//hush", "s3://bucket/a%0ahush"),
        *("s3://bucket/%ffhush", "s3://bucket/" + "hush" * 130),
    ],
)
def test_urls_that_are_none(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        S3Remote(url)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        *({"endpoint": f"https://{rest}"} for rest in ("u:hush@h", "h/?k=hush", "h#hush", "h:x")),
        *({"endpoint": each} for each in ("ftp://hush", "hush:80", "https://h\nhush", "http://")),
        *({"region": each} for each in ("hush.evil.example", "a/hush", "A_HUSH")),
    ],
)
def test_options_that_are_none(options: dict[str, str]) -> None:
    with pytest.raises(UsageError) as caught:
        S3Remote("s3://bucket/p", options)
    assert "hush" not in str(caught.value).lower()
    assert "s3://bucket/p" in str(caught.value)


def test_nothing_is_imported_before_it_is_asked() -> None:
    script = """
        import sys
        from lazydata.remotes import open_remote
        open_remote("s3://bucket/p", {"profile": "no such one"})
        assert not {"botocore", "boto3", "urllib3"} & {*sys.modules}
        """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, timeout=60)


def test_amazon_is_asked_as_botocore_would(s3: Server) -> None:
    """Its own checksums, its own way to name buckets."""

    async def main(options: dict[str, str]) -> Any:
        remote = S3Remote("s3://bucket/p", options)
        client = remote._bucket._connect()
        await remote.close()
        return client.meta

    amazon = asyncio.run(main({"region": "eu-central-1"}))
    assert amazon.config.request_checksum_calculation == "when_supported"
    assert amazon.config.response_checksum_validation == "when_supported"
    assert amazon.region_name == "eu-central-1"
    assert not amazon.config.s3
    other = asyncio.run(main({"endpoint": "https://s3.example"}))
    assert other.config.request_checksum_calculation == "when_required"
    assert other.config.response_checksum_validation == "when_required"
    assert other.config.s3 == {"addressing_style": "path"}
    assert other.region_name == "us-east-1"
    assert other.endpoint_url == "https://s3.example"
    assert other.config.max_pool_connections == 10


def test_requests_carry_no_checksum_that_a_server_may_store(
    remote: S3Remote, tmp_path: Path, small_parts: None
) -> None:
    sent: list[Any] = []

    async def main() -> None:
        client = remote._bucket._connect()
        client.meta.events.register("before-send.s3", lambda request, **_: sent.append(request))
        for size in (10, 3 * MIB, 2 * SMALLEST_PART):
            source = a_file(tmp_path / "source", size)
            await remote.put("k", source, silent)
            (tmp_path / "target").unlink(missing_ok=True)
            await remote.get("k", tmp_path / "target", silent)
            assert (tmp_path / "target").read_bytes() == source.read_bytes()

    asyncio.run(main())
    names = {name.lower() for request in sent for name in request.headers}
    assert not [name for name in names if "checksum" in name or "trailer" in name]
    assert "authorization" in names
    # Leave to send is a round trip: it is asked for where it spares more than that.
    waiting = [request for request in sent if "Expect" in request.headers]
    assert {int(request.headers["Content-Length"]) for request in waiting} == {
        3 * MIB,
        SMALLEST_PART,
    }
    hashes = {request.headers["X-Amz-Content-SHA256"] for request in sent}
    # A body is hashed once, by the signature, and the server checks it.
    assert all(len(each) == 64 for each in hashes)


def test_large_files_there_and_back(remote: S3Remote, tmp_path: Path, small_parts: None) -> None:
    source = a_file(tmp_path / "source", 3 * SMALLEST_PART + 12_345)
    reports: list[int] = []

    async def main() -> None:
        await remote.put("a/k", source, reports.append)
        assert sum(reports) == source.stat().st_size
        assert len(reports) > 10  # not a part at a time
        reports.clear()
        await remote.get("a/k", tmp_path / "target", reports.append)
        assert sum(reports) == source.stat().st_size

    asyncio.run(main())
    assert (tmp_path / "target").read_bytes() == source.read_bytes()


def test_parts_suffice_for_the_largest_object() -> None:
    assert s3_uploads.part_size(1 << 30) == 8 * MIB
    for size in (80_000 * MIB, 80_000 * MIB + 1, 5 << 40):
        part = s3_uploads.part_size(size)
        assert -(-size // part) <= 10_000
        assert part % MIB == 0


DYING = """
    import asyncio, os, signal, sys
    from pathlib import Path
    from lazydata.remotes import s3_uploads
    from lazydata.remotes.s3 import S3Remote

    s3_uploads.PARTS_FROM, s3_uploads.PART = 10 << 20, 5 << 20
    url, endpoint, source, size = sys.argv[1:]
    moved = 0

    def progress(more):
        global moved
        moved += more
        if moved > int(size):
            os.kill(os.getpid(), signal.SIGKILL)

    async def main():
        remote = S3Remote(url, {"endpoint": endpoint})
        remote.concurrency = 1
        await remote.put("k", Path(source), progress)

    asyncio.run(main())
    """


def test_an_upload_goes_on_after_its_process_was_killed(
    remote: S3Remote,
    s3: Server,
    tmp_path: Path,
    small_parts: None,
    calls: list[tuple[str, dict[str, Any]]],
) -> None:
    source = a_file(tmp_path / "source", 5 * SMALLEST_PART + 1)
    command = [sys.executable, "-c", textwrap.dedent(DYING), remote.url, s3.endpoint, str(source)]
    dead = subprocess.run([*command, str(3 * SMALLEST_PART)], check=False, timeout=60)
    assert dead.returncode == -9
    client = s3.client()
    whole = prefix_of(remote) + "k"
    upload = client.list_multipart_uploads(Bucket=s3.bucket, Prefix=whole)["Uploads"][0]
    there = client.list_parts(Bucket=s3.bucket, Key=whole, UploadId=upload["UploadId"])["Parts"]
    # Of another upload, with other bytes in it: not trusted just because it is there.
    client.upload_part(
        Bucket=s3.bucket, Key=whole, UploadId=upload["UploadId"], PartNumber=5,
        Body=b"x" * SMALLEST_PART,
    )  # fmt: skip
    assert [each["PartNumber"] for each in there] == [1, 2, 3]
    reports: list[int] = []

    async def main() -> None:
        assert await remote.stat("k") is None
        assert await listed(remote) == set()
        calls.clear()
        await remote.put("k", source, reports.append)
        sent = [more["PartNumber"] for operation, more in calls if operation == "upload_part"]
        assert sorted(sent) == [4, 5, 6]
        assert {more["UploadId"] for _, more in calls if "UploadId" in more} == {upload["UploadId"]}
        await remote.get("k", tmp_path / "target", silent)

    asyncio.run(main())
    assert (tmp_path / "target").read_bytes() == source.read_bytes()
    assert sum(reports) == source.stat().st_size
    assert not client.list_multipart_uploads(Bucket=s3.bucket, Prefix=whole).get("Uploads")
    client.close()


def test_stale_uploads_of_a_key_are_aborted(
    remote: S3Remote, s3: Server, tmp_path: Path, small_parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = s3.client()
    prefix = prefix_of(remote)

    def begin(key: str) -> str:
        answer = client.create_multipart_upload(Bucket=s3.bucket, Key=prefix + key)
        return str(answer["UploadId"])

    def left() -> set[str]:
        answer = client.list_multipart_uploads(Bucket=s3.bucket, Prefix=prefix)
        return {each["UploadId"] for each in answer.get("Uploads", ())}

    source = a_file(tmp_path / "source", 2 * SMALLEST_PART)
    old, other = begin("k"), begin("kk")
    time.sleep(1.1)  # they are told apart by the second
    newer = begin("k")
    asyncio.run(remote.put("k", source, silent))
    assert left() == {old, other}  # not seven days old
    newer = begin("k")
    monkeypatch.setattr(s3_uploads, "_STALE", s3_uploads._STALE * 0)
    asyncio.run(remote.put("k", source, silent))
    assert newer not in left()
    assert left() == {other}
    client.abort_multipart_upload(Bucket=s3.bucket, Key=prefix + "kk", UploadId=other)
    client.close()


def test_two_upload_the_same_at_once(
    remote: S3Remote, opened: Callable[..., S3Remote], tmp_path: Path, small_parts: None
) -> None:
    source = a_file(tmp_path / "source", 3 * SMALLEST_PART)
    another = opened(remote.url)

    async def main() -> None:
        puts = [each.put("k", source, silent) for each in (remote, another)]
        for done in await asyncio.gather(*puts, return_exceptions=True):
            assert done is None or isinstance(done, RemoteUnavailable)
        await remote.put("k", source, silent)
        await remote.get("k", tmp_path / "target", silent)

    asyncio.run(main())
    assert (tmp_path / "target").read_bytes() == source.read_bytes()


@pytest.mark.parametrize("completed", [True, False])
def test_someone_else_ends_our_upload(
    remote: S3Remote, s3: Server, tmp_path: Path, small_parts: None, completed: bool
) -> None:
    source = a_file(tmp_path / "source", 2 * SMALLEST_PART)
    client = s3.client()
    whole = prefix_of(remote) + "k"
    ended: list[bool] = []

    def end(moved: int, /) -> None:
        if ended or moved <= 0:
            return
        ended.append(True)
        for each in client.list_multipart_uploads(Bucket=s3.bucket, Prefix=whole)["Uploads"]:
            client.abort_multipart_upload(Bucket=s3.bucket, Key=whole, UploadId=each["UploadId"])
        if completed:
            client.put_object(Bucket=s3.bucket, Key=whole, Body=source.read_bytes())

    async def main() -> None:
        if not completed:
            with pytest.raises(RemoteUnavailable, match="cut off"):
                await remote.put("k", source, end)
            await remote.put("k", source, end)
        else:
            await remote.put("k", source, end)
        assert await remote.get_range("k", 0, 20 * MIB) == source.read_bytes()

    asyncio.run(main())
    assert ended
    client.close()


@pytest.mark.parametrize("fast", [True, False])
def test_a_download_goes_on_where_it_was_stopped(
    fast: bool,
    remote: S3Remote,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    calls: list[tuple[str, dict[str, Any]]],
) -> None:
    monkeypatch.setattr(s3_downloads, "PIECE", MIB)
    monkeypatch.setattr(s3_downloads, "_FAST", 0.0 if fast else float("inf"))
    source, target = a_file(tmp_path / "source", 12 * MIB), tmp_path / "target"
    whole = source.read_bytes()

    class Stop(Exception):
        pass

    moved = 0

    def stop(more: int, /) -> None:
        nonlocal moved
        moved += more
        if moved > 6 * MIB and more > 0:
            raise Stop

    async def main() -> None:
        await remote.put("k", source, silent)
        with pytest.raises(Stop):
            await remote.get("k", target, stop)
        there = target.stat().st_size
        assert 0 < there < len(whole)
        assert target.read_bytes() == whole[:there]
        calls.clear()
        await remote.get("k", target, silent)
        starts = [int(more["Range"].removeprefix("bytes=").split("-")[0]) for _, more in calls]
        assert min(starts) == there
        assert len(starts) == (2 if fast else -(-(len(whole) - there) // MIB))

    asyncio.run(main())
    assert target.read_bytes() == whole


def test_only_so_much_at_once(
    remote: S3Remote, tmp_path: Path, small_parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is one for all objects, and parts of large ones count."""
    now, most = [0], [0]
    call = Bucket.call

    def counted(self: Bucket, *args: Any, **more: Any) -> Any:
        now[0] += 1
        most[0] = max(most[0], now[0])
        try:
            return call(self, *args, **more)
        finally:
            now[0] -= 1

    monkeypatch.setattr(Bucket, "call", counted)
    remote.concurrency = 3
    source = a_file(tmp_path / "source", 3 * SMALLEST_PART)

    async def main() -> None:
        await asyncio.gather(*(remote.put(f"k{n}", source, silent) for n in range(3)))
        targets = [tmp_path / f"t{n}" for n in range(3)]
        await asyncio.gather(*(remote.get(f"k{n}", t, silent) for n, t in enumerate(targets)))
        assert all(t.read_bytes() == source.read_bytes() for t in targets)

    asyncio.run(main())
    assert most == [3]


def test_keys_of_others_are_left_alone(
    remote: S3Remote, s3: Server, opened: Callable[..., S3Remote]
) -> None:
    client = s3.client()
    prefix = prefix_of(remote)
    beside = prefix.rstrip("/")
    foreign = {
        f"{beside}-2/k", f"{beside}2", f"other-{beside}/a",  # not below the prefix
        f"{prefix}Upper", f"{prefix}index/", f"{prefix}a b", f"{prefix}.hidden",
    }  # fmt: skip
    for key in foreign:
        client.put_object(Bucket=s3.bucket, Key=key, Body=b"")

    async def main() -> None:
        await remote.put_bytes("k", b"x")
        await remote.put_bytes("index/ab.idx", b"x")
        assert await listed(remote) == {"k", "index/ab.idx"}
        assert await listed(remote, "index/") == {"index/ab.idx"}
        everything = opened(f"s3://{s3.bucket}")
        assert {f"{beside}/k", f"other-{beside}/a"} <= await listed(everything)
        assert await listed(everything, prefix) == {f"{prefix}k", f"{prefix}index/ab.idx"}
        assert await everything.get_range(f"{prefix}k", 0, 9) == b"x"
        await remote.delete([key async for key, _, _ in remote.list("")])
        assert await listed(remote) == set()

    asyncio.run(main())
    answer = client.list_objects_v2(Bucket=s3.bucket)
    assert foreign <= {each["Key"] for each in answer["Contents"]}
    client.close()


def test_a_prefix_with_signs(opened: Callable[..., S3Remote], s3: Server) -> None:
    remote = opened(f"{s3.url()}/m%C3%BC%20%2B%3F/x")

    async def main() -> None:
        await remote.put_bytes("a/k", b"x")
        assert await listed(remote) == {"a/k"}
        assert await remote.get_range("a/k", 0, 9) == b"x"
        await remote.delete(["a/k"])
        assert await remote.stat("a/k") is None

    asyncio.run(main())


def test_a_missing_bucket_is_never_absence(opened: Callable[..., S3Remote], tmp_path: Path) -> None:
    found = failures(opened("s3://no-such-bucket/p"), tmp_path)
    for name, error in found.items():
        assert isinstance(error, RemoteDenied), name
        assert "no bucket no-such-bucket" in str(error), name


def test_a_wrong_secret(remote: S3Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", READER.secret)
    for name, error in failures(remote, tmp_path).items():
        assert isinstance(error, RemoteDenied), name
        assert "secret key" in error.message, (name, error)


def test_a_key_that_nobody_knows(
    remote: S3Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKunknown")
    for name, error in failures(remote, tmp_path).items():
        assert isinstance(error, RemoteDenied), name
        assert "does not know the access key" in error.message, (name, error)
        assert "AKunknown" not in str(error)


def test_no_credentials(remote: S3Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    for name, error in failures(remote, tmp_path).items():
        assert isinstance(error, RemoteDenied), name
        assert "no credentials were found" in error.message, (name, error)
        assert "AWS_ACCESS_KEY_ID" in str(error.hint)


def test_half_of_the_credentials(
    remote: S3Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    for name, error in failures(remote, tmp_path).items():
        assert isinstance(error, RemoteDenied), name
        assert "not complete" in error.message, (name, error)


def test_profiles(
    s3: Server,
    opened: Callable[..., S3Remote],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = tmp_path / "config"
    settings.write_text(
        f"""
        [profile mine]
        aws_access_key_id = {OWNER.key}
        aws_secret_access_key = {OWNER.secret}
        [profile with-mfa]
        role_arn = arn:aws:iam::123456789012:role/r
        source_profile = mine
        mfa_serial = arn:aws:iam::123456789012:mfa/m
        region = us-east-1
        [profile of-sso]
        sso_session = s
        sso_account_id = 123456789012
        sso_role_name = r
        [sso-session s]
        sso_region = us-east-1
        sso_start_url = https://example.invalid/start
        """.replace("\n        ", "\n")
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(settings))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    asyncio.run(opened(s3.url(), profile="mine").put_bytes("k", b"x"))
    with pytest.raises(RemoteDenied, match="profile other is not set up") as caught:
        asyncio.run(opened(s3.url(), profile="other").put_bytes("k", b"x"))
    assert "remotes.NAME.profile" in str(caught.value)
    with pytest.raises(RemoteDenied, match="SSO session") as caught:
        asyncio.run(opened(s3.url(), profile="of-sso").put_bytes("k", b"x"))
    assert "aws sso login --profile of-sso" in str(caught.value)
    # The library asks nobody; the command line is asked, and may have nobody to ask.
    asked: list[str] = []
    for prompt in (None, asked.append):
        monkeypatch.setattr(base, "prompt", prompt)
        with pytest.raises(RemoteDenied, match="nobody is there"):
            asyncio.run(opened(s3.url(), profile="with-mfa").put_bytes("k", b"x"))
    assert "MFA" in asked[0]


def test_who_may_only_read(
    remote: S3Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(remote.put_bytes("k", b"x"))
    asyncio.run(remote.close())
    become(READER, monkeypatch)
    found = failures(S3Remote(remote.url, remote._address._asdict()), tmp_path)
    allowed = {name for name, error in found.items() if error is None}
    assert allowed == {"prepare", "get", "get_range", "stat", "list"}
    for name, needed in (
        *(("put", "s3:PutObject"), ("put large", "s3:PutObject"), ("put_bytes", "s3:PutObject")),
        *(("delete", "s3:DeleteObject"), ("delete many", "s3:DeleteObject")),
    ):
        error = found[name]
        assert isinstance(error, RemoteDenied), name
        assert "access denied" in error.message
        assert f"{needed} on arn:aws:s3:::{remote.url.removeprefix('s3://')}/*" in str(error.hint)


def test_who_may_only_write(
    remote: S3Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    become(WRITER, monkeypatch)
    found = failures(remote, tmp_path)
    allowed = {name for name, error in found.items() if error is None}
    # Not allowed to look for an upload to go on with, it begins one.
    assert {"put", "put large", "put_bytes", "delete", "delete many"} <= allowed
    for name, needed in (
        *(("list", "s3:ListBucket"), ("prepare", "s3:ListBucket")),
        *(("get", "s3:GetObject"), ("get_range", "s3:GetObject")),
    ):
        error = found[name]
        assert isinstance(error, RemoteDenied), name
        assert needed in str(error.hint)
    assert isinstance(found["stat"], RemoteDenied)


def test_nobody_listens(
    opened: Callable[..., S3Remote], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_uploads, "PARTS_FROM", 2 * MIB)
    remote = opened("s3://bucket/p", endpoint="http://127.0.0.1:9")
    # Each call waits up to a second before it tries again.
    for call in ("stat", "put large"):
        with pytest.raises(RemoteUnavailable, match="can't be reached") as caught:
            asyncio.run(every_call(remote, tmp_path)[call]())
        assert "http://127.0.0.1:9" in str(caught.value.hint)


def test_a_server_that_hangs_does_not_hold_up_who_cancels(
    remote: S3Remote, s3: Server, tmp_path: Path
) -> None:
    large = a_file(tmp_path / "large", s3_uploads.PARTS_FROM)
    a_file(tmp_path / "small", 10)

    async def main() -> None:
        await remote.put("k", large, silent)
        calls = every_call(remote, tmp_path)
        s3.pause()
        try:
            tasks = [asyncio.create_task(calls[n]()) for n in ("put", "put large", "get", "stat")]
            await asyncio.sleep(0.3)
            begun = time.monotonic()
            for task in tasks:
                task.cancel()
            done = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(each, asyncio.CancelledError) for each in done), done
            assert time.monotonic() - begun < 5  # and not a time-out's 60
        finally:
            s3.resume()
        assert await remote.stat("k") is not None

    asyncio.run(main())


def test_the_source_is_ours(remote: S3Remote, tmp_path: Path, small_parts: None) -> None:
    with pytest.raises(ObjectMissing, match="gone"):
        asyncio.run(remote.put("k", tmp_path / "gone", silent))

    async def main(size: int, after: int) -> None:
        source = a_file(tmp_path / "moves", size)

        def change(moved: int, /) -> None:
            if moved > 0:
                os.truncate(source, after)

        with pytest.raises(FileChanged, match="moves"):
            await remote.put("k", source, change)
        assert await remote.stat("k") is None

    for size in (4 * MIB, 3 * SMALLEST_PART):
        for after in (10, size + 10):
            asyncio.run(main(size, after))


def test_a_full_local_disk_is_named(remote: S3Remote) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    asyncio.run(remote.put_bytes("k", b"x" * 100_000))
    with pytest.raises(NoSpace, match="/dev/full"):
        asyncio.run(remote.get("k", Path("/dev/full"), silent))


FRUGAL = """
    import asyncio, sys
    from pathlib import Path
    from lazydata.progress import silent
    from lazydata.remotes.threads import run
    from lazydata.remotes.s3 import S3Remote

    async def main():
        remote = S3Remote(sys.argv[1], {"endpoint": sys.argv[2]})
        await remote.put("k", Path(sys.argv[3]), silent)
        await remote.get("k", Path(sys.argv[3] + ".back"), silent)
        await remote.close()

    run(main)
    # Not ru_maxrss: a child inherits the peak of the process that started it.
    (peak,) = [each for each in open("/proc/self/status") if each.startswith("VmHWM:")]
    print(int(peak.split()[1]) >> 10)
    """


def test_memory_does_not_grow_with_the_file(remote: S3Remote, s3: Server, tmp_path: Path) -> None:
    source = tmp_path / "source"
    with open(source, "wb") as file:
        for _ in range(16):
            file.write(os.urandom(MIB) * 16)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FRUGAL), remote.url, s3.endpoint, str(source)],
        stdout=subprocess.PIPE,
        check=True,
        timeout=120,
    )
    assert int(done.stdout) <= 250
    compared = subprocess.run(["cmp", source, f"{source}.back"], check=False)
    assert compared.returncode == 0


@pytest.mark.parametrize(
    "endpoint", ["http://host:9000", "https://host/base/", "http://[::1]:1", "https://host/a%20b"]
)
@pytest.mark.parametrize("bucket", ["abc", "a.b-c.d"])
def test_our_rule_for_endpoints_says_what_botocores_say(
    endpoint: str, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in OWNER.env.items():
        monkeypatch.setenv(name, value)

    def signed() -> list[str]:
        address = s3_address.address_of(f"s3://{bucket}/x", {"endpoint": endpoint, "region": "r-1"})
        client = Bucket(address, 1)._connect()
        return [
            client.generate_presigned_url("get_object", {"Bucket": bucket, "Key": key}).partition(
                "&X-Amz-Date"
            )[0]
            for key in ("x/packs/ab.pack", "x/a b/é?#+", "x//y/../z")
        ]

    ours = signed()
    monkeypatch.setattr(s3_client, "_with_our_rules", lambda load: load)
    assert ours == signed()
