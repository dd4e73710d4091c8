"""What goes wrong between lazydata and real servers, and on them.

A proxy stands before each server, so that the way to it fails where a test says.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import faulty_places
import openssh
import pytest
import seaweedfs
from faulty_places import (
    LARGE,
    MIB,
    MIDDLE,
    PART,
    SMALL,
    TIMEOUT,
    Desk,
    Desks,
    Machine,
    S3Place,
    SshPlace,
    name,
    some,
    until,
)
from link_faults import Fault, On

from lazydata.errors import ObjectCorrupt, RemoteObjectMissing, RemoteUnavailable
from lazydata.remotes import catalogue, wrappers
from lazydata.remotes.layout import object_key
from lazydata.remotes.s3 import S3Remote

s3_place, ssh_place, place = faulty_places.s3_place, faulty_places.ssh_place, faulty_places.place
s3_desks, desks = faulty_places.s3_desks, faulty_places.desks
machine = faulty_places.machine

pytestmark = pytest.mark.usefixtures("impatient")
impatient = faulty_places.impatient


def errors(stderr: str) -> list[str]:
    """The lines that are errors."""
    return [line for line in stderr.splitlines() if line.startswith("error: ")]


# -- what passes is tried again


PACK = "/packs/"
ENDED = "?uploadId"


def ended_twice(on: Callable[..., On]) -> None:
    """As Amazon has it: what is complete is no upload any more."""
    on("POST", ENDED).reset(got=0)
    on("POST", ENDED).answer(404, "NoSuchUpload", skip=1)


S3_UP: dict[str, tuple[list[bytes], Callable[..., object]]] = {
    "a part is cut": ([LARGE], lambda on: on("PUT", "partNumber=1").reset(sent=3 * MIB)),
    "the upload began, unheard": ([LARGE], lambda on: on("POST", "?uploads").reset(got=0)),
    "the upload ended, unheard": ([LARGE], lambda on: on("POST", ENDED).reset(got=0)),
    "the upload ended, and is gone": ([LARGE], ended_twice),
    "a file is cut": ([MIDDLE], lambda on: on("PUT", "/objects/").reset(sent=MIB)),
    "a pack is cut": (SMALL, lambda on: on("PUT", PACK).reset(sent=300_000)),
    "a pack arrived, unheard": (SMALL, lambda on: on("PUT", PACK).reset(got=0)),
    "no pack was seen": (SMALL, lambda on: on("PUT", PACK).reset(sent=0)),
    "the claim is cut": (SMALL, lambda on: on("PUT", ".idx").reset(sent=500)),
    "the claim arrived, unheard": (SMALL, lambda on: on("PUT", ".idx").reset(got=0)),
    "a listing is cut": (SMALL, lambda on: on("GET", "list-type").reset(got=50)),
    "slow down": (SMALL, lambda on: on("PUT", PACK).answer(503, "SlowDown", times=3)),
    "in trouble": ([MIDDLE], lambda on: on("PUT", "/objects/").answer(500, "InternalError")),
    "a proxy's words": (SMALL, lambda on: on("HEAD", PACK).answer(502)),
    "stalls, then resets": (
        SMALL,
        lambda on: on("PUT", PACK).stall(sent=300_000, seconds=0.3, reset=True),
    ),
}


@pytest.mark.parametrize("case", S3_UP)
def test_what_passes_on_the_way_up(
    s3_place: S3Place, machine: Callable[[], Machine], case: str
) -> None:
    contents, fail = S3_UP[case]
    fail(s3_place.proxy.on)
    done = machine().push(s3_place, contents)
    assert done.failed == {}
    assert len(done.uploaded) == len(contents)
    # Of a large file, no more than a part is sent twice.
    assert sum(each.sent for each in s3_place.proxy.asked("PUT", "partNumber")) <= len(LARGE) + PART
    other = machine()
    assert other.pull(s3_place, contents).failed == {}
    assert other.has(contents)
    assert other.left_over() == []


S3_DOWN: dict[str, Callable[..., object]] = {
    "a file is cut": lambda on: on("GET", "/objects/").reset(got=300_000),
    "a file is short": lambda on: on("GET", "/objects/").truncate(got=300_000),
    "a file never comes": lambda on: on("GET", "/objects/").reset(got=0),
    "a pack is cut": lambda on: on("GET", PACK).reset(got=300_000),
    "a pack is short": lambda on: on("GET", PACK).truncate(got=300_000),
    "a pack is short, again and again": lambda on: on("GET", PACK).truncate(got=200_000, times=3),
    "an index file is cut": lambda on: on("GET", ".idx").reset(got=500),
    "an index file is short": lambda on: on("GET", ".idx").truncate(got=500),
    "a listing is cut": lambda on: on("GET", "list-type").reset(got=50),
    "a listing is short": lambda on: on("GET", "list-type").truncate(got=200),
    "the marker is short": lambda on: on("GET", "/lazydata.json").truncate(got=5),
    "slow down": lambda on: on("GET", PACK).answer(503, "SlowDown", times=3),
    "in trouble": lambda on: on("GET", "/objects/").answer(500, "InternalError", times=2),
    "a web server's words": lambda on: on("GET", "list-type").answer(502),
    "stalls, then resets": lambda on: on("GET", PACK).stall(got=300_000, seconds=0.3, reset=True),
    "stalls, then goes on": lambda on: on("GET", PACK).stall(got=300_000, seconds=0.3),
}


@pytest.mark.parametrize("case", S3_DOWN)
def test_what_passes_on_the_way_down(
    pushed: tuple[S3Place, list[bytes]], machine: Callable[[], Machine], case: str
) -> None:
    place, contents = pushed
    S3_DOWN[case](place.proxy.on)
    mine = machine()
    assert mine.pull(place, contents).failed == {}
    assert mine.has(contents)
    assert mine.left_over() == []


@pytest.fixture(scope="module")
def pushed_once(
    s3_server: seaweedfs.Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[S3Place, list[bytes]]]:
    place, contents = S3Place(s3_server), [*SMALL, MIDDLE]
    with place.proxy, pytest.MonkeyPatch.context() as patch:
        for key, value in s3_server.env.items():
            patch.setenv(key, value)
        Machine(tmp_path_factory.mktemp("pushed")).push(place, contents)
        yield place, contents
    place.close()


@pytest.fixture
def pushed(
    pushed_once: tuple[S3Place, list[bytes]], s3: seaweedfs.Server
) -> Iterator[tuple[S3Place, list[bytes]]]:
    """A place that has a pack and a file, not to be changed."""
    place, _ = pushed_once
    place.proxy.requests.clear()
    yield pushed_once
    place.proxy.clear()


SSH_CUTS: dict[str, Callable[..., object]] = {
    "logging in": lambda on: on().reset(got=400),
    "a file up": lambda on: on().reset(sent=2 * MIB),
    "a pack up": lambda on: on().reset(sent=300_000),
}


@pytest.mark.parametrize("case", SSH_CUTS)
def test_a_connection_that_is_lost_on_the_way_up(
    ssh_place: SshPlace, machine: Callable[[], Machine], case: str
) -> None:
    contents = [LARGE] if "file" in case else SMALL
    SSH_CUTS[case](ssh_place.proxy.on)
    assert machine().push(ssh_place, contents).failed == {}
    assert ssh_place.proxy.connections == 2
    mine = machine()
    ssh_place.proxy.on().reset(got=300_000)
    assert mine.pull(ssh_place, contents).failed == {}
    assert ssh_place.proxy.connections == 4
    assert mine.has(contents)
    assert mine.left_over() == []


def test_a_large_download_goes_on_where_it_was_cut(
    place: Any, machine: Callable[[], Machine]
) -> None:
    machine().push(place, [LARGE])
    place.proxy.requests.clear()
    # Of the first piece of it, or of the connection: most of it has passed by then.
    cut = {"s3": 900_000, "ssh": 9 * MIB}[place.kind]
    place.proxy.on(**place.fetching("/objects/")).reset(got=cut)
    mine = machine()
    assert mine.pull(place, [LARGE]).failed == {}
    assert mine.has([LARGE])
    passed = sum(each.got for each in place.proxy.asked(part="/objects/" * (place.kind == "s3")))
    # But for what was on its way when the connection broke, all came once.
    spare = {"s3": 400_000, "ssh": 4 * MIB}[place.kind]
    assert len(LARGE) <= passed < len(LARGE) + spare
    if place.kind == "s3":
        first, second = (each.range for each in place.proxy.asked("GET", "/objects/")[:2])
        assert int(first.split("-")[0]) == 0
        assert 400_000 < int(second.split("-")[0]) <= 900_000


def test_refused_until_it_is_there_again(s3_place: S3Place, machine: Callable[[], Machine]) -> None:
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            await asyncio.to_thread(s3_place.proxy.accept)

    async def main() -> None:
        remote = wrappers.Retrying(S3Remote(s3_place.url, s3_place.options), sleep=wait)
        try:
            await remote.put_bytes("k", b"x")
        finally:
            await remote.close()

    s3_place.proxy.refuse()
    asyncio.run(main())
    assert len(waits) == 2
    assert s3_place.read("k") == b"x"


# -- servers that die

# A place, how to kill its server, and how to start that again.
Life = tuple[Any, Callable[[], None], Callable[[], None]]


@pytest.fixture
def mortal_s3(s3: seaweedfs.Server) -> Iterator[Life]:
    with tempfile.TemporaryDirectory(prefix="lazydata-s3-", ignore_cleanup_errors=True) as folder:
        server = seaweedfs.start(Path(folder))
        place = S3Place(server)

        def run() -> None:
            with open(Path(folder) / "log", "ab") as log:
                server._process = subprocess.Popen(
                    server._process.args, stdout=log, stderr=log, cwd=folder
                )
            seaweedfs._wait(server, server._process)
            # It answers before it finds the bytes that it had stored.
            until(lambda: place.read("lazydata.json") != b"")

        try:
            with place.proxy:
                yield place, server.stop, run
            place.close()
        finally:
            server.stop()


@pytest.fixture
def mortal_ssh(ssh: openssh.Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Life]:
    with tempfile.TemporaryDirectory(prefix="lazydata-ssh-") as folder:
        server = openssh.start(Path(folder))
        monkeypatch.setenv("HOME", str(server.home))
        place = SshPlace(server)
        try:
            with place.proxy:
                place.trust()
                yield place, server.stop, server.run
        finally:
            server.stop()


@pytest.mark.parametrize("kind", ["s3", "ssh"])
def test_a_server_that_is_killed_during_a_push(
    request: pytest.FixtureRequest, machine: Callable[[], Machine], kind: str
) -> None:
    place, kill, run = request.getfixturevalue(f"mortal_{kind}")
    contents = [*SMALL, MIDDLE, LARGE]
    mine, other = machine(), machine()
    stalled = place.proxy.on(**place.sending("/objects/")).stall(sent=2 * MIB)
    with ThreadPoolExecutor(1) as pool:
        pushing = pool.submit(mine.push, place, contents)
        stalled.wait()
        kill()
        stalled.release()
        with pytest.raises(RemoteUnavailable):
            pushing.result(TIMEOUT)
    run()
    # What is there is whole, and claimed is nothing.
    there = place.keys()
    assert not [key for key in there if key.startswith("index/")]
    for key in (object_key(name(content)) for content in (MIDDLE, LARGE)):
        assert key not in there or key.endswith(name(place.read(key)).hex)
    assert mine.push(place, contents).failed == {}
    assert other.pull(place, contents).failed == {}
    assert other.has(contents)
    assert mine.left_over() == other.left_over() == []


# -- bytes that are not what they should be

FILES = {
    "data/big.bin": MIDDLE,
    **{f"data/{number}.bin": content for number, content in enumerate(SMALL[:10])},
}
IN_PACK = sorted(path for path in FILES if path != "data/big.bin")


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def named(stderr: str) -> list[str]:
    """The paths that errors begin with, but for the last one, which is their sum."""
    *each, last = errors(stderr)
    assert last == f"error: {len(each)} not pulled"
    return sorted(line.split()[1].removesuffix(":") for line in each)


def has_all_but(desk: Desk, left: Collection[str] = (), files: Mapping[str, bytes] = FILES) -> bool:
    """Whether the files are there, those that were left are not, and the store is clean."""
    stored = len(files) - len(left)
    report = desk.json_cli("verify", code=None)
    assert not [row for row in report["damage"] if row["problem"] == "corrupt"]
    assert report["objects"] == stored
    assert not any((desk.root / path).exists() for path in left)
    return all(desk.read(p) == content for p, content in files.items() if p not in left)


def test_a_file_that_is_damaged_on_its_way(
    s3_place: S3Place, s3_desks: Desks, machine: Callable[[], Machine]
) -> None:
    files = {"data/a.bin": MIDDLE, "data/b.bin": SMALL[0]}
    machine().push(s3_place, files.values())
    you = s3_desks.clone(files)
    on = s3_place.proxy.on("GET", object_key(name(MIDDLE)))
    on.flip()
    done = you.run_cli("pull", ".", code=3)
    assert named(done.stderr) == ["data/a.bin"]
    assert "data/a.bin is damaged on the remote" in done.stderr
    assert has_all_but(you, ["data/a.bin"], files)
    # As a script meets it, which asks once more, and as it is the next time.
    on.flip()
    on.flip()
    refused = you.tracker().refuse("data/a.bin")
    assert (refused.error[0], refused.exit_code) == ("ObjectCorrupt", 13)
    assert refused.expected == name(MIDDLE) != refused.actual
    assert "data/a.bin" in refused.message
    you.run_cli("pull", ".")
    assert has_all_but(you, [], files)


def test_a_pack_that_is_damaged_on_its_way(
    pushed: tuple[S3Place, list[bytes]], machine: Callable[[], Machine], said: list[str]
) -> None:
    place, contents = pushed
    mine = machine()
    place.proxy.on("GET", PACK).flip(at_least=700_000)
    # What is sound in it is asked for once more.
    assert mine.pull(place, contents).failed == {}
    assert mine.has(contents)
    assert mine.left_over() == []
    assert [line for line in said if "damaged bytes in packs/" in line]
    # Where it comes damaged each time, the object that is hit fails alone.
    mine = machine()
    place.proxy.on("GET", PACK).flip(times=None)
    done = mine.pull(place, contents)
    assert [type(error) for error in done.failed.values()] == [ObjectCorrupt]
    assert mine.has(content for content in contents if name(content) not in done.failed)
    place.proxy.clear()
    assert mine.pull(place, contents).failed == {}
    assert mine.has(contents)


def test_an_index_file_that_is_damaged_on_its_way(
    pushed: tuple[S3Place, list[bytes]], machine: Callable[[], Machine], said: list[str]
) -> None:
    place, contents = pushed
    mine = machine()
    place.proxy.on("GET", ".idx").flip()
    assert mine.pull(place, contents[:1]).failed == {}  # it is read once more
    mine = machine()
    place.proxy.on("GET", ".idx").flip(times=2)
    done = mine.pull(place, contents)
    assert [line for line in said if line.endswith("is damaged; going on without it")]
    assert {*done.failed} == {*map(name, SMALL)}
    assert mine.has([MIDDLE])  # it lies where its name says
    assert mine.pull(place, contents).failed == {}
    assert mine.has(contents)


def test_a_wrong_object_under_a_right_name(s3_place: S3Place, s3_desks: Desks) -> None:
    me, you = s3_desks.owner(FILES), s3_desks.clone(FILES)
    me.run_cli("push")
    key = object_key(name(MIDDLE))
    s3_place.write(key, some(len(MIDDLE), 7))
    done = you.run_cli("pull", ".", code=3)
    assert named(done.stderr) == ["data/big.bin"]
    assert f"damaged bytes in {key}" in done.stderr
    assert "`lazydata push --check`" in done.stderr
    assert has_all_but(you, ["data/big.bin"])
    # As the message says.
    s3_place.remove(key)
    assert "Pushed 1 object " in me.run_cli("push", "--check").stdout
    you.run_cli("pull", ".")
    assert has_all_but(you)


def test_a_pack_that_is_missing(
    s3_place: S3Place, s3_desks: Desks, machine: Callable[[], Machine]
) -> None:
    me, you = s3_desks.owner(FILES), machine()
    me.run_cli("push")
    (key,) = s3_place.keys("packs/")
    s3_place.remove(key)
    done = you.pull(s3_place, FILES.values())
    assert {*done.failed} == {name(FILES[path]) for path in IN_PACK}
    assert {*map(type, done.failed.values())} == {RemoteObjectMissing}
    assert you.has([MIDDLE])
    assert f"Pushed {len(IN_PACK)} objects" in me.run_cli("push", "--check").stdout
    assert you.pull(s3_place, FILES.values()).failed == {}
    assert you.has(FILES.values())


@pytest.mark.parametrize("damage", ["one byte", "all of it", "cut off"])
def test_a_pack_that_is_damaged(
    s3_place: S3Place, machine: Callable[[], Machine], said: list[str], damage: str
) -> None:
    machine().push(s3_place, FILES.values())
    (key,) = s3_place.keys("packs/")
    data = s3_place.read(key)
    bad = {"one byte": flipped(data, 50_000), "all of it": some(len(data), 8)}
    s3_place.write(key, bad.get(damage, data[:50_000]))
    you = machine()
    failed = you.pull(s3_place, FILES.values()).failed
    assert [line for line in said if f"damaged bytes in {key}" in line]
    assert len(failed) == {"one byte": 1, "all of it": 10, "cut off": 8}[damage]
    assert {*map(type, failed.values())} == {ObjectCorrupt}
    assert you.has(content for content in FILES.values() if name(content) not in failed)
    assert {*you.store.lacking(failed)} == {*failed}
    assert you.left_over() == []


def test_a_damaged_index_file(
    s3_place: S3Place, machine: Callable[[], Machine], said: list[str]
) -> None:
    mine, you = machine(), machine()
    mine.push(s3_place, FILES.values())
    (key,) = s3_place.keys("index/")
    contents = [*FILES.values(), SMALL[20]]
    mine.push(s3_place, contents)
    s3_place.write(key, flipped(s3_place.read(key), 1000))
    done = you.pull(s3_place, contents)
    assert len([line for line in said if line.endswith("is damaged; going on without it")]) == 1
    assert {*done.failed} == {name(FILES[path]) for path in IN_PACK}
    assert you.has([MIDDLE, SMALL[20]])
    # Once it is gone, the next push of who has them claims them again.
    s3_place.remove(key)
    mine.push(s3_place, contents)
    assert you.pull(s3_place, contents).failed == {}
    assert you.has(contents)


def test_a_remote_of_a_newer_lazydata(
    s3_place: S3Place, s3_desks: Desks, machine: Callable[[], Machine]
) -> None:
    machine().push(s3_place, [MIDDLE])
    s3_place.write("lazydata.json", b'{"format": 2}\n')
    before = s3_place.keys()
    me, you = s3_desks.owner({"data/a.bin": b"new"}), s3_desks.clone({"data/b.bin": MIDDLE})
    for desk, command in (
        (me, ["push"]),
        (you, ["pull", "."]),
        (me, ["add-remote", *s3_place.arguments]),
    ):
        (error,) = errors((done := desk.run_cli(*command, code=2)).stderr)
        assert f"{s3_place.url} has format 2" in error
        assert "hint: upgrade lazydata" in done.stderr
    assert s3_place.keys() == before


# -- refusals


def test_credentials_that_expire_during_a_push(s3_place: S3Place, s3_desks: Desks) -> None:
    files = {f"data/{number}.bin": some(MIB + 1, number) for number in range(6)}
    me, you = s3_desks.owner(files), s3_desks.clone(files)
    # The marker and two files get there.
    s3_place.proxy.on("PUT").answer(403, "ExpiredToken", skip=3, times=None)
    done = me.run_cli("push", code=21)
    (error,) = errors(done.stderr)
    assert "the credentials have expired" in error
    assert "hint: sign in again" in done.stderr
    s3_place.proxy.clear()
    there = s3_place.keys("objects/")
    assert len(there) in (1, 2)  # one may be cut off while the other is refused
    s3_place.proxy.requests.clear()
    me.run_cli("push")
    sent = [each.target for each in s3_place.proxy.asked("PUT", "/objects/")]
    assert len(sent) == 6 - len(there)
    assert not any(target.endswith(key) for key in there for target in sent)
    you.run_cli("pull", ".")
    assert has_all_but(you, [], files)


@pytest.mark.parametrize("command", ["push", "pull"])
def test_a_clock_that_is_off(s3_place: S3Place, s3_desks: Desks, command: str) -> None:
    files = {"data/a.bin": b"a", "data/b.bin": b"b"}
    desk = s3_desks.owner(files) if command == "push" else s3_desks.clone(files)
    s3_place.proxy.on().answer(403, "RequestTimeTooSkewed", times=None)
    done = desk.run_cli(command, "data", code=21)
    (error,) = errors(done.stderr)
    assert "this machine's clock is off" in error
    assert "hint: set it" in done.stderr


def test_a_remote_where_nothing_may_be_deleted(s3_place: S3Place, desk: Desk) -> None:
    desk.env.update(s3_place.env)
    desk.run_cli("init")
    desk.write("a.bin", b"a")
    desk.run_cli("track", "a.bin")
    s3_place.proxy.on("DELETE").answer(403, "AccessDenied", times=None)
    done = desk.run_cli("add-remote", *s3_place.arguments, code=21)
    (error,) = errors(done.stderr)
    assert "can't delete what was written" in error
    assert "s3:DeleteObject on arn:aws:s3:::" in done.stderr
    assert desk.json_cli("remotes") == {"remotes": []}
    desk.run_cli("add-remote", *s3_place.arguments, "--no-check")
    assert "Pushed 1 object" in desk.run_cli("push").stdout
    assert s3_place.keys("objects/") == [object_key(name(b"a"))]


@pytest.mark.parametrize("may_delete", [True, False])
def test_what_others_keep_there_stays(
    s3_place: S3Place,
    machine: Callable[[], Machine],
    monkeypatch: pytest.MonkeyPatch,
    may_delete: bool,
) -> None:
    others = {
        "README", "notes/a b.txt", "objects/mine", "index/mine.idx", "index/UPPER.idx",
        "packs/ab/mine.pack", "lazydata.json.bak", "data/ab/cd", ".hidden", "index/sub/a.idx",
    }  # fmt: skip
    for key in others:
        s3_place.write(key, key.encode())
    if not may_delete:
        monkeypatch.setattr(catalogue, "COMPACT_FROM", 3)
        for method in ("POST", "DELETE"):
            s3_place.proxy.on(method).answer(403, "AccessDenied", times=None)
    mine, other = machine(), machine()
    contents = SMALL[: catalogue.COMPACT_FROM + 1]
    for content in contents:
        assert mine.push(s3_place, [content]).failed == {}
    index_files = {*s3_place.keys("index/")} - others
    if may_delete:  # all but the last push are put together
        assert len(index_files) == 2
    else:
        assert len(index_files) > len(contents)
    assert other.pull(s3_place, contents).failed == {}
    assert other.has(contents)
    assert {key: s3_place.read(key) for key in others} == {key: key.encode() for key in others}


# -- people, and how they work


def test_a_slow_push_says_how_far_it_is(s3_place: S3Place, s3_desks: Desks) -> None:
    me = s3_desks.owner({"data/a.bin": MIDDLE})
    s3_place.proxy.rate = 1.5 * MIB
    soon = """
        import sys
        from lazydata import displays
        from lazydata.cli import main
        displays._LINE_EVERY = 0.5
        sys.argv = ["lazydata", "push"]
        sys.exit(main())
    """
    done = me.run_code(soon)
    assert done.stdout == "Pushed 1 object (3.0 MiB) to origin.\n"
    lines = done.stderr.splitlines()
    assert lines
    for line in lines:
        assert re.fullmatch(r"lazydata: pushing to origin: [0-9.]+ of 3\.1 MB, .* .?B/s.*", line)


def test_nothing_to_push_is_next_to_no_request(s3_place: S3Place, s3_desks: Desks) -> None:
    me = s3_desks.owner(FILES)
    me.run_cli("push")
    s3_place.proxy.requests.clear()
    assert "Nothing to push" in me.run_cli("push").stdout
    assert 1 <= len(s3_place.proxy.requests) <= 2


BIG = some(20 * MIB, 102)


def begin(desk: Desk, *args: str) -> subprocess.Popen[str]:
    """Start the command line in a process group of its own."""
    return subprocess.Popen(
        desk.python("cli", *args),
        cwd=desk.root,
        env=desk.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def end(*children: subprocess.Popen[str]) -> None:
    """Kill those that still run."""
    for child in children:
        if child.poll() is None:
            child.kill()
            child.communicate()


def interrupt(child: subprocess.Popen[str], stalled: Fault) -> None:
    """Press Ctrl-C once the link has stalled."""
    try:
        stalled.wait()
        began = time.monotonic()
        os.killpg(child.pid, signal.SIGINT)
        _, said = child.communicate(timeout=TIMEOUT)
        assert time.monotonic() - began < 5
    finally:
        end(child)
    assert child.returncode == 130, said
    assert "interrupted" in said
    assert "Traceback" not in said
    stalled.release()


def test_ctrl_c_while_a_push_stalls(
    place: Any, desks: Desks, machine: Callable[[], Machine]
) -> None:
    files = {"data/big.bin": BIG}
    me, mine = desks.owner(files), machine()
    stalled = place.proxy.on(**place.sending("partNumber")).stall(sent=3 * MIB)
    interrupt(begin(me, "push"), stalled)
    assert place.keys() in ([], ["lazydata.json"])
    me.run_cli("push")
    assert mine.pull(place, [BIG]).failed == {}
    assert mine.has([BIG])


def test_ctrl_c_while_a_pull_stalls(
    place: Any, desks: Desks, machine: Callable[[], Machine]
) -> None:
    files = {"data/big.bin": BIG}
    machine().push(place, [BIG])
    you = desks.clone(files)
    stalled = place.proxy.on(**place.fetching("/objects/")).stall(got=6 * MIB)
    interrupt(begin(you, "pull", "."), stalled)
    assert [each.name for each in you.root.iterdir()].count("data") == 0
    assert not you.object(BIG).exists()
    place.proxy.requests.clear()
    you.run_cli("pull", ".")
    assert has_all_but(you, [], files)
    # What had arrived is not fetched again.
    assert sum(each.got for each in place.proxy.requests) < len(BIG) - 2 * MIB


@pytest.mark.parametrize("what", ["a pack", "a large file"])
def test_two_push_the_same_at_once(
    s3_place: S3Place, s3_desks: Desks, machine: Callable[[], Machine], what: str
) -> None:
    files = FILES if what == "a pack" else {"data/big.bin": BIG}
    me, you, third = s3_desks.owner(files), s3_desks.clone(files), machine()
    for path, content in files.items():
        you.write(path, content)
    part = PACK if what == "a pack" else "partNumber=2"
    stalled = s3_place.proxy.on("PUT", part).stall(sent=100_000)
    mine = begin(me, "push")
    try:
        stalled.wait()
        # While the one hangs in the middle, the other does all of it.
        you.run_cli("push")
        assert s3_place.keys("index/")
        stalled.release()
        said = mine.communicate(timeout=TIMEOUT)
    finally:
        end(mine)
    assert mine.returncode == 0, said
    assert third.pull(s3_place, files.values()).failed == {}
    assert third.has(files.values())


MANY = """
    import os, sys
    import botocore.session
    from lazydata import track
    from lazydata.remotes import s3, s3_client, s3_errors

    children = []
    for _ in range(16):
        child = os.fork()
        if not child:
            with open(track("data/a.bin"), "rb") as file:
                os._exit(0 if len(file.read()) == int(sys.argv[1]) else 1)
        children.append(child)
    print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
