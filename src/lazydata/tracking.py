"""``track()``: the hot path, two stats and a dict; all else is the workspace's work."""

import os
import sys

from lazydata import audit
from lazydata.stamp import Stamp, is_racy, stamp_from, stamp_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import TypeVar

    PathT = TypeVar("PathT", str, bytes, "os.PathLike[str]")

_LIMIT = 100_000
# What was settled, and may be answered by two stats: the file's stamp, the
# manifest's path and its stamp. The key is the path and the caller, and the working
# directory if the path is relative: two workspaces may hold hardlinks of one object,
# with equal stamps.
_memo: "dict[tuple[str | bytes, ...], tuple[Stamp, str, Stamp]]" = {}


def track(
    path: "PathT",
    *,
    usage: "str | None" = None,
    output: bool = False,
    on_change: "str | None" = None,
) -> "PathT":
    """Make the file at ``path`` the one that ``lazydata.yml`` means, and return ``path``.

    A new file is stored and recorded, a changed one becomes a new version, a missing
    one is restored or downloaded, and an unchanged one costs some microseconds.

    Args:
        path: of a file or a directory, relative to the working directory as for ``open``.
        usage: the script to record, relative to the workspace; the caller's by default.
        output: this program made the file, so it is newer than any recorded version, and
            the script is its producer. It must exist.
        on_change: ``version`` records new and changed files, ``warn`` only says so,
            ``error`` raises ``FileChanged``; by default what ``LAZYDATA_ON_CHANGE``
            or the manifest's ``on_change:`` says, else ``version``.

    Returns:
        ``path`` itself, unchanged.

    Raises:
        NotAWorkspace: there is no ``lazydata.yml`` above the path.
        NotTracked: nothing is there, and ``lazydata.yml`` does not list it.
        ObjectMissing: a listed file is neither here, nor stored, nor on a remote.
        FileChanged: ``on_change`` is ``error``, and the file is not the listed one.
        LazydataError: see ``lazydata.errors`` for the others.

    Example:
        >>> _ = Path("x.csv").write_text("1,2")
        >>> Path(lazydata.track("x.csv")).read_text()
        '1,2'
    """
    script = usage
    if script is None:
        try:
            frame = sys._getframe(1)
        except ValueError:  # called by the interpreter itself, as atexit does
            frame = sys._getframe()
        script = frame.f_code.co_filename
        if script[:1] == "<" or "ipykernel_" in script:
            script = _notebook(frame)
    name = os.fspath(path)
    hit = _memo.get((name, script))
    if hit is None and not os.path.isabs(name):
        hit = _memo.get((name, script, os.getcwd()))
    if hit is not None and not output:
        file, manifest, listed = hit
        try:
            # Spelled out: a call of stamp_of for each would double the time.
            s, m = os.stat(name), os.stat(manifest)
            if (s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) == file and (
                m.st_dev, m.st_ino, m.st_size, m.st_mtime_ns, m.st_ctime_ns
            ) == listed:  # fmt: skip
                return path
        except OSError:
            pass
    _settle(name, script, usage is not None, output, on_change)
    return path


def _settle(
    name: "str | bytes", script: str, is_label: bool, output: bool, on_change: "str | None"
) -> None:
    import time

    with audit.OwnWork():
        from lazydata.fsutil import is_network
        from lazydata.lease import has_writer
        from lazydata.workspace import Workspace, absolute
        from lazydata.workspace.settle import NEW, settle

        path = absolute(os.fsdecode(name))
        workspace = Workspace.governing(path)
        place, is_directory = os.path.realpath(path), os.path.isdir(path)
        wrote = audit.wrote_in(place) if is_directory else audit.wrote(place)
        seen_ns = time.time_ns()
        manifest = stamp_of(workspace.file)
        with workspace.index() as index:
            settled, real = settle(
                workspace,
                path,
                index,
                script=_usage(script, workspace.root, is_label),
                output=output or wrote,
                link=not output,
                on_change=on_change,
            )
        if settled.is_listed:
            audit.forget(real)
            if is_directory:
                audit.forget_in(real)
            if settled.action == NEW:
                from lazydata.workspace.git_ignoring import ignore

                ignore(workspace, [workspace.place(path).name + "/" * is_directory])
        try:
            status = os.stat(real)
        except OSError:
            return  # a symlink in a tracked directory may lead nowhere
        if (
            settled.stamp == stamp_from(status)
            and stamp_of(workspace.file) == manifest
            and not is_racy(manifest, seen_ns)
            and not is_network(real, status.st_dev)
            and not has_writer(real)
        ):
            if len(_memo) >= _LIMIT:
                _memo.clear()
            key = (name, script) if os.path.isabs(name) else (name, script, os.getcwd())
            _memo[key] = (settled.stamp, workspace.file, manifest)


def _usage(script: str, root: str, is_label: bool) -> "str | None":
    """The script as the manifest names it: relative to the workspace, or None."""
    if is_label and not os.path.isabs(script):
        return script.replace(os.sep, "/") or None
    if not script or script[:1] == "<":
        return None
    real, top = os.path.realpath(script), os.path.realpath(root)
    if not real.startswith(os.path.join(top, "")):
        return None
    if not (is_label or script.endswith(".ipynb") or os.path.isfile(real)):
        return None
    return os.path.relpath(real, top).replace(os.sep, "/")


def _notebook(frame: "FrameType") -> str:
    """The notebook that a cell belongs to, where the front end tells; else ''."""
    told = frame.f_globals.get("__vsc_ipynb_file__")
    # Every program that a notebook starts inherits the variable; only cells are the notebook.
    if told is None and (
        "ipython-input" in (name := frame.f_code.co_filename) or "ipykernel_" in name
    ):
        told = os.environ.get("JPY_SESSION_NAME")
    return os.path.abspath(told) if isinstance(told, str) and told.endswith(".ipynb") else ""
