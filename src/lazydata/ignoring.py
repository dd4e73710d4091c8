"""What a tracked directory leaves out: ``.lazydataignore``, with the rules of .gitignore.

pathspec reads the wildcards of one name; how rules nest is here, as git does it. An ignore
file is input from strangers, so no rule is matched by going back and forth: between slashes
the places reached in a pattern are followed from directory to directory, and within a name
each ``*`` takes the first fit and stays with it (an atomic group), which is enough as what
follows it has a fixed length. So the work for a name grows with its length times that of the
rules, and no faster.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from lazydata.errors import UsageError, from_os_error

NAME = ".lazydataignore"
LARGEST = 1 << 20  # bytes of one file
PATTERNS = 1000  # names with wildcards in one file, and the characters of one:
LONGEST = 255  # each has to be compiled
_ANY_DEPTH = "**"
_WILD = re.compile(r"[*?\[\\]")
_BRACKET = re.compile(r"\\.|\[([!^]?\]?[^\]]*)(\]?)", re.DOTALL)
# What means one thing to git and another to a regular expression.
_UNCLEAR = re.compile(r"[\\\[]|--|&&|~~|\|\|")
_HINT = "square brackets are for [abc], [a-z] and [!0-9]; see the reference of ignore files"
_STAR = "[^/]*"  # as pathspec writes it
_REMEMBERED = 64  # kinds of subdirectories of one directory
_FLAGS = ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK")
_END = "\ue000"  # tells pathspec's reading of a name from what it adds for paths below it


class _Rule(NamedTuple):
    """One line. ``parts`` are names with wildcards, or ``**`` for any number of directories."""

    negated: bool
    dirs_only: bool
    parts: tuple[str, ...]


class _Last(NamedTuple):
    """A rule for names right in a directory: all but its last part was passed on the way."""

    negated: bool
    dirs_only: bool
    part: str


# A rule, and the places in its parts that a directory has reached.
_State = tuple[_Rule, tuple[int, ...]]


class Ignore:
    """The rules that hold in one directory; it is made by ``of`` and ``inside``."""

    __slots__ = ("_directory", "_rules")

    def __init__(self, directory: str, rules: _Rules) -> None:
        self._directory, self._rules = directory, rules

    @classmethod
    def of(cls, root: str, directory: str) -> Ignore:
        """The rules of a directory: of all ignore files from the root down to it.

        Whether the directory is itself ignored is not asked.

        Args:
            root: absolute path of the workspace.
            directory: absolute path, the root or below it.

        Raises:
            UsageError: an ignore file can't be understood.
            FileDenied: one can't be read.
        """
        below = os.path.relpath(directory, root)
        found = cls(root, _Rules(_read(root)))
        for name in below.split(os.sep) if below != os.curdir else ():
            found = found.inside(name)
        return found

    def inside(self, name: str) -> Ignore:
        """The rules of a subdirectory, with those of its own ignore file if it has one.

        Raises:
            UsageError: that file can't be understood.
            FileDenied: it can't be read.
        """
        directory = os.path.join(self._directory, name)
        rules, own = self._rules.inside(name), _read(directory)
        return Ignore(directory, _Rules(rules.states + own) if own else rules)

    def skips(self, name: str, *, is_dir: bool) -> bool:
        """Whether a name right in this directory is ignored.

        Args:
            name: without any ``/``.
            is_dir: whether it is a directory; a symlink to one is none.
        """
        return self._rules.names.skips(name, is_dir)

    @property
    def is_empty(self) -> bool:
        """Whether no rule holds here: ``skips`` need not be asked, ``inside`` has to be."""
        return not self._rules.states


class _Rules:
    """Rules and how far each has come, from the weakest to the strongest.

    Most rules are for names at any depth and stay as they are. Where directories differ in
    nothing else, they share one of these.
    """

    __slots__ = ("_below", "_moving", "names", "states")

    def __init__(self, states: tuple[_State, ...]) -> None:
        self.states = states
        self.names = _Names(tuple(_last_parts(states)))
        self._moving = [at for at, (rule, _) in enumerate(states) if not _is_everywhere(rule)]
        self._below: dict[tuple[tuple[int, ...], ...], _Rules] = {}

    def inside(self, name: str) -> _Rules:
        """The same rules, one directory further down."""
        if not self._moving:
            return self
        moved = tuple(_step(*self.states[at], name) for at in self._moving)
        found = self._below.get(moved)
        if found is None:
            places = dict(zip(self._moving, moved, strict=True))
            states = ((rule, places.get(at, old)) for at, (rule, old) in enumerate(self.states))
            found = _Rules(tuple(state for state in states if state[1]))
            if len(self._below) < _REMEMBERED:
                self._below[moved] = found
        return found


def _is_everywhere(rule: _Rule) -> bool:
    return len(rule.parts) == 2 and rule.parts[0] == _ANY_DEPTH


class _Names:
    """Rules for the names in one directory; the last that fits wins."""

    def __init__(self, rules: tuple[_Last, ...]) -> None:
        self._rules = rules
        self._plain: dict[str, list[int]] = {}
        self._wild: list[tuple[int, re.Pattern[str]]] = []
        for number, rule in enumerate(rules):
            if _WILD.search(rule.part):
                self._wild.append((number, _pattern(rule.part)))
            else:
                self._plain.setdefault(rule.part, []).append(number)
        # Most names fit no rule: ask that first, in one go.
        together = "|".join({pattern.pattern for _, pattern in self._wild})
        self._any = re.compile(together, re.DOTALL) if together else None

    def skips(self, name: str, is_dir: bool) -> bool:
        best = -1
        for number in self._plain.get(name, ()):
            if is_dir or not self._rules[number].dirs_only:
                best = number
        if self._any is not None and self._any.fullmatch(name):
            for number, pattern in reversed(self._wild):
                if number < best:
                    break
                if (is_dir or not self._rules[number].dirs_only) and pattern.fullmatch(name):
                    best = number
                    break
        return best >= 0 and not self._rules[best].negated


def _last_parts(states: tuple[_State, ...]) -> Iterator[_Last]:
    for rule, places in states:
        if len(rule.parts) - 1 in places:
            yield _Last(rule.negated, rule.dirs_only, rule.parts[-1])


def _places(rule: _Rule, places: list[int]) -> tuple[int, ...]:
    """With what is reached by taking ``**`` for no directory at all."""
    reached: dict[int, None] = {}
    for place in places:
        reached[place] = None
        if rule.parts[place] == _ANY_DEPTH:
            reached[place + 1] = None
    return tuple(reached)


def _step(rule: _Rule, places: tuple[int, ...], name: str) -> tuple[int, ...]:
    """The places reached one directory further down; none where the rule ends here."""
    last = len(rule.parts) - 1
    reached = [
        place if rule.parts[place] == _ANY_DEPTH else place + 1
        for place in places
        if rule.parts[place] == _ANY_DEPTH or (place < last and _fits(rule.parts[place], name))
    ]
    return _places(rule, reached)


def _fits(part: str, name: str) -> bool:
    return bool(_pattern(part).fullmatch(name)) if _WILD.search(part) else part == name


def _read(directory: str) -> tuple[_State, ...]:
    """The rules of a directory's own ignore file; none where there is no such file."""
    path = os.path.join(directory, NAME)
    try:
        data = _bytes(path)
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise _no_file(path) from error
        raise from_os_error(error, "read", path) from error
    if len(data) > LARGEST:
        raise UsageError(f"{path} is larger than 1 MiB", hint="use patterns for many names")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8", hint="save it as UTF-8") from error
    return tuple((rule, _places(rule, [0])) for rule in _rules(text, path))


