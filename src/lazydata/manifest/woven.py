"""Our parts of a text, with what theirs changed among them put in place."""

from __future__ import annotations

from lazydata.manifest.parts import Part


class Woven:
    """A list of parts that is changed without moving any of those that stay.

    A part without a body is what is left of one: comment lines, for the next part.

    Args:
        ours: the parts to begin with.
    """

    def __init__(self, ours: list[Part]) -> None:
        self._ours = ours
        self._now: dict[int, Part] = {}
        self._above: dict[int, list[Part]] = {}
        self._below: dict[int, list[Part]] = {}

    def put(self, at: int, part: Part) -> None:
        """Put another part in the place of one."""
        self._now[at] = part

    def drop(self, at: int, left: str = "") -> None:
        """Take a part out; some of its comment lines may stay."""
        self._now[at] = Part("", left, "")

    def is_dropped(self, at: int) -> bool:
        """Whether a part was taken out."""
        return at in self._now and not self._now[at].body

    def above(self, at: int, part: Part) -> None:
        """Add a part right above one."""
        self._above.setdefault(at, []).append(part)

    def below(self, at: int, part: Part) -> None:
        """Add a part below one; below -1 is above all."""
        self._below.setdefault(at, []).append(part)

    def parts(self) -> tuple[list[Part], str]:
        """All parts, and the lines that are left for what follows them."""
        out: list[Part] = []
        carried = ""
        for each in self._in_order():
            if each.body:
                out.append(each._replace(lead=carried + each.lead) if carried else each)
                carried = ""
            else:
                carried += each.lead
        return out, carried

    def _in_order(self) -> list[Part]:
        found = list(self._below.get(-1, ()))
        for at, part in enumerate(self._ours):
            found += self._above.get(at, ())
            found.append(self._now.get(at, part))
            found += self._below.get(at, ())
        return found
