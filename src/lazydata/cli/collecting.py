"""The command gc, and what it prints."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Annotated, Optional

import typer

from lazydata.cli import completing
from lazydata.cli.arguments import Json
from lazydata.cli.printing import columns, count_of, duration, print_json, print_line, size
from lazydata.cli.shared import incomplete, may_ask
from lazydata.errors import UsageError
from lazydata.messages import warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lazydata.survey import Found, Survey
    from lazydata.workspace.collecting import Collected
    from lazydata.workspace.roots import Blocked

commands = typer.Typer()

_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([KMGT]?)(?:i?B)?", re.IGNORECASE)
_DURATION = re.compile(r"(\d+(?:\.\d+)?) ?([smhd]?)")
_SECONDS = {"": 3600, "s": 1, "m": 60, "h": 3600, "d": 86400}
_WHY = {
    "needed": "needed by a workspace",
    "recent": "newer than the grace period",
    "shared": "a file shares its bytes",
    "damaged": "damaged: run `lazydata verify`",
    "unknown": "nobody knows what is needed",
}


@commands.command()
def gc(
    force: Annotated[
        bool, typer.Option("--force", help="Do it; else only say what would be done.")
    ] = False,
    max_size: Annotated[
        Optional[str],  # noqa: UP045  # typer reads annotations at run time
        typer.Option(
            metavar="SIZE", help="Also let go of what remotes hold, until SIZE is left: 100G."
        ),
    ] = None,
    grace: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar="TIME", help="What is newer stays: 90m, 7d; by default 24h, on a remote 7d."
        ),
    ] = None,
    remote: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar="NAME",
            help="Free space on this remote, and not in the store.",
            autocompletion=completing.remotes,
        ),
    ] = None,
    forget: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(metavar="PATH", help="A workspace there is gone for good; nothing else."),
    ] = None,
    json: Json = False,
) -> None:
    """Free space in the store, or on a remote: what nobody needs."""
    from lazydata.workspace import collecting

    if remote is not None:
        _gc_remote(remote, force, grace, json, at_most=max_size, forget=forget)
        return
    if forget:
        _forget(forget)
        return
    seconds = parse_duration("24h" if grace is None else grace)
    may_ask()
    done = collecting.gc(force=force, grace=seconds, at_most=parse_size(max_size))
    _warn_of(done.blocked if not json else ())
    for line in done.eviction.failed if done.eviction else ():
        warn(line)
    (_print_json if json else _print)(done, force, seconds)
    incomplete(done.failed, "not removed")


def _gc_remote(
    name: str,
    force: bool,
    grace: str | None,
    json: bool,
    *,
    at_most: str | None,
    forget: Sequence[str] | None,
) -> None:
    from lazydata.cli import render_remote_gc
    from lazydata.workspace import Workspace
    from lazydata.workspace.collecting_remote import gc_remote

    if at_most is not None or forget:
        raise UsageError(
            "--max-size and --forget are about the store",
            hint="leave --remote out, or run the two one after the other",
        )
    seconds = parse_duration("7d" if grace is None else grace)
    may_ask()
    done = gc_remote(Workspace.above(os.getcwd()), name, force=force, grace=seconds)
    if json:
        print_json(render_remote_gc.remote_json(done, force, seconds))
        return
    _warn_of(done.blocked)
    for line in render_remote_gc.remote_lines(done, force, seconds):
        print_line(line)


def _warn_of(blocked: Sequence[Blocked]) -> None:
    for each in blocked:
        warn(f"{each.what}: {each.why}, so that all is kept ({each.hint})")


def _forget(paths: Sequence[str]) -> None:
    from lazydata.workspace import user_store
    from lazydata.workspace.roots import forget

    for path in paths:
        if not path:
            raise UsageError("a PATH is empty", hint="name the directory that is gone")
        where = os.path.abspath(path)
        forget(user_store().registry, where)
        print_line(f"{where} needs nothing any more; `lazydata gc` shows what that frees")


def parse_size(text: str | None) -> int | None:
    """Bytes, of such as ``100G``; powers of 1024, as they are printed.

    Raises:
        UsageError: it is none.

    Example:
        >>> parse_size("1.5K")
        1536
    """
    found = _SIZE.fullmatch(text) if text is not None else None
    if text is not None and found is None:
        raise UsageError(f"{text!r} is no size", hint="such as 100G, 1.5T or 500M")
    if found is None:
        return None
    return int(float(found[1]) * 1024 ** " KMGT".index(found[2].upper() or " "))


def parse_duration(text: str) -> float:
    """Seconds, of such as ``24h``; hours where no unit is said.

    Raises:
        UsageError: it is none.

    Example:
        >>> parse_duration("90m")
        5400.0
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise UsageError(f"{text!r} is no time", hint="such as 24h, 90m or 7d")
    return float(found[1]) * _SECONDS[found[2]]


