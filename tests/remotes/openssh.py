"""A real OpenSSH server as an ordinary process on a high port, for tests and benchmarks.

A conftest that imports ``sshd`` and ``ssh`` from ``ssh_servers`` has it as fixtures.
"""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

import asyncssh

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin") or ""
WHY_NOT = "" if SSHD else "sshd (openssh-server) is not installed"
_READY = 20.0  # seconds


class Server:
    """One sshd, what it shares, and the home of somebody who may log in to it.

    Args:
        folder: where its keys, its log, the home and the shared directory go; a
            second server in the same folder shares all but the host key.
        name: tells servers in one folder apart.
        more: further lines of ``sshd_config``.

    Example:
        >>> server = start(tmp_path)
        >>> server.url()
        'ssh://me@127.0.0.1:40022/tmp/…/data'
    """

    def __init__(self, folder: Path, name: str = "sshd", more: tuple[str, ...] = ()) -> None:
        self.host = "127.0.0.1"
        self.user = getpass.getuser()
        self.base = folder / "data"
        self.home = folder / "home"
        self.key = self.home / ".ssh" / "id_ed25519"
        self.env = {"HOME": str(self.home)}
        self.log = folder / f"{name}.log"
        self._config = folder / f"{name}_config"
        self._host_key = folder / f"{name}_host_key"
        self._more = more
        self._process: subprocess.Popen[bytes] | None = None
        self.base.mkdir(exist_ok=True)
        (self.home / ".ssh").mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o711)  # sshd reads the keys of a user as that user
        if not self.key.exists():
            make_key(self.key)
            (folder / "authorized_keys").write_text(Path(f"{self.key}.pub").read_text())
        make_key(self._host_key)
        self.port = _free_port()
        self._write_config()
        self.run()
        self.trust()

    def url(self, path: str | Path = "", user: str | None = None) -> str:
        """Where a directory is: one below the shared directory, or an absolute path.

        Args:
            path: the directory.
            user: another one; the same key fits all users of this machine.
        """
        place = f"{user or self.user}@{self.host}:{self.port}"
        return f"ssh://{place}{quote(str(self.base / path))}"

    @property
    def known(self) -> str:
        """The line of ``known_hosts`` that its host key deserves."""
        public = Path(f"{self._host_key}.pub").read_text()
        return f"[{self.host}]:{self.port} {public}"

    def trust(self) -> None:
        """Let the home know the host key."""
        with open(self.home / ".ssh" / "known_hosts", "a") as known:
            known.write(self.known)

    def run(self) -> None:
        """Start it, on the port it had before."""
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(
                [SSHD, "-D", "-e", "-f", str(self._config)], stdout=log, stderr=log
            )
        ends = time.monotonic() + _READY
        while time.monotonic() < ends and self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex((self.host, self.port)) == 0:
                    return
            time.sleep(0.01)
        self.stop()
        raise RuntimeError(f"sshd does not start: {self.log.read_text()}")

    def drop(self, how: int = signal.SIGKILL) -> None:
        """Cut every connection; new ones are welcome.

        Args:
            how: a signal for each process that serves one.
        """
        if self._process is not None:
            for pid in _below(self._process.pid):
                _kill(pid, how)

    def stop(self) -> None:
        """End it, and every connection with it."""
        if self._process is None:
            return
        # The listener first: it must not answer while its children are being killed.
        below = _below(self._process.pid)
        self._process.kill()
        self._process.wait()
        self._process = None
        for pid in below:
            _kill(pid)

    def _write_config(self) -> None:
        self._config.write_text(
            "\n".join(
                (
                    f"Port {self.port}",
                    f"ListenAddress {self.host}",
                    f"HostKey {self._host_key}",
                    f"AuthorizedKeysFile {self._config.parent / 'authorized_keys'}",
                    f"PidFile {self._config.with_suffix('.pid')}",
                    "Subsystem sftp internal-sftp",
                    "UsePAM no",
                    "StrictModes no",
                    "PasswordAuthentication no",
                    "KbdInteractiveAuthentication no",
                    "PermitRootLogin prohibit-password",
                    *self._more,  # the first line of a kind counts
                    "MaxStartups 100",
                    "MaxSessions 100",
                    "",
                )
            )
        )


def start(folder: Path, name: str = "sshd", more: tuple[str, ...] = ()) -> Server:
    """Start a server; see ``Server``."""
    return Server(folder, name, more)


def make_key(path: Path, passphrase: str | None = None) -> None:
    """Make a key pair at a path."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    # The usual format could be locked only with one package more.
    key.write_private_key(path, "pkcs8-pem" if passphrase else "openssh", passphrase)
    key.write_public_key(f"{path}.pub")
    path.chmod(0o600)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _below(pid: int) -> list[int]:
    """All processes that one started: sshd's children leave its process group."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int(
                    (entry / "stat").read_text().rpartition(")")[2].split()[1]
                )
            except OSError:
                continue  # it ended meanwhile
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found[1:]


def _kill(pid: int, how: int = signal.SIGKILL) -> None:
    try:
        os.kill(pid, how)
    except ProcessLookupError:
        pass
