"""YAML as a graph of nodes with positions, by ruamel.yaml. Nothing is ever constructed from it."""

from __future__ import annotations

from typing import Any, NamedTuple, NoReturn

from lazydata.errors import ManifestInvalid
from lazydata.manifest.conflicts import unresolved

_DEPTH = 40
_NODES = 1_000_000  # each takes about a kilobyte
_TAG = "tag:yaml.org,2002:"


class Node(NamedTuple):
    """A scalar, sequence or mapping.

    Args:
        kind: ``scalar``, ``list`` or ``mapping``.
        tag: ``str``, ``int`` …, or a foreign tag in full.
        value: the text of a scalar; the nodes of a list.
        pairs: the keys and values of a mapping.
        start: offset of its first character.
        end: offset past its last one (of a block: somewhere after).
        line: 1-based.
        column: 1-based.
        style: how it is written: ``flow``, ``block``, or a scalar's indicator.
    """

    kind: str
    tag: str
    value: Any
    pairs: tuple[tuple[Node, Node], ...]
    start: int
    end: int
    line: int
    column: int
    style: str


def compose(text: str, *, file: str) -> Node | None:
    """Parse one YAML document.

    Args:
        text: all of it.
        file: its path, for messages.

    Returns:
        The root, or None for an empty document.

    Raises:
        ManifestInvalid: conflict markers, broken YAML, over-deep nesting.
    """
    conflict = unresolved(text, file=file)
    if conflict is not None:
        raise conflict
    from ruamel.yaml import YAML
    from ruamel.yaml.composer import Composer
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.reader import ReaderError

    left = _NODES

    class Bounded(Composer):
        def compose_node(self, parent: Any, index: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                _too_many(file)
            return super().compose_node(parent, index)

    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = Bounded
    yaml.max_depth = _DEPTH
    yaml.composer.warn_double_anchors = False
    try:
        return _convert(yaml.compose(text), {})
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = error.problem or error.context or "broken"
        if "maximum depth" in str(error):
            _too_deep(file, mark)
        raise ManifestInvalid(
            f"broken YAML: {reason}",
            file=file,
            line=mark.line + 1 if mark else None,
            column=mark.column + 1 if mark else None,
            hint=_hint(text, str(reason)),
        ) from None
    except ReaderError as error:
        at = error.position
        raise ManifestInvalid(
            f"broken YAML: the character {error.character!r} is not allowed",
            file=file,
            line=text.count("\n", 0, at) + 1,
            column=at - text.rfind("\n", 0, at),
        ) from None
    except RecursionError:
        _too_deep(file, None)
    except (YAMLError, ValueError, OverflowError) as error:
        raise ManifestInvalid(f"broken YAML: {error}", file=file) from None


def _too_deep(file: str, mark: Any) -> NoReturn:
    raise ManifestInvalid(
        "nested too deeply to be a manifest",
        file=file,
        line=mark.line + 1 if mark else None,
        column=mark.column + 1 if mark else None,
    ) from None


def _too_many(file: str) -> NoReturn:
    raise ManifestInvalid(
        f"more than {_NODES:,} keys and values, not as lazydata writes them",
        file=file,
        hint="files in blocks, one key a line, without anchors and tags, are read without a limit",
    )


def _hint(text: str, reason: str) -> str | None:
    if "\\t" in reason:
        return "indent with spaces, not tabs"
    if "mapping values are not allowed" in reason:
        return "put quotes around a value that holds ': '"
    return None


def _convert(node: Any, done: dict[int, Node]) -> Node | None:
    # Aliased nodes are converted once: what the aliases would expand to never exists.
    if node is None:
        return None
    known = done.get(id(node))
    if known is not None:
        return known
    start = node.start_mark
    tag = str(node.tag).removeprefix(_TAG)
    place = (start.index, node.end_mark.index, start.line + 1, start.column + 1)
    if node.id == "scalar":
        result = Node("scalar", tag, node.value, (), *place, node.style or "plain")
    else:
        style = "flow" if node.flow_style else "block"
        kind = "list" if node.id == "sequence" else "mapping"
        # A node may hold itself; inside itself it is an empty stand-in.
        done[id(node)] = Node(kind, "recursive", [], (), *place, style)
        value: list[Any] = []
        pairs: list[Any] = []
        if kind == "list":
            value = [_convert(child, done) for child in node.value]
        else:
            pairs = [(_convert(key, done), _convert(child, done)) for key, child in node.value]
        result = Node(kind, tag, value, tuple(pairs), *place, style)
    done[id(node)] = result
    return result
