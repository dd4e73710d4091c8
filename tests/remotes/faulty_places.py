"""Places behind a proxy, and who works with them: the fixtures of ``test_faults``."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import openssh
import pytest
import seaweedfs
from fault_proxy import FaultProxy

from lazydata.digest import Digest, Hasher
from lazydata.errors import LazydataError
from lazydata.outgoing import Outgoing
from lazydata.remotes import open_remote, s3_downloads, s3_uploads, wrappers
from lazydata.remotes.claims import VolatileMemory
from lazydata.repository import Repository
from lazydata.store import Store
from lazydata.transfer import Pulled, Pushed, pull, push

MIB = 1 << 20
PART = 5 * MIB  # the smallest that a server has to take
TIMEOUT = 60  # seconds
Desk = Any


def some(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


# They go in one pack, which nothing makes smaller.
SMALL = [some(20_000, seed) for seed in range(40)]
# They go by themselves, the second one in parts.
MIDDLE, LARGE = some(3 * MIB, 100), some(2 * PART + MIB, 101)


# -- places


class S3Place:
    """A prefix of a bucket, behind a proxy."""

    kind = "s3"

    def __init__(self, server: seaweedfs.Server) -> None:
        self.server = server
        self.proxy = FaultProxy(*address(server))
        self.url = server.url()
        self.env = server.env
        self._client: Any = None

    @property
    def options(self) -> dict[str, str]:
        return {"endpoint": self.proxy.endpoint}

    @property
    def arguments(self) -> list[str]:
        """What ``add-remote`` takes."""
        return [self.url, "--endpoint", self.proxy.endpoint]

    @property
    def prefix(self) -> str:
        return self.url.rpartition("/")[2] + "/"

    @property
    def client(self) -> Any:
        if self._client is None:
            self._client = self.server.client()
        return self._client

    def keys(self, part: str = "") -> list[str]:
        """What is there, past the proxy."""
        whole = {"Bucket": self.server.bucket, "Prefix": self.prefix}
        found = self.client.list_objects_v2(**whole).get("Contents", ())
        keys = [str(each["Key"]).removeprefix(self.prefix) for each in found]
        return sorted(key for key in keys if part in key)

    def read(self, key: str) -> bytes:
        answer = self.client.get_object(Bucket=self.server.bucket, Key=self.prefix + key)
        with answer["Body"] as body:
            return bytes(body.read())

    def write(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.server.bucket, Key=self.prefix + key, Body=data)

    def remove(self, key: str) -> None:
        self.client.delete_object(Bucket=self.server.bucket, Key=self.prefix + key)

    def sending(self, part: str) -> dict[str, str]:
        """The requests that send something there, for ``proxy.on``."""
        return {"method": "PUT", "part": part}

    def fetching(self, part: str) -> dict[str, str]:
        return {"method": "GET", "part": part}

    def close(self) -> None:
        if self._client is not None:
            self._client.close()


class SshPlace:
    """A directory of an SSH server, behind a proxy. Faults befall whole connections."""

    kind = "ssh"

    def __init__(self, server: openssh.Server) -> None:
        self.server = server
        self.proxy = FaultProxy(server.host, server.port, http=False)
        self.folder = server.base / os.urandom(6).hex()
        self.folder.mkdir()
        self.env = server.env
        self.options: dict[str, str] = {}

    @property
    def url(self) -> str:
        return self.server.url(self.folder).replace(f":{self.server.port}/", f":{self.proxy.port}/")

    @property
    def arguments(self) -> list[str]:
        return [self.url]

    def trust(self) -> None:
        """The host key is the same behind the proxy."""
        with open(self.server.home / ".ssh" / "known_hosts", "a") as known:
            known.write(self.server.known.replace(f":{self.server.port}", f":{self.proxy.port}"))

    def keys(self, part: str = "") -> list[str]:
        found = [p for p in self.folder.rglob("*") if p.is_file() and ".incoming" not in p.parts]
        keys = [str(each.relative_to(self.folder)) for each in found]
        return sorted(key for key in keys if part in key)

    def read(self, key: str) -> bytes:
        return (self.folder / key).read_bytes()

    def sending(self, part: str) -> dict[str, str]:
        return {}

    fetching = sending

    def close(self) -> None:
        shutil.rmtree(self.folder)


def address(server: seaweedfs.Server) -> tuple[str, int]:
    host, _, port = server.endpoint.removeprefix("http://").partition(":")
    return host, int(port)


@pytest.fixture
def s3_place(s3: seaweedfs.Server) -> Iterator[S3Place]:
    place = S3Place(s3)
    with place.proxy:
        yield place
        place.close()
        place.proxy.assert_all_faults_used()


@pytest.fixture
def ssh_place(ssh: openssh.Server) -> Iterator[SshPlace]:
    place = SshPlace(ssh)
    with place.proxy:
        place.trust()
        yield place
        place.close()
        place.proxy.assert_all_faults_used()


@pytest.fixture(params=["s3", "ssh"])
def place(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(f"{request.param}_place")


# -- machines, in this process


class Machine:
    """A store, what it remembers of remotes, and pushes and pulls in this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store(str(folder / "store"))
        self.memory = VolatileMemory()
        self.tmp = folder / "tmp"
        self.tmp.mkdir(parents=True)

    def repository(self, place: Any) -> Callable[[], Repository]:
        return lambda: Repository(
            open_remote(place.url, place.options), memory=self.memory, project="p"
        )

    def push(self, place: Any, contents: Iterable[bytes]) -> Pushed:
        files = {each.digest: each for each in map(self._outgoing, contents)}

        def find(wanted: Collection[Digest]) -> tuple[list[Outgoing], dict[Digest, LazydataError]]:
            return [files[digest] for digest in wanted], {}

        return push(self.repository(place), files, find, scratch=str(self.tmp))

    def pull(self, place: Any, contents: Iterable[bytes]) -> Pulled:
        return pull([self.repository(place)], map(name, contents), self.store)

    def has(self, contents: Iterable[bytes]) -> bool:
        return all(Path(self.store.find(name(c)) or "").read_bytes() == c for c in contents)

    def left_over(self) -> list[str]:
        """What lies in the store's directory for unfinished files."""
        return [*map(str, (self.folder / "store").rglob("tmp/*"))]

    def _outgoing(self, content: bytes) -> Outgoing:
        path = self.folder / name(content).hex
        path.write_bytes(content)
        return Outgoing(name(content), len(content), path)