def _rows(survey: Survey) -> list[tuple[str, str, list[Found]]]:
    """What becomes of what: a key, words, and which files."""
    return [
        ("unneeded", "nothing needs", survey.going),
        ("rewritten", "mostly waste, written anew", survey.rewriting),
        ("evicted", "a remote holds", survey.evicting),
        ("unfinished", "left by what was killed", survey.unfinished),
        ("trash", "in the trash long enough", survey.due),
        ("back", "needed again, out of the trash", survey.back),
    ]


def _gain(found: Found, survey: Survey) -> int:
    from lazydata.survey import packed_size

    stays = survey.keeping.get(found.path, found.objects if found.kind == "pack" else ())
    return found.size - packed_size(stays)


def _moved(survey: Survey) -> int:
    """Bytes that go to the trash."""
    going = (*survey.going, *survey.rewriting, *survey.evicting)
    return sum(_gain(found, survey) for found in going)


def _freed(survey: Survey) -> int:
    """Bytes that are free at once."""
    moved = 0 if survey.grace else _moved(survey)
    return sum(found.size for found in (*survey.due, *survey.unfinished)) + moved


def _print(done: Collected, force: bool, seconds: float) -> None:
    survey = done.survey
    rows = [
        (words, count_of(len(some), "file"), size(sum(_gain(each, survey) for each in some)))
        for _, words, some in _rows(survey)
        if some
    ]
    for why, some in survey.kept.items():
        if some:
            total = size(sum(each.size for each in some))
            rows.append((f"stays: {_WHY[why]}", count_of(len(some), "file"), total))
    if survey.waiting:
        total = size(sum(each.size for each in survey.waiting))
        rows.append(("stays in the trash for now", count_of(len(survey.waiting), "file"), total))
    for line in columns(rows) if rows else ():
        print_line(line)
    if done.eviction is not None and done.eviction.short:
        print_line(
            f"{size(done.eviction.short)} more than wanted: no remote is known to hold the rest"
        )
    print_line(_ending(survey, force, seconds))


def _ending(survey: Survey, force: bool, seconds: float) -> str:
    moved, freed = _moved(survey), _freed(survey)
    if not moved and not freed:
        return "Nothing to free." if not survey.back else "Nothing to free; see above."
    parts = []
    if freed:
        parts.append(f"{'Freed' if force else 'Would free'} {size(freed)}")
    if moved and survey.grace:
        what = f"{size(moved)} to the trash, which a gc after {duration(seconds)} frees"
        moving = "moved" if force else "would move"
        parts.append(f"{moving} {what}" if parts else f"{moving.capitalize()} {what}")
    hint = "." if force else ". `lazydata gc --force` does it."
    return " and ".join(parts) + hint


def _print_json(done: Collected, force: bool, seconds: float) -> None:
    survey = done.survey
    print_json(
        {
            "dry_run": not force,
            "grace": seconds,
            "freed": _freed(survey),
            "moved": _moved(survey) if survey.grace else 0,
            **{key: [_told_of(each, survey) for each in some] for key, _, some in _rows(survey)},
            "kept": {
                why: {"files": len(some), "size": sum(each.size for each in some)}
                for why, some in (*survey.kept.items(), ("trash", survey.waiting))
            },
            "over": done.eviction.short if done.eviction else 0,
            "blocked": [blocked._asdict() for blocked in done.blocked],
            "left": done.failed,
        }
    )


def _told_of(found: Found, survey: Survey) -> dict[str, object]:
    name = found.digest or os.path.basename(found.path)
    return {"kind": found.kind, "name": name, "size": _gain(found, survey)}
