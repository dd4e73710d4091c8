"""The S3 remote, and what a server may answer that a good one does not when it is asked to."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, repeat
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest
from seaweedfs import OWNER

from lazydata.errors import (
    LazydataError,
    NoSpace,
    RemoteDenied,
    RemoteObjectMissing,
    RemoteUnavailable,
)
from lazydata.progress import silent
from lazydata.remotes import s3, s3_client, s3_downloads, s3_sockets
from lazydata.remotes.s3 import S3Remote


@pytest.fixture(autouse=True)
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """No connection is so fast that it is left alone; tests of that say so."""
    monkeypatch.setattr(s3_downloads, "_FAST", float("inf"))


TOKEN = "a-session-token-0b7f"


class Asked(NamedTuple):
    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]


class Answer(NamedTuple):
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}
    short_by: int = 0  # bytes that are promised, and do not come


class Fake:
    """An HTTP server that answers as a test says, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answer: Callable[[Asked], Answer] = lambda asked: Answer(500)
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 1 << 16  # in one packet: a second one would wait to be asked for

            def handle_any(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                parts = urlsplit(self.path)
                query = parse_qs(parts.query, keep_blank_values=True)
                asked = Asked(self.command, parts.path, query, self.headers)
                fake.asked.append(asked)
                answer = fake.answer(asked)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.body[: len(answer.body) - answer.short_by])
                if answer.short_by:
                    self.close_connection = True

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture(scope="module")
def server() -> Iterator[Fake]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (OWNER.env | {"AWS_SESSION_TOKEN": TOKEN}).items():
            patch.setenv(name, value)
        patch.delenv("AWS_PROFILE", raising=False)
        patch.setattr(s3_client, "_ATTEMPTS", 1)
        fake = Fake()
        yield fake
        fake.close()


@pytest.fixture
def fake(server: Fake) -> Fake:
    server.asked.clear()
    return server


@pytest.fixture
def remote(fake: Fake) -> Iterator[S3Remote]:
    remote = S3Remote("s3://bucket/p", {"endpoint": fake.endpoint})
    yield remote
    asyncio.run(remote.close())


@pytest.fixture(scope="module")
def same_remote(server: Fake) -> Iterator[S3Remote]:
    """One for many tests: making a client takes longer than they do."""
    remote = S3Remote("s3://bucket/p", {"endpoint": server.endpoint})
    yield remote
    asyncio.run(remote.close())


def error(code: str, status: int, *, more: str = "", **headers: str) -> Answer:
    said = f"for {OWNER.key} {OWNER.secret} {TOKEN}"
    body = f"<Error><Code>{code}</Code><Message>{said}</Message>{more}</Error>"
    return Answer(status, body.encode(), {k.replace("_", "-"): v for k, v in headers.items()})


def raised(call: Awaitable[object]) -> LazydataError:
    async def main() -> None:
        await call

    with pytest.raises(LazydataError) as caught:
        asyncio.run(main())
    return caught.value


async def listed(remote: S3Remote) -> list[str]:
    return [each.key async for each in remote.list("")]


HTML = b"<html><body>It works!</body></html>"
DENIED = [
    (error("AccessDenied", 403), "access denied"),
    (error("ExpiredToken", 400), "credentials have expired"),
    (error("RequestExpired", 400), "credentials have expired"),
    (error("InvalidToken", 400), "session token"),
    (error("InvalidAccessKeyId", 403), "does not know the access key"),
    (error("SignatureDoesNotMatch", 403), "secret key"),
    (error("RequestTimeTooSkewed", 403), "this machine's clock is off"),
    (error("PermanentRedirect", 301), "in another region"),
    (error("PermanentRedirect", 301, x_amz_bucket_region="eu-west-3"), "--region eu-west-3"),
    (error("AuthorizationHeaderMalformed", 400, more="<Region>eu-west-3</Region>"), "eu-west-3"),
    (error("IllegalLocationConstraintException", 400), "in another region"),
    (error("NoSuchBucket", 404), "there is no bucket bucket"),
    (error("InvalidObjectState", 403), "archived"),
    (error("NotImplemented", 501), "can't do that"),
    (error("Weird", 400), "refused (Weird)"),
    (error("a secret &lt;b&gt;", 400), "refused (400)"),
    (Answer(404, HTML), ""),
    (Answer(302, b"", {"Location": "http://127.0.0.1:1/"}), "refused (302)"),
]
PASSING = [
    (error("SlowDown", 503), "busy"),
    (error("InternalError", 500), "busy"),
    (error("RequestTimeout", 400), "busy"),
    (error("OperationAborted", 409), "busy"),
    (error("TooManyRequests", 429), "busy"),
    (Answer(502, HTML), "busy"),
]
FULL = [
    (error("QuotaExceeded", 403), "no space is left"),
    (error("XMinioStorageFull", 507), "no space is left"),
    (error("EntityTooLarge", 400), "larger than the server takes"),
]


