"""One command from its arguments to its exit code, through typer only where it is needed."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from functools import partial

from lazydata import audit, heap
from lazydata.errors import LazydataError, from_os_error

_INTERRUPTED = 130
# A command makes many objects and hardly a cycle: to look for garbage every 700 of them
# takes a twentieth of a pull.
_GARBAGE_AFTER = 50_000


def run(arguments: list[str]) -> int:
    """Run one command; the exit code."""
    heap.own()
    with audit.OwnWork():
        try:
            code = _find(arguments)()
            return code if isinstance(code, int) else 0
        except BrokenPipeError:  # whoever read what we print has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        except (LazydataError, OSError) as error:
            told = (
                from_os_error(error, "finish", error.filename or "the output")
                if isinstance(error, OSError)
                else error
            )
            if not isinstance(told, LazydataError):
                raise
            from lazydata.cli import render

            render.error(told, json="--json" in arguments)
            return told.exit_code
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else 0
            return _interrupted() if code == _INTERRUPTED else code
        except KeyboardInterrupt:
            return _interrupted()


def _interrupted() -> int:
    print("interrupted: run it again to go on from here", file=sys.stderr)
    return _INTERRUPTED


def _find(arguments: list[str]) -> Callable[[], object]:
    """What answers a command. One that people wait for all day does not wait for typer."""
    # What is imported stays: looking through it for garbage takes a tenth of the start.
    gc.disable()
    try:
        if arguments == ["status"]:
            from lazydata.cli import standing

            return standing.show
        name, paths = arguments[:1], arguments[1:]
        if not any(each.startswith("-") for each in paths):
            if name == ["push"]:
                from lazydata.cli import sending

                return partial(sending.push, paths)
            if name == ["pull"]:
                from lazydata.cli import fetching

                return partial(fetching.pull, paths)
            if name in (["track"], ["restore"]) and paths:
                from lazydata.cli import keeping

                return partial(keeping.track if name == ["track"] else keeping.restore, paths)
        if arguments[:1] == ["git"] and arguments[1:2] in (["merge-driver"], ["hook"]):
            from lazydata.cli import plumbing

            return lambda: plumbing.answer(arguments[1:])
        from lazydata.cli.app import command

        return lambda: command(arguments)(arguments, prog_name="lazydata")
    finally:
        gc.freeze()
        gc.enable()
        gc.set_threshold(_GARBAGE_AFTER)
