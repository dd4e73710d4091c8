"""Where things lie on this machine, and the user's own settings."""

from __future__ import annotations

import os
import sys

from lazydata.errors import UsageError, from_os_error
from lazydata.fsutil import is_network, make_dirs, write_atomic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LINKS = ("auto", "reflink", "hardlink", "copy")
OWN = frozenset({"profile"})  # what is said of a remote here, and never in a manifest
KEYS = "link, store, allow, remotes.NAME.profile"


def store_dir() -> str:
    """Directory of the store: ``LAZYDATA_STORE``, the user's ``store:``, or the default."""
    chosen = _from_environment("LAZYDATA_STORE") or load().get("store")
    if chosen:
        return os.path.abspath(os.path.expanduser(chosen))
    home = _from_environment("LAZYDATA_HOME")
    return os.path.join(home, "store") if home else _platform("user_data_dir")


def index_dir() -> str | None:
    """Directory of this host's index, or None where no local disk is to be had.

    SQLite's locks can't be trusted over a network, so an index that would lie
    there goes to a private directory among the temp files instead.
    """
    home = _from_environment("LAZYDATA_HOME")
    base = os.path.join(home, "index") if home else _cache_dir()
    # A home directory may be shared by many hosts; inode numbers and clocks are not.
    host = "".join(c if c.isalnum() or c in "-." else "_" for c in os.uname().nodename)
    directory = os.path.join(base, f"index-v1-{host}")
    if not os.path.isabs(directory):
        return _private_temp_dir()  # there is no home directory
    there = directory
    while not os.path.exists(there):
        there = os.path.dirname(there)
    status = os.stat(there)
    if not is_network(there, status.st_dev):
        # Where several users have one home, as a group or through sudo, each has an index.
        is_theirs = there == directory and status.st_uid != _user(status)
        return f"{directory}-{_user(status)}" if is_theirs else directory
    return _private_temp_dir()


def _user(status: os.stat_result) -> int:
    """Who we are; where there are no users, who owns a directory."""
    return os.geteuid() if hasattr(os, "geteuid") else status.st_uid


def _cache_dir() -> str:
    if sys.platform.startswith("linux"):
        # platformdirs' own rule. Importing it takes as long as all the rest of the
        # first track(), and this is the one directory that track() always needs.
        chosen = os.environ.get("XDG_CACHE_HOME", "")
        cache = chosen if os.path.isabs(chosen) else os.path.expanduser("~/.cache")
        return os.path.join(cache, "lazydata")
    return _platform("user_cache_dir")


def _private_temp_dir() -> str | None:
    import stat
    import tempfile

    directory = os.path.join(tempfile.gettempdir(), f"lazydata-{os.geteuid()}")
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        status = os.lstat(directory)
    except OSError:
        return None
    private = stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o077
    if not private or status.st_uid != os.geteuid() or is_network(directory, status.st_dev):
        return None
    return os.path.join(directory, "index-v1")


def config_file() -> str:
    """The user's settings file, which need not exist."""
    base = _from_environment("LAZYDATA_HOME") or _platform("user_config_dir")
    return os.path.join(base, "config.yml")


def _from_environment(name: str) -> str:
    """A directory that a variable names; a relative one would be another one everywhere."""
    directory = os.path.expanduser(os.environ.get(name, ""))
    if directory and not os.path.isabs(directory):
        raise UsageError(f"{name} is {directory}, a relative path", hint="give an absolute one")
    return directory


def _platform(function: str) -> str:
    import platformdirs

    try:
        directory = str(getattr(platformdirs, function)("lazydata", appauthor=False))
    except RuntimeError:
        directory = ""
    if not os.path.isabs(directory):
        raise UsageError(
            "this user has no home directory", hint="set LAZYDATA_HOME to a directory to use"
        )
    return directory


def load() -> dict[str, Any]:
    """The user's settings; empty where there is no file.

    Raises:
        UsageError: the file is no YAML mapping, or a value is not of its kind.
    """
    path = config_file()
    try:
        status = os.stat(path)
    except OSError:
        return {}
    key = (path, status.st_mtime_ns, status.st_size)
    if key not in _loaded:
        _loaded.clear()
        _loaded[key] = _load(path)
    return _loaded[key]


_loaded: dict[tuple[str, int, int], dict[str, Any]] = {}


def _load(path: str) -> dict[str, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        with open(path, encoding="utf-8") as file:
            data = YAML(typ="safe", pure=True).load(file)
    except OSError as error:
        raise from_os_error(error, "read", path) from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid YAML: {error}", hint="mend or remove it") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise UsageError(f"{path} must be a mapping of settings", hint=f"keys: {KEYS}")
    return {key: _checked(key, value, path) for key, value in data.items()}


def _checked(key: str, value: Any, where: str) -> Any:
    if key == "link" and value not in LINKS:
        raise UsageError(f"{where}: link is {value!r}", hint=f"one of {', '.join(LINKS)}")
    if key == "store" and not (isinstance(value, str) and os.path.isabs(os.path.expanduser(value))):
        raise UsageError(f"{where}: store takes an absolute path", hint="such as /scratch/me")
    if key == "allow":
        roots = [value] if isinstance(value, str) else value
        if not isinstance(roots, list) or not all(isinstance(r, str) for r in roots):
            raise UsageError(f"{where}: allow must be a list of directories")
        if not all(os.path.isabs(os.path.expanduser(root)) for root in roots):
            raise UsageError(f"{where}: allow takes absolute paths", hint="such as /scratch/me")
        return [os.path.expanduser(root) for root in roots]
    if key == "remotes" and not (
        isinstance(value, dict) and all(isinstance(options, dict) for options in value.values())
    ):
        raise UsageError(f"{where}: remotes must map names to settings")
    return value


def get(key: str) -> Any:
    """One setting by its dotted key, or None where it is not set.

    Raises:
        UsageError: there is no such key.
    """
    value: Any = load()
    for part in _parts(key):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def put(key: str, value: str) -> str:
    """Write one setting to the user's file; the rest of the file stays as it is.

    Args:
        key: ``link``, ``store``, ``allow`` or ``remotes.NAME.profile``.
        value: the new value; ``allow`` takes several paths, separated by the
            system's path separator; an empty value takes the setting out.

    Returns:
        Path of the file that was written.

    Raises:
        UsageError: no such key, or a value of the wrong kind; nothing is written then.
    """
    from io import StringIO

    from ruamel.yaml import YAML

    parts = _parts(key)
    load()  # a file that is broken must not be written over
    path = config_file()
    yaml = YAML(typ="rt", pure=True)
    data: Any = None
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            data = yaml.load(file)
    data = {} if data is None else data
    parent = data
    for part in parts[:-1]:
        parent = parent.setdefault(part, {})
    if value == "":
        parent.pop(parts[-1], None)
    else:
        new: Any = [p for p in value.split(os.pathsep) if p] if key == "allow" else value
        _checked(parts[0], new if len(parts) == 1 else data["remotes"], "config")
        parent[parts[-1]] = new
    text = StringIO()
    yaml.dump(data, text)
    try:
        make_dirs(os.path.dirname(path))
        write_atomic(path, text.getvalue().encode())
    except OSError as error:
        raise from_os_error(error, "write", path) from error
    return path


def _parts(key: str) -> list[str]:
    parts = key.split(".")
    named = len(parts) == 3 and parts[0] == "remotes" and parts[1] and parts[2] == "profile"
    if key not in ("link", "store", "allow") and not named:
        raise UsageError(f"there is no setting {key!r}", hint=f"settings: {KEYS}")
    return parts