@pytest.mark.parametrize(
    ("answer", "expected", "text"),
    [
        *((answer, RemoteDenied, text) for answer, text in DENIED),
        *((answer, RemoteUnavailable, text) for answer, text in PASSING),
        *((answer, NoSpace, text) for answer, text in FULL),
    ],
)
def test_what_servers_say(
    same_remote: S3Remote,
    fake: Fake,
    tmp_path: Path,
    answer: Answer,
    expected: type[LazydataError],
    text: str,
) -> None:
    fake.answer = lambda asked: answer
    for call in (
        same_remote.put_bytes("k", b"x"),
        same_remote.get("k", tmp_path / "t", silent),
        same_remote.stat("k"),
        listed(same_remote),
        same_remote.delete(["k"]),
    ):
        said = raised(call)
        assert type(said) is expected, said
        assert text in str(said)
        assert said.message.startswith("s3://bucket/p")
        assert said.hint
        everything = f"{said!r} {vars(said)} {said.__cause__}"
        assert not any(s in everything for s in (OWNER.key, OWNER.secret, TOKEN, "secret &"))


def test_the_lacking_permission_is_named(remote: S3Remote, fake: Fake) -> None:
    message = "User: arn:aws:iam::1:user/b is not authorized to perform: s3:PutObjectTagging on x"
    fake.answer = lambda asked: Answer(
        403, f"<Error><Code>AccessDenied</Code><Message>{message}</Message></Error>".encode()
    )
    assert "need s3:PutObjectTagging on arn:aws:s3:::bucket/p/*" in str(
        raised(remote.put_bytes("k", b""))
    )
    fake.answer = lambda asked: error("AccessDenied", 403)
    said = str(raised(remote.get_range("k", 0, 1)))
    assert (
        "s3:GetObject on arn:aws:s3:::bucket/p/*, and s3:ListBucket on arn:aws:s3:::bucket" in said
    )


def test_nothing_follows_a_redirect(remote: S3Remote, fake: Fake, tmp_path: Path) -> None:
    elsewhere = Fake()
    try:
        for status in (301, 302, 307, 308):
            fake.answer = lambda asked, status=status: Answer(
                status, b"", {"Location": f"{elsewhere.endpoint}{asked.path}"}
            )
            raised(remote.put_bytes("k", b"x"))
            raised(remote.get("k", tmp_path / "t", silent))
            raised(remote.stat("k"))
        assert elsewhere.asked == []
        assert fake.asked
        # What does go out is signed, and the secret is no part of it.
        for asked in fake.asked:
            assert asked.headers["Authorization"].startswith("AWS4-HMAC-SHA256 ")
            assert OWNER.secret not in f"{asked.path} {asked.query} {dict(asked.headers)}"
    finally:
        elsewhere.close()


def ranged(data: bytes, asked: Asked) -> tuple[bytes, dict[str, str]]:
    start, end = (int(each) for each in asked.headers["Range"].removeprefix("bytes=").split("-"))
    part = data[start : end + 1]
    return part, {"Content-Range": f"bytes {start}-{start + len(part) - 1}/{len(data)}"}


