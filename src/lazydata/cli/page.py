"""A report as one HTML file that asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
from typing import Any

import lazydata
from lazydata import fsutil
from lazydata.errors import UsageError, from_os_error
from lazydata.messages import printable
from lazydata.workspace.graph import MAKES, layers
from lazydata.workspace.reporting import EntryRow, Report

_MARK = b"<!doctype html>\n<!-- lazydata report -->\n"
_SCRIPTS = ("page.js", "layout.js", "graph.js", "search.js", "bytes.js", "time.js")


def page(report: Report, *, only_graph: bool = False) -> str:
    """All of the page: its style, its scripts and its data are in it.

    Args:
        report: what it shows.
        only_graph: leave the other views out.
    """
    style = _part("page.css")
    script = "\n".join(map(_part, _SCRIPTS))
    # Only these two texts may do anything, and nothing may be fetched.
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    parts = {
        "policy": policy,
        "title": html.escape(printable(report.name)),
        "style": style,
        "script": script,
        "data": _embedded(_data(report) | {"only_graph": only_graph}),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _part("page.html"))


def write(path: str, text: str) -> None:
    """Write a page; only an older one is replaced, and no symlink of a stranger's is followed.

    Raises:
        UsageError: there is another file, or a symlink.
        FileDenied, NoSpace: it can't be written.
    """
    try:
        target = os.path.abspath(path)
        if os.path.lexists(target):
            _check(target, path)
        fsutil.write_atomic(target, text.encode())
    except OSError as error:
        raise from_os_error(error, "write", path) from error


def _check(target: str, path: str) -> None:
    is_ours = False
    if os.path.isfile(target) and not os.path.islink(target):
        with open(target, "rb") as file:
            is_ours = file.read(len(_MARK)) in (_MARK, b"")
    if not is_ours:
        raise UsageError(
            f"{path} is there, and is no report of lazydata",
            hint="name another file: `lazydata report -o other.html`",
        )


def _part(name: str) -> str:
    with open(os.path.join(os.path.dirname(lazydata.__file__), "report", name), "rb") as file:
        return file.read().decode()


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _embedded(data: object) -> str:
    """JSON that can stand in a script element: nothing in it ends that, or begins a comment."""
    text = json.dumps(data, separators=(",", ":"))
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def _data(report: Report) -> dict[str, Any]:
    """What the scripts of the page read; things are named by their place in a list."""
    columns = layers(report.graph)
    places = {name: at for at, name in enumerate(report.graph.nodes)}
    listed = {row.entry.path: at for at, row in enumerate(report.rows)}
    commits = dict.fromkeys(v.commit for row in report.rows for v in row.versions if v.commit)
    commit_at = {commit: at for at, commit in enumerate(commits)}
    nodes = [
        [
            printable(name),
            node.kind,
            int(node.is_script),
            int(name in report.absent),
            columns[name],
            listed.get(name, -1),
        ]
        for name, node in report.graph.nodes.items()
    ]
    edges = [
        [places[e.begin], places[e.end], int(e.kind == MAKES), int(e.latest)]
        for e in report.graph.edges
    ]
    return {
        "name": printable(report.name),
        "made": int(report.made),
        "git": report.has_git,
        "shallow": report.shallow,
        "remotes": [printable(name) for name in report.remotes],
        "nodes": nodes,
        "edges": edges,
        "entries": [_entry(row, places, commit_at, report.remotes) for row in report.rows],
        "commits": [
            {
                "id": commit.id[:10],
                "when": commit.when,
                "author": printable(commit.author),
                "subject": printable(commit.subject),
            }
            for commit in commits
        ],
    }


def _entry(
    row: EntryRow, places: dict[str, int], commits: dict[Any, int], remotes: list[str]
) -> dict[str, Any]:
    versions = [
        [
            each.version.digest,
            each.version.size,
            each.version.files,
            -1 if each.commit is None else commits[each.commit],
            int(each.stored),
            [remotes.index(name) for name in each.remotes],
        ]
        for each in row.versions
    ]
    return {"at": places[row.entry.path], "state": row.state, "versions": versions}
