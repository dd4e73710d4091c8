"""Files into a bucket: small ones in one piece, large ones in parts that resume."""

from __future__ import annotations

import os
import threading
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, NamedTuple

from lazydata.errors import (
    FileChanged,
    LazydataError,
    RemoteDenied,
    RemoteUnavailable,
    from_os_error,
)
from lazydata.progress import Progress
from lazydata.remotes.base import local_file
from lazydata.remotes.s3_client import AnsweredError, Bucket
from lazydata.remotes.s3_sockets import AbandonedError
from lazydata.remotes.threads import Stop, in_thread, spread

PARTS_FROM = 16 << 20  # bytes from which on a file goes in parts
PART = 8 << 20  # bytes of a part
_PARTS_AT_MOST = 10_000
_STEP = 1 << 20
_STALE = timedelta(days=7)
_READ = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class _Source(NamedTuple):
    """A local file that is being uploaded."""

    path: Path
    descriptor: int
    size: int
    report: Progress

    def changed(self) -> FileChanged | None:
        """The error, if it has another length now."""
        if os.fstat(self.descriptor).st_size == self.size:
            return None
        return FileChanged(f"{self.path} changed its length while it was uploaded")


class _Part(NamedTuple):
    """What the server has of a part: its bytes, and what it calls them."""

    size: int
    etag: str


async def put(bucket: Bucket, key: str, path: Path, report: Progress) -> None:
    """Store a file; see ``Remote.put``."""
    if await bucket.run(lambda stop: _put_if_small(bucket, key, path, report, stop)):
        return
    with local_file("read", path):
        descriptor = await in_thread(os.open, path, _READ)
    try:
        source = _Source(path, descriptor, os.fstat(descriptor).st_size, _locked(report))
        await _Upload(bucket, key, source).run()
    finally:
        os.close(descriptor)


