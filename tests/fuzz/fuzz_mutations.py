"""Inputs near to a target's seeds, made by hypothesis: it also makes them short again."""

from __future__ import annotations

from fuzz_targets import Target
from hypothesis import strategies as st

_AT_MOST = 4


@st.composite
def mutated(draw: st.DrawFn, target: Target) -> bytes:
    """A seed after a few changes: pieces put in, taken out, doubled, swapped; bytes changed."""
    data = draw(st.sampled_from(target.seeds))
    for kind in draw(st.lists(st.sampled_from(_KINDS), max_size=_AT_MOST)):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.integers(0, 12)))
        if kind == "token":
            data = data[:at] + draw(st.sampled_from(target.tokens)) + data[at:]
        elif kind == "instead":
            data = data[:at] + draw(st.sampled_from(target.tokens)) + data[end:]
        elif kind == "bytes":
            data = data[:at] + draw(st.binary(max_size=4)) + data[end:]
        elif kind == "cut":
            data = data[:at] + data[end:]
        elif kind == "double":
            data = data[:at] + data[at:end] * draw(st.sampled_from([2, 3, 9, 400])) + data[end:]
        elif kind == "lines":
            lines = data.splitlines(keepends=True) or [b""]
            one, other = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
            lines[one : one + 1] = [lines[other], lines[one]][: draw(st.integers(0, 2))]
            data = b"".join(lines)
        else:
            other = draw(st.sampled_from(target.seeds))
            data = data[:at] + other[draw(st.integers(0, len(other))) :]
    return data


_KINDS = ["token", "token", "instead", "bytes", "cut", "double", "lines", "splice"]