"""


def test_many_processes_want_one_file(
    s3_place: S3Place, s3_desks: Desks, machine: Callable[[], Machine]
) -> None:
    machine().push(s3_place, [MIDDLE])
    you = s3_desks.clone({"data/a.bin": MIDDLE})
    s3_place.proxy.requests.clear()
    stalled = s3_place.proxy.on("GET", "/objects/").stall(got=MIB)
    parent = you.popen(MANY, str(len(MIDDLE)))
    try:
        # All of them look where it is before the first one has it.
        until(lambda: len(s3_place.proxy.asked("GET", "list-type")) == 16)
        stalled.release()
        out, said = parent.communicate(timeout=TIMEOUT)
    finally:
        end(parent)
    assert out == f"{[0] * 16}\n", said
    assert len(s3_place.proxy.asked("GET", "list-type")) == 16
    assert len(s3_place.proxy.asked("GET", "/objects/")) == 1
    assert you.read("data/a.bin") == MIDDLE


def test_a_disk_that_fills_up_during_a_pull(
    s3_place: S3Place,
    s3_desks: Desks,
    machine: Callable[[], Machine],
    small_disk: Callable[..., Path],
) -> None:
    files = {f"data/{number}.bin": some(3 * MIB, number) for number in range(4)}
    machine().push(s3_place, files.values())
    you = s3_desks.clone(files)
    disk = small_disk("8m", you.lazydata_home)
    done = you.run_cli("pull", ".", code=None)
    assert done.returncode in (3, 28), done.stderr
    assert "no space left" in done.stderr
    # What had been begun is kept for the next time, and nothing else.
    assert all(".free-" in each.name for each in disk.rglob("tmp/*"))
    subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
    you.run_cli("pull", ".")
    assert has_all_but(you, [], files)
    assert [*map(str, disk.rglob("tmp/*"))] == []
