"""Manifests in many styles, for the property tests."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st

from lazydata.digest import Digest
from lazydata.manifest import Version

DIGESTS = [f"blake3:{digit * 64}" for digit in "0123"] + [f"sha256:{'a' * 64}"]
PATHS = ["a.csv", "b.csv", "c/d.csv", "data/", "z z.txt", "é.csv", "it's", "true", "2024", "qq:1#2"]
SCRIPTS = ["train.py", "eval.py", "nb/x y.ipynb", "no", "été.py"]


@dataclass
class Style:
    """How a manifest is written."""

    newline: str = "\n"
    bom: bool = False
    dash: int = 2
    gap: int = 1
    listed: int = 2
    quotes: list[str] = field(default_factory=lambda: [""])
    comments: list[str] = field(default_factory=lambda: [""])
    last_break: bool = True
    order: tuple[str, ...] = ("path", "hash", "size", "files", "usage", "producer", "source_url")
    flow: str = ""


styles = st.builds(
    Style,
    newline=st.sampled_from(["\n", "\r\n"]),
    bom=st.booleans(),
    dash=st.sampled_from([0, 2, 4]),
    gap=st.sampled_from([1, 3]),
    listed=st.sampled_from([0, 2, 4]),
    quotes=st.lists(st.sampled_from(["", "'", '"']), min_size=1, max_size=5),
    comments=st.lists(
        st.sampled_from(
            ["", "", "", "\n", "# note\n", "      # far: in\n", "\n\n# - path: a.csv\n"]
        ),
        min_size=1,
        max_size=7,
    ),
    last_break=st.booleans(),
    order=st.sampled_from(
        [
            ("path", "hash", "size", "files", "usage", "producer", "source_url"),
            ("path", "hash", "size", "files", "usage", "producer", "source_url"),
            ("hash", "path", "source_url", "producer", "usage", "size", "files"),
            ("usage", "size", "source_url", "files", "hash", "path", "producer"),
        ]
    ),
)
any_styles = st.builds(
    lambda style, flow: Style(**{**vars(style), "flow": flow}),
    styles,
    st.sampled_from(["", "", "list", "item", "usage", "root"]),
)
versions = st.builds(
    Version,
    digest=st.sampled_from([Digest(text) for text in DIGESTS]),
    size=st.none() | st.integers(0, 10**6),
    usage=st.lists(st.sampled_from(SCRIPTS), unique=True, max_size=3).map(tuple),
    files=st.none() | st.integers(0, 9),
    source_url=st.none() | st.just("https://e.org/x?a=b#c"),
    producer=st.just(()) | st.lists(st.sampled_from(SCRIPTS), unique=True, max_size=2).map(tuple),
)
item_lists = st.lists(st.tuples(st.sampled_from(PATHS), versions), max_size=6)


def write(items: list[tuple[str, Version]], style: Style) -> str:
    """A manifest of these items."""
    turn = iter(range(10**6))

    def scalar(text: str) -> str:
        quote = style.quotes[next(turn) % len(style.quotes)]
        if not quote and (text in ("true", "2024", "it's", "no") or text.startswith("é")):
            quote = '"'
        return quote + (text.replace("'", "''") if quote == "'" else text) + quote

    def comment() -> str:
        return style.comments[next(turn) % len(style.comments)]

    def trailing() -> str:
        return "  # why: not\n" if "# note\n" in style.comments and next(turn) % 3 == 0 else "\n"

    def pairs(path: str, version: Version) -> list[tuple[str, str]]:
        found = []
        for name in style.order:
            if name == "path":
                found.append((name, scalar(path)))
            elif name == "hash":
                found.append((name, str(version.digest)))
            elif name in ("usage", "producer") and getattr(version, name):
                scripts = ", ".join(scalar(each) for each in getattr(version, name))
                found.append((name, f"[{scripts}]"))
            elif name == "source_url" and version.source_url:
                # In flow style a colon may end a plain key.
                found.append((name, f"'{version.source_url}'"))
            elif name in ("size", "files") and getattr(version, name) is not None:
                found.append((name, str(getattr(version, name))))
        return found

    def flow(path: str, version: Version) -> str:
        # A plain scalar in flow style ends at a comma; the paths here have none.
        return "{" + ", ".join(f"{name}: {value}" for name, value in pairs(path, version)) + "}"

    head = "version: 2\non_change: warn # or error\nremotes:\n  origin:\n    url: s3://b/x # here\n"
    if style.flow == "root":
        body = "{files: [" + ", ".join(flow(*item) for item in items) + "], note: [1, {a: b}]}\n"
        return _finish("# top\n" + body, style)
    if style.flow == "list":
        body = "files: [" + ",\n  ".join(flow(*item) for item in items) + "] # list\nlast: 1\n"
        return _finish(head + body, style)
    out = [head, "files: # list\n"]
    for path, version in items:
        out.append(comment())
        dash = " " * style.dash + "-" + " " * style.gap
        if style.flow == "item" and next(turn) % 2:
            out.append(f"{dash}{flow(path, version)}\n")
            continue
        lead = dash
        for name, value in pairs(path, version):
            keys = " " * (style.dash + 1 + style.gap)
            scripts = getattr(version, name) if name in ("usage", "producer") else ()
            if not scripts or style.flow == "usage":
                out.append(f"{lead}{name}: {value}{trailing()}")
            elif len(scripts) == 1:
                out.append(f"{lead}{name}: {scalar(scripts[0])}{trailing()}")
            else:
                out.append(f"{lead}{name}:{trailing()}")
                for script in scripts:
                    column = " " * (style.dash + 1 + style.gap + style.listed)
                    out.append(f"{column}- {scalar(script)}{trailing()}")
            lead = keys
            if next(turn) % 5 == 0:
                out.append(comment())
    out.append(comment())
    return _finish("".join(out), style)


def _finish(text: str, style: Style) -> str:
    if not style.last_break:
        text = text.rstrip("\n")
    return ("\ufeff" if style.bom else "") + text.replace("\n", style.newline)
