"""Contents that say whose they are and how long."""

from __future__ import annotations


def content(label: str, lines: int) -> bytes:
    """Bytes that tell where they come from, and whether they are all there."""
    return f"{label} {lines}\n".encode() * lines


def label_of(data: bytes) -> str | None:
    """Where bytes come from; None if they are no whole content."""
    line, end, _ = data.partition(b"\n")
    label, _, lines = line.decode("latin-1").rpartition(" ")
    is_whole = lines.isdigit() and (line + end) * int(lines) == data
    return label if is_whole and label else None


def is_beginning(data: bytes) -> bool:
    """Whether a writer may have come so far: nothing yet, or the first lines of a content."""
    line, end, _ = data.partition(b"\n")
    return not data or ((line + end) * (len(data) // len(line + end) + 1)).startswith(data)
