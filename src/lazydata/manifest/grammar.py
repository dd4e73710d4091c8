"""The lines that the fast lane reads: a small part of YAML, the same under every reader.

Whatever is not certainly in this part is left to ruamel.yaml, so each pattern
errs on the side of not matching. YAML 1.2: https://yaml.org/spec/1.2.2/
"""

from __future__ import annotations

import re

# Line breaks of other kinds, and what YAML calls unprintable, have no place here.
_ODD = r"\x7f-\xa0\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff"
_BARRED = r"\x00-\x1f" + _ODD
PRINTABLE = rf"[^{_BARRED}]"
_COMMENT = rf"#[^\x00-\x08\x0a-\x1f{_ODD}]*+"
_BREAK = r"(?:\r?\n|\Z)"
END = rf" *+(?:(?<= ){_COMMENT})?{_BREAK}"
# A repeated group is made possessive by an atomic group around it: CPython before
# 3.11.5 forgets where it was when the last try of a group with *+ or ?+ fails
# half-way (https://github.com/python/cpython/issues/106052).


def many(part: str) -> str:
    """The pattern for a part as many times as it is there.

    ``re`` remembers some 300 bytes of each turn of a group, until the end of an atomic one: so of
    a thousand turns only, and not of all lines of a file, or of all characters of a line.

    Args:
        part: the pattern for one, which is never empty.
    """
    return rf"(?>(?>(?:{part}){{1,1000}})*)"


_IDLE = rf" *+(?:{_COMMENT})?"
GAP = many(rf"{_IDLE}\r?\n") + rf"(?:{_IDLE}\Z)?"

FIRST = rf"[A-Za-z0-9_./(]|[^{_BARRED} -~]"
INNER = rf"[^{_BARRED} :#]"
_PLAIN = rf"(?:{FIRST})" + many(rf"{INNER}|:(?={INNER}|[:#])|(?<! )#| +(?=[^{_BARRED} #])")
_SINGLE = "'" + many(rf"[^{_BARRED}']|''") + "'"
_DOUBLE = rf"\"[^{_BARRED}\"\\]*+\""
SCALAR = rf"(?:{_PLAIN}|{_SINGLE}|{_DOUBLE})"
KEYS = 1000  # in one mapping; of more the judge keeps count
KEY = r"[A-Za-z_][A-Za-z0-9_-]*+"
# What YAML 1.2 may take for a number, a date or .inf: more than it does, never less.
NUMBER = r"[-+.0-9][-+.:_ 0-9a-fA-FxXoOtTzZiInN]*+"
DIGEST = r"(?:(?:blake3|sha256):)?[0-9a-fA-F]{64}"
SIZE = r"0|[1-9][0-9]{0,17}"
WORDS = frozenset(
    word for name in ("true", "false", "null") for word in (name, name.title(), name.upper())
)
WORD = rf"(?:{'|'.join(sorted(WORDS))})"

gap = re.compile(GAP)
line = re.compile(
    rf"(?P<lead> *+)(?P<dash>- ++)?(?:(?P<key>{KEY}):(?>(?: ++(?P<value>{SCALAR}))?)"
    rf"|(?P<bare>{SCALAR})){END}"
)
_plain = re.compile(_PLAIN)
_number = re.compile(NUMBER)
_printable = re.compile(rf"{PRINTABLE}*+")
_digest = re.compile(DIGEST)
_size = re.compile(SIZE)


def is_string(raw: str) -> bool:
    """Whether a plain scalar, as it is written, is certainly read as that string."""
    return _number.fullmatch(raw) is None and raw not in WORDS


def string(raw: str | None) -> str | None:
    """The string that a scalar of the grammar stands for; None where it may be none."""
    if not raw:
        return None
    if raw[0] == "'":
        return raw[1:-1].replace("''", "'")
    if raw[0] == '"':
        return raw[1:-1]
    return raw if is_string(raw) else None


def word(raw: str | None) -> str | None:
    """The text of any scalar but a null, whatever type YAML gives it."""
    if not raw or raw in WORDS:
        return None
    return string(raw) or (raw if raw[0] not in "'\"" else "")


def number(raw: str | None) -> int | None:
    """A whole number in its usual form, or None."""
    return int(raw) if raw and _size.fullmatch(raw) else None


def truth(raw: str) -> bool | None:
    """True or false, as a plain scalar says it; None for anything else."""
    lowered = raw.lower() if raw in WORDS else ""
    return lowered == "true" if lowered in ("true", "false") else None


def digest(raw: str | None) -> str | None:
    """A digest in lower case and with its algorithm, or None."""
    if raw and raw[0] in "'\"":
        raw = raw[1:-1]
    if not raw or not _digest.fullmatch(raw):
        return None
    lowered = raw.lower()
    return lowered if ":" in lowered else "sha256:" + lowered


def quote(value: str) -> str:
    """Write a string as a scalar, plain where that is safe under any YAML.

    Args:
        value: any text.

    Example:
        >>> quote("data/x.csv"), quote("no"), quote("it's #1")
        ('data/x.csv', "'no'", "'it''s #1'")
    """
    if _plain.fullmatch(value) and is_string(value) and value.lower() not in _OLD_WORDS:
        return value
    if _printable.fullmatch(value):
        return "'" + value.replace("'", "''") + "'"
    from io import StringIO

    from ruamel.yaml import YAML
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    yaml = YAML(pure=True)
    yaml.width = 1 << 30
    out = StringIO()
    yaml.dump(DoubleQuotedScalarString(value), out)
    return out.getvalue().removesuffix("...\n").rstrip("\n")


def is_plain(value: str) -> bool:
    """Whether ``quote`` can write a string so that the fast lane reads it."""
    return _printable.fullmatch(value) is not None


# YAML 1.1 readers, still the most common ones, take these for true or false.
_OLD_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