def part_size(size: int) -> int:
    """How long each part of a file is, but the last: it is the same on every machine.

    Args:
        size: bytes of the file.

    Example:
        >>> part_size(5 << 40) >> 20
        525
    """
    least = -(-size // _PARTS_AT_MOST)
    return max(PART, -(-least // _STEP) * _STEP)


class _Upload:
    """One file in parts. One that was begun before, also by another process, goes on."""

    def __init__(self, bucket: Bucket, key: str, source: _Source) -> None:
        self._bucket = bucket
        self._key = key
        self._source = source
        self._part = part_size(source.size)
        self._id = ""
        self._there: dict[int, _Part] = {}
        self._etags: dict[int, str] = {}

    async def run(self) -> None:
        try:
            await self._bucket.run(self._begin)
            count = -(-self._source.size // self._part)
            await spread(range(1, count + 1), self._bucket.concurrency, self._send)
            await self._bucket.run(self._complete)
        except AnsweredError:
            await self._bucket.run(lambda stop: self._see_what_became_of_it())

    async def _send(self, number: int) -> None:
        await self._bucket.run(lambda stop: self._put_part(number, stop))

    def _begin(self, stop: Stop) -> None:
        """Find the newest upload of this key to go on with, or begin one."""
        try:
            found = self._find(stop)
        except (RemoteDenied, AnsweredError, KeyError):
            found = ""  # who may not ask, or asks a server that can't tell, starts anew
        self._id = found or self._create()

    def _create(self) -> str:
        answer = self._bucket.call("create_multipart_upload", self._key, needing=("UploadId",))
        return str(answer["UploadId"])

    def _find(self, stop: Stop) -> str:
        uploads: list[dict[str, Any]] = []
        more: dict[str, str] = {}
        whole = self._bucket.address.prefix + self._key
        while True:
            stop.check()
            page = self._bucket.call(
                "list_multipart_uploads", telling=("404",), Prefix=whole, **more
            )
            uploads += [each for each in page.get("Uploads", ()) if each["Key"] == whole]
            marks = (page.get("NextKeyMarker"), page.get("NextUploadIdMarker"))
            if not page.get("IsTruncated") or not marks[0] or marks[0] == more.get("KeyMarker"):
                break
            more = {"KeyMarker": marks[0], "UploadIdMarker": marks[1] or ""}
        if not uploads:
            return ""
        uploads.sort(key=lambda each: each["Initiated"], reverse=True)
        now = _date_of(page)
        for each in uploads[1:]:
            # Nobody goes on with these, and their parts cost money.
            if now is not None and each["Initiated"] < now - _STALE:
                self._abort(each["UploadId"])
        self._there = self._parts_of(uploads[0]["UploadId"], stop)
        return str(uploads[0]["UploadId"])

    def _parts_of(self, upload: str, stop: Stop) -> dict[int, _Part]:
        parts: dict[int, _Part] = {}
        after = 0
        while True:
            stop.check()
            page = self._bucket.call(
                "list_parts",
                self._key,
                telling=("404",),
                UploadId=upload,
                PartNumberMarker=after,
            )
            for each in page.get("Parts", ()):
                parts[int(each["PartNumber"])] = _Part(int(each["Size"]), str(each["ETag"]))
            last = int(page.get("NextPartNumberMarker") or 0)
            if not page.get("IsTruncated") or last <= after:
                return parts
            after = last

    def _abort(self, upload: str) -> None:
        """Tidy up; that it fails is nobody's concern."""
        try:
            self._bucket.call(
                "abort_multipart_upload", self._key, telling=("404",), UploadId=upload
            )
        except (LazydataError, AnsweredError):
            pass

    def _put_part(self, number: int, stop: Stop) -> None:
        start = (number - 1) * self._part
        length = min(self._part, self._source.size - start)
        there = self._there.get(number)
        if there and there.size == length and self._holds(there, start, stop):
            self._source.report(length)
            self._etags[number] = there.etag
            return
        body = _Body(self._source, start, length, stop)
        answer = self._bucket.call(
            "upload_part",
            self._key,
            telling=("NoSuchUpload",),
            needing=("ETag",),
            UploadId=self._id,
            PartNumber=number,
            Body=body,
        )
        body.sent()
        self._etags[number] = str(answer["ETag"])

    def _holds(self, part: _Part, start: int, stop: Stop) -> bool:
        """Whether what the server has is what lies here: an ETag that is an MD5 says so."""
        from hashlib import md5

        expected = part.etag.strip('"').lower()
        if len(expected) != 32:
            return False
        hasher = md5(usedforsecurity=False)
        body = _Body(self._source, start, part.size, stop)
        while block := body.read_ours(_STEP):
            hasher.update(block)
        return hasher.hexdigest() == expected

    def _complete(self, stop: Stop) -> None:
        if error := self._source.changed():
            raise error
        parts = [{"PartNumber": n, "ETag": self._etags[n]} for n in sorted(self._etags)]
        self._bucket.call(
            "complete_multipart_upload",
            self._key,
            telling=("NoSuchUpload", "InvalidPart", "InvalidPartOrder"),
            UploadId=self._id,
            MultipartUpload={"Parts": parts},
        )

    def _see_what_became_of_it(self) -> None:
        """Two may send the same bytes at once; the other one was done first, or gave up."""
        try:
            found = self._bucket.call("head_object", self._key, telling=("404",))
        except AnsweredError:
            found = {}
        if found.get("ContentLength") != self._source.size:
            self._abort(self._id)  # nothing becomes of it: the next attempt begins anew
            raise RemoteUnavailable(f"{self._bucket.url}: the upload of {self._key} was cut off")


class _Body:
    """A piece of a file, in the shape in which botocore takes a body.

    It is read twice: to be signed, and to be sent. Only the second counts as progress.
    """

    def __init__(self, source: _Source, start: int, length: int, stop: Stop) -> None:
        self._source = source
        self._start = start
        self._length = length
        self._stop = stop
        self._position = 0
        self._reported = 0
        self._sending = False

    def __len__(self) -> int:
        return self._length

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Begin again: what was sent by a failed attempt does not count."""
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._length}[whence]
        self._position = origin + offset
        self._sending = False
        self._report_up_to(0)
        return self._position

    def sending(self) -> None:
        """From here on what is read is sent."""
        self._sending = True

    def sent(self) -> None:
        """All of it arrived."""
        self._report_up_to(self._length)

    def read(self, amount: int | None = None) -> bytes:
        """For botocore, which must not take our errors for its own."""
        try:
            return self.read_ours(amount)
        except Exception as error:
            raise AbandonedError(error) from None

    def read_ours(self, amount: int | None) -> bytes:
        self._stop.check()
        left = self._length - self._position
        wanted = left if amount is None or amount < 0 else min(amount, left)
        if wanted == left and (error := self._source.changed()):
            raise error  # before the last byte is sent, so that nothing appears there
        try:
            data = os.pread(self._source.descriptor, wanted, self._start + self._position)
        except OSError as error:
            raise from_os_error(error, "read", str(self._source.path)) from error
        if wanted and not data:
            raise FileChanged(f"{self._source.path} got shorter while it was uploaded")
        self._position += len(data)
        if self._sending:
            self._report_up_to(self._position)
        return data

    def _report_up_to(self, position: int) -> None:
        moved, self._reported = position - self._reported, position
        if moved:
            self._source.report(moved)


def _put_if_small(bucket: Bucket, key: str, path: Path, report: Progress, stop: Stop) -> bool:
    with local_file("read", path):
        descriptor = os.open(path, _READ)
    try:
        source = _Source(path, descriptor, os.fstat(descriptor).st_size, report)
        if source.size >= PARTS_FROM:
            return False
        body = _Body(source, 0, source.size, stop)
        bucket.call("put_object", key, Body=body)
        body.sent()
        return True
    finally:
        os.close(descriptor)


def _date_of(answer: Any) -> datetime | None:
    """When it was given, by the server's own clock."""
    try:
        return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    except (KeyError, ValueError):
        return None


def _locked(report: Progress) -> Progress:
    """A progress that several threads may tell at once."""
    guard = threading.Lock()

    def tell(moved: int, /) -> None:
        with guard:
            report(moved)

    return tell
