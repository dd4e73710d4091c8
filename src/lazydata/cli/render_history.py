"""What the commands about git's history print."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from lazydata.cli.printing import columns, count_of, print_json, print_line, size, within
from lazydata.manifest import Entry
from lazydata.messages import printable

_SCREENFUL = 20
_CHANGES = {"added": "good", "changed": "notice", "removed": "bad"}


def log(root: str, path: str, found: Any, *, json: bool) -> None:
    """Each version of an entry, the newest first.

    Args:
        root: what the path is relative to.
        path: of the entry.
        found: a ``history.Log``.
    """
    if json:
        print_json({"root": root, "path": path, **_log(found)})
        return
    for line in columns([log_row(row, found) for row in found.rows]):
        print_line(line)
    if found.shallow:
        print_line("Older history is not in this shallow clone: `git fetch --unshallow` brings it.")


def _log(found: Any) -> dict[str, Any]:
    nodes = [row.node for row in found.rows if row.node is not None]
    is_directory = nodes[0].kind == "dir" if nodes else found.entry.kind == "directory"
    return {
        "kind": "directory" if is_directory else "file",
        "git": found.has_git,
        "shallow": found.shallow,
        "versions": [logged(row, found.entry) for row in found.rows],
    }


def _is_latest(row: Any, entry: Entry) -> bool:
    return row.version in entry.versions[-1:]


def logged(row: Any, entry: Entry) -> dict[str, Any]:
    version, commit, node = row.version, row.commit, row.node
    part = None if node is None else {"hash": node.digest, "size": node.size}
    return {
        "hash": version.digest,
        "size": version.size,
        "files": version.files,
        **({"part": part, "part_known": row.known} if entry.portion else {}),
        "listed": row.listed,
        "latest": _is_latest(row, entry),
        "commit": commit and commit.id,
        "when": commit and utc(commit.when),
        "author": commit and commit.author,
        "email": commit and commit.email,
        "subject": commit and commit.subject,
        "or_before": row.or_before,
        "here": row.here,
        "stored": row.stored,
        "remotes": list(row.remotes),
    }


def log_row(row: Any, found: Any) -> list[str]:
    version, commit, node = row.version, row.commit, row.node
    what, bytes_ = version.digest.hex[:12], version.size
    if found.entry.portion:
        absent = "none" if row.known else "not here"
        what = (node.digest.hex[:12] if node.digest else "symlink") if node else absent
        bytes_ = node.size if node else None
    told = "" if found.entry.portion and node is None else size(bytes_)
    cells = [f"{what:<12} {'*' if _is_latest(row, found.entry) else ' '}", f"{told:>9}"]
    if found.entry.portion:
        cells.append(f"in {version.digest.hex[:12]}")
    if commit is not None:
        when = local(commit.when) + " or before" * row.or_before
        cells += [when, commit.id[:10], printable(commit.author)[:24]]
    elif found.has_git:
        cells += ["not committed", "", ""]
    places = ["here"] * row.here + ["stored"] * row.stored + list(row.remotes)
    known = row.known and not (found.entry.portion and node is None)
    where = ", ".join(places) or ("nowhere known" if known else "")
    return [*cells, where + "  (listed no more)" * (not row.listed)]


def diff(
    root: str,
    sides: Sequence[str | None],
    rows: Sequence[tuple[str, Any]],
    *,
    json: bool,
    scope: str = "",
) -> None:
    """What differs between two states of the manifest.

    Args:
        root: what the paths of the rows are relative to.
        sides: the revisions; None for the manifest as it is.
        rows: ``diffing.Difference``, each with its path for people.
        scope: the directory that all is about, where that is not the whole workspace.
    """
    if json:
        entries = [_differing(row) for _, row in rows]
        print_json({"root": root, "from": sides[0], "to": sides[1], "entries": entries})
        return
    table = [[row.change, _sizes(row.old, row.new), path + _told(row)] for path, row in rows]
    for line, (_, row) in zip(columns(table), rows, strict=True):
        print_line(line, style=_CHANGES[row.change])
        inside = row.inside or []
        cells = [["  " + _change(c), _sizes(c.old, c.new), c.path] for c in inside[:_SCREENFUL]]
        for below, each in zip(columns(cells), inside, strict=False):
            print_line(below, style=_CHANGES[_change(each)])
        if len(inside) > _SCREENFUL:
            print_line(f"  and {len(inside) - _SCREENFUL:,} more")
    between = " and ".join(side or "lazydata.yml" for side in sides)
    counts = Counter(row.change for _, row in rows)
    told = ", ".join(f"{counts[word]} {word}" for word in _CHANGES if counts[word])
    print_line(f"{told or 'No difference'}{within(scope)} between {between}")


def _differing(row: Any) -> dict[str, Any]:
    return {
        "path": row.path,
        "kind": row.kind,
        "change": row.change,
        "old": _version(row.old),
        "new": _version(row.new),
        "inside": None
        if row.inside is None
        else [
            {"path": c.path, "change": _change(c), "old": _node(c.old), "new": _node(c.new)}
            for c in row.inside
        ],
    }


def _version(version: Any) -> dict[str, Any] | None:
    if version is None:
        return None
    return {"hash": version.digest, "size": version.size, "files": version.files}


def _node(node: Any) -> dict[str, Any] | None:
    if node is None:
        return None
    return {"kind": node.kind, "hash": node.digest, "size": node.size, "target": node.target}


def _change(change: Any) -> str:
    return "added" if change.old is None else "removed" if change.new is None else "changed"


def _sizes(old: Any, new: Any) -> str:
    return " -> ".join(size(side.size) for side in (old, new) if side is not None)


def _told(row: Any) -> str:
    if row.kind != "directory":
        return ""
    if row.inside is None:
        return "  (which files is not known here)"
    if row.inside:
        counts = Counter(map(_change, row.inside))
        return f"  ({', '.join(f'{counts[word]:,} {word}' for word in _CHANGES if counts[word])})"
    files = (row.new or row.old).files
    return "" if files is None else f"  ({count_of(files, 'file')})"


def pulled_revision(
    revision: str,
    rows: Sequence[Any],
    asked: int,
    *,
    json: bool,
    dry_run: bool = False,
    quiet: bool = False,
    scope: str = "",
) -> None:
    """What came into the store of what a revision lists."""
    paths = [path for row in rows for path in row.paths]
    left = [line for row in rows for line in row.left]
    objects, total = sum(row.objects for row in rows), sum(row.size for row in rows)
    moved = f"{count_of(objects, 'object')} ({size(total)}) for {count_of(len(paths), 'entry')}"
    if json:
        done = {"rev": revision, "paths": paths, "objects": objects, "size": total, "left": left}
        print_json({**done, "dry_run": dry_run})
    elif quiet:
        pass
    elif dry_run:
        for path in paths:
            print_line(f"would fetch  {path}")
        print_line(f"Would fetch {moved} as {revision} lists them.")
    elif paths:
        print_line(f"Fetched {moved} as {revision} lists them; the workspace is as it was.")
    elif not left:
        has = f"{count_of(asked, 'entry')}{within(scope)}"
        print_line(f"Nothing to fetch: the store has the {has} that {revision} lists.")


def utc(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def local(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