def _bytes(path: str) -> bytes:
    """A little more than the file may have; a pipe is not waited for."""
    flags = os.O_RDONLY
    for name in _FLAGS:
        flags |= getattr(os, name, 0)
    descriptor = os.open(path, flags)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _no_file(path)
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(LARGEST + 1)
    finally:
        os.close(descriptor)


def _no_file(path: str) -> UsageError:
    return UsageError(f"{path} is not a regular file", hint="make it one; links are not followed")


def _rules(text: str, path: str) -> Iterator[_Rule]:
    wild = 0
    for number, line in enumerate(text.split("\n"), start=1):
        rule = _rule(line.removesuffix("\r"))
        if rule is None:
            continue
        parts = [part for part in rule.parts if part != _ANY_DEPTH and _WILD.search(part)]
        wild += len(parts)
        if wild > PATTERNS:
            hint = "use fewer, or put some of them into the directories that they are for"
            raise UsageError(f"{path} has more than {PATTERNS} names with wildcards", hint=hint)
        try:
            for part in parts:
                _pattern(part)
        except ValueError as error:
            raise UsageError(f"{path}:{number}: {error}", hint=_HINT) from None
        yield rule


def _rule(line: str) -> _Rule | None:
    """What a line says; None where it says nothing, or can fit no name."""
    line = _stripped(line)
    if line.startswith("#"):
        return None
    negated = line.startswith("!")
    line = line[negated:]
    dirs_only = line.endswith("/")
    line = line[: len(line) - dirs_only]
    parts = line.removeprefix("/").split("/")
    backslashes = len(line) - len(line.rstrip("\\"))
    if "" in parts or backslashes % 2:
        return None
    if "/" not in line:
        parts = [_ANY_DEPTH, "*" if line == _ANY_DEPTH else line]
    elif parts[-1] == _ANY_DEPTH:
        parts.append("*")
    plain = [part for at, part in enumerate(parts) if parts[at : at + 2] != [_ANY_DEPTH] * 2]
    return _Rule(negated, dirs_only, tuple(plain))


def _stripped(line: str) -> str:
    """Without the spaces at its end; a backslash keeps one."""
    short = line.rstrip(" ")
    escaped = (len(short) - len(short.rstrip("\\"))) % 2
    return line[: len(short) + escaped]


@lru_cache(maxsize=4096)
def _pattern(part: str) -> re.Pattern[str]:
    """One name with wildcards, as a regular expression that does not go back.

    Raises:
        ValueError: it is too long, or its square brackets are not understood.
    """
    from pathspec import GitIgnoreSpec

    if len(part) > LONGEST:
        raise ValueError(f"a name with wildcards has more than {LONGEST} characters")
    for found in _BRACKET.finditer(part):
        inner, close = found.group(1), found.group(2)
        if inner is not None and (not close or _UNCLEAR.search(inner)):
            raise ValueError(f"{found[0]!r} is not understood")
    try:
        (read,) = GitIgnoreSpec.from_lines([f"/{part}{_END}"]).patterns
    except re.error as error:
        raise ValueError(f"{part!r} is not understood") from error
    text = str(read.regex.pattern if read.regex else "")
    begin, end = text.index("^") + 1, text.rindex(_END)
    first, *others = text[begin:end].split(_STAR)
    if not others:
        return re.compile(first, re.DOTALL)
    *middle, last = others
    atomic = "".join(f"(?>{_STAR}?{each})" for each in middle)
    return re.compile(f"{first}{atomic}{_STAR}{last}", re.DOTALL)