def name(content: bytes) -> Digest:
    hasher = Hasher("blake3")
    hasher.update(content)
    return hasher.digest


@pytest.fixture
def machine(tmp_path: Path) -> Callable[[], Machine]:
    return lambda: Machine(Path(tempfile.mkdtemp(dir=tmp_path)))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, waits are short and parts are small."""
    monkeypatch.setattr(wrappers, "_FIRST_WAIT", 0.02)
    monkeypatch.setattr(s3_uploads, "PARTS_FROM", 2 * PART)
    monkeypatch.setattr(s3_uploads, "PART", PART)
    monkeypatch.setattr(s3_downloads, "PIECE", MIB)


# -- desks


class Desks:
    """Desks that share one project, whose manifest is written as lazydata writes it."""

    def __init__(self, place: Any, new_desk: Callable[..., Desk]) -> None:
        self._place, self._new = place, new_desk

    def owner(self, files: Mapping[str, bytes]) -> Desk:
        """Someone who has the files, and has pushed nothing yet."""
        desk = self.clone(files, "me")
        for path, content in files.items():
            desk.write(path, content)
        return desk

    def clone(self, files: Mapping[str, bytes], called: str = "you") -> Desk:
        """Someone whose manifest lists the files, and nothing more."""
        desk = self._new(called)
        desk.env.update(self._place.env)
        desk.env.pop("SSH_AUTH_SOCK", None)
        desk.write("lazydata.yml", self._manifest(files))
        return desk

    def _manifest(self, files: Mapping[str, bytes]) -> str:
        lines = ["version: 2", "files:"]
        for path, content in sorted(files.items()):
            lines += [f"  - path: {path}", f"    hash: {name(content)}"]
            lines += [f"    size: {len(content)}"]
        lines += ["remotes:", "  origin:", f"    url: {self._place.url}", "    project: p"]
        lines += [f"    {option}: {value}" for option, value in self._place.options.items()]
        return "\n".join(lines) + "\n"


@pytest.fixture
def desks(place: Any, new_desk: Callable[..., Desk]) -> Desks:
    return Desks(place, new_desk)


@pytest.fixture
def s3_desks(s3_place: S3Place, new_desk: Callable[..., Desk]) -> Desks:
    return Desks(s3_place, new_desk)


def until(done: Callable[[], bool], seconds: float = TIMEOUT) -> None:
    """Wait for something; as long as it raises, it is not there."""
    ends = time.monotonic() + seconds
    while True:
        try:
            if done():
                return
            problem = "it never came about"
        except Exception as error:
            problem = str(error)
        assert time.monotonic() < ends, problem
        time.sleep(0.02)