def test_a_body_that_ends_early(remote: S3Remote, fake: Fake, tmp_path: Path) -> None:
    data, target = bytes(range(256)) * 40, tmp_path / "t"
    cut = [len(data)]

    def answer(asked: Asked) -> Answer:
        part, headers = ranged(data, asked)
        return Answer(206, part, headers, short_by=cut.pop() if cut else 0)

    fake.answer = answer
    assert type(raised(remote.get("k", target, silent))) is RemoteUnavailable
    # Where something came, only the rest is asked for again, in the same call.
    cut[:] = [1000]
    fake.asked.clear()
    asyncio.run(remote.get("k", target, silent))
    assert target.read_bytes() == data
    starts = [asked.headers["Range"].split("-")[0] for asked in fake.asked]
    assert starts == ["bytes=0", f"bytes={len(data) - 1000}"]
    # It goes on only so often.
    target.unlink()
    cut[:] = [1000, 2000, 3000, 4000, 5000, 6000, 7000]
    assert type(raised(remote.get("k", target, silent))) is RemoteUnavailable
    assert data.startswith(target.read_bytes())
    assert target.stat().st_size == len(data) - 3000
    cut[:] = [5]
    assert "ended before" in str(raised(remote.get_range("k", 0, 100)))


def test_a_server_without_ranges(
    remote: S3Remote, fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_downloads, "PIECE", 1000)
    monkeypatch.setattr(s3_downloads, "_CHUNK", 300)
    data, target = bytes(range(256)) * 40, tmp_path / "t"
    fake.answer = lambda asked: Answer(200, data)
    asyncio.run(remote.get("k", target, silent))
    assert target.read_bytes() == data
    target.write_bytes(b"!" * 700)
    asyncio.run(remote.get("k", target, silent))
    assert target.read_bytes() == b"!" * 700 + data[700:]
    assert len(fake.asked) == 2
    assert asyncio.run(remote.get_range("k", 500, 9)) == data[500:509]


def test_other_bytes_than_were_asked_for(
    remote: S3Remote, fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_downloads, "PIECE", 100)
    monkeypatch.setattr(s3_downloads, "_CHUNK", 100)
    fake.answer = lambda asked: Answer(206, b"x" * 10, {"Content-Range": "bytes 5-14/100"})
    assert "other bytes" in str(raised(remote.get("k", tmp_path / "t", silent)))
    sizes = chain((1000,), repeat(999))

    def grown(asked: Asked) -> Answer:
        start = asked.headers["Range"].removeprefix("bytes=").split("-")[0]
        end = int(start) + 99
        return Answer(206, b"x" * 100, {"Content-Range": f"bytes {start}-{end}/{next(sizes)}"})

    fake.answer = grown
    assert "replaced" in str(raised(remote.get("k", tmp_path / "u", silent)))


def test_a_key_that_goes_away_meanwhile(remote: S3Remote, fake: Fake, tmp_path: Path) -> None:
    fake.answer = lambda asked: (
        Answer(404) if asked.method == "HEAD" else error("InvalidRange", 416)
    )
    assert type(raised(remote.get("k", tmp_path / "t", silent))) is RemoteObjectMissing


def page(keys: str, **more: str) -> Answer:
    entries = "".join(
        f"<Contents><Key>{key}</Key><Size>1</Size>"
        "<LastModified>2026-01-02T03:04:05.000Z</LastModified></Contents>"
        for key in keys.split()
    )
    rest = "".join(f"<{name}>{value}</{name}>" for name, value in more.items())
    return Answer(200, f"<ListBucketResult>{entries}{rest}</ListBucketResult>".encode())


def test_listings(remote: S3Remote, fake: Fake) -> None:
    pages = {
        None: page("p/a p/b q/c", IsTruncated="true", NextContinuationToken="t"),
        "t": page("p/d", IsTruncated="false"),
    }
    fake.answer = lambda asked: pages[asked.query.get("continuation-token", [None])[0]]
    assert asyncio.run(listed(remote)) == ["a", "b", "d"]
    # One that is cut short must not pass for a whole one.
    for cut in (
        page("p/a", IsTruncated="true"),
        page("p/a", IsTruncated="true", NextContinuationToken="t"),
        Answer(200, b"<ListBucketResult><Contents><Key>p/a</Key></Contents></ListBucketResult>"),
        Answer(200, HTML[:-7]),
    ):
        fake.answer = lambda asked, cut=cut: cut
        assert type(raised(listed(remote))) is RemoteUnavailable


def test_a_server_that_deletes_one_by_one(remote: S3Remote, fake: Fake) -> None:
    for refusal in (error("MissingContentMD5", 400), error("NotImplemented", 501)):
        one_by_one = S3Remote(remote.url, {"endpoint": fake.endpoint})
        fake.asked.clear()
        fake.answer = lambda asked, refusal=refusal: (
            refusal if asked.method == "POST" else Answer(204)
        )

        async def main(one_by_one: S3Remote = one_by_one) -> None:
            await one_by_one.delete(["a", "b"])
            await one_by_one.delete(["c", "d"])
            await one_by_one.close()

        asyncio.run(main())
        deleted = {asked.path for asked in fake.asked if asked.method == "DELETE"}
        assert deleted == {f"/bucket/p/{key}" for key in "abcd"}
        assert [asked.method for asked in fake.asked].count("POST") == 1


def test_keys_that_stay_are_named(remote: S3Remote, fake: Fake) -> None:
    def stays(*codes: str) -> Answer:
        entries = "".join(
            f"<Error><Key>p/k{n}</Key><Code>{code}</Code></Error>" for n, code in enumerate(codes)
        )
        return Answer(200, f"<DeleteResult>{entries}</DeleteResult>".encode())

    for codes, expected in (
        (("AccessDenied", "AccessDenied"), RemoteDenied),
        (("InternalError", "InternalError"), RemoteUnavailable),
    ):
        fake.answer = lambda asked, codes=codes: stays(*codes)
        said = raised(remote.delete(["k0", "k1", "k2"]))
        assert type(said) is expected
        assert "k0" in str(said)
        assert "1 more" in str(said)
    fake.answer = lambda asked: stays("NoSuchKey")
    asyncio.run(remote.delete(["k0", "k1"]))


def test_a_web_server_is_no_empty_remote(remote: S3Remote, fake: Fake) -> None:
    fake.answer = lambda asked: Answer(404, HTML, {"Content-Type": "text/html"})
    assert type(raised(remote.stat("k"))) is RemoteDenied
    fake.answer = lambda asked: Answer(200, HTML, {"Content-Type": "text/html"})
    assert type(raised(remote.stat("k"))) is RemoteUnavailable


def test_a_bad_certificate(remote: S3Remote, fake: Fake) -> None:
    tls = S3Remote("s3://bucket/p", {"endpoint": fake.endpoint.replace("http:", "https:")})
    said = raised(tls.stat("k"))
    assert type(said) is RemoteUnavailable
    assert fake.asked == []
    asyncio.run(tls.close())


# -- servers that come to no end


@pytest.mark.parametrize("status", [200, 403])
def test_an_answer_without_end_does_not_fill_the_memory(
    remote: S3Remote, fake: Fake, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(s3_sockets, "_ANSWER_AT_MOST", 1 << 20)
    fake.answer = lambda asked: Answer(status, b"<Error>" + b" " * (2 << 20))
    for call in (listed(remote), remote.get_range("k", 0, 9) if status == 403 else listed(remote)):
        said = raised(call)
        assert type(said) is RemoteDenied
        assert "an answer of more than 1 MiB" in str(said)
    assert len(fake.asked) == 2  # to ask once more would be of no use
    gc.collect()  # would warn of a connection that was left open


def test_a_listing_of_empty_pages_comes_to_an_end(
    remote: S3Remote, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_EMPTY_AT_MOST", 5)
    fake.answer = lambda asked: Answer(
        200,
        b"<ListBucketResult><IsTruncated>true</IsTruncated>"
        b"<NextContinuationToken>%d</NextContinuationToken></ListBucketResult>" % len(fake.asked),
    )
    said = raised(listed(remote))
    assert type(said) is RemoteUnavailable
    assert "comes to no end" in str(said)


def test_only_signed_requests_leave_for_a_server_that_a_manifest_names(
    remote: S3Remote, fake: Fake
) -> None:
    """A signature is good for one request to one host; the secret key is in none."""
    fake.answer = lambda asked: Answer(404)
    raised(remote.stat("k"))
    raised(listed(remote))
    for asked in fake.asked:
        said = f"{asked.path} {asked.query} {[*asked.headers.items()]}"
        assert OWNER.secret not in said
        assert asked.headers["Authorization"].startswith("AWS4-HMAC-SHA256 ")
        signed = asked.headers["Authorization"].partition("SignedHeaders=")[2]
        assert "host" in signed.partition(",")[0].split(";")
