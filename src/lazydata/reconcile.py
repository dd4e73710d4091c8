"""What is to be done about one path: the decision table, and nothing else.

With F the digest of the file now, L the latest version in the manifest, H all
its versions and B the baseline (what lazydata last wrote to, or recorded from,
this path here), every case has one answer. No I/O: the whole table is tested.
"""

from __future__ import annotations

from collections.abc import Collection

from lazydata.digest import Digest


class Action:
    """What to do. Plain strings: importing enum would cost the first track() 4 ms."""

    NOTHING = "nothing"
    SETTLE = "settle"  # F = L, only the baseline is behind
    RECORD = "record"
    RECORD_OVER = "record over a newer version"  # with a warning that names L
    RECORD_UNKNOWN = "record, where it came from is unknown"  # with a hint at restore
    RESTORE = "restore"
    UPDATE = "update"
    DISPLACE = "displace"  # F is stored, noted in the journal, then replaced by L
    MISSING_OUTPUT = "missing output"


RECORDS = frozenset({Action.RECORD, Action.RECORD_OVER, Action.RECORD_UNKNOWN})
REPLACES = frozenset({Action.RESTORE, Action.UPDATE, Action.DISPLACE})


def reconcile(
    file: Digest | None,
    baseline: Digest | None,
    versions: Collection[Digest],
    latest: Digest,
    *,
    output: bool = False,
) -> str:
    """Decide about one path that the manifest lists.

    Args:
        file: F, or None where the file is missing.
        baseline: B, or None where it is unknown.
        versions: H, the digests of all versions.
        latest: L, the last of them.
        output: whether this process made the file, so that it is the newest there is.

    Example:
        >>> a, b = Digest("blake3:a"), Digest("blake3:b")
        >>> reconcile(b, a, [a], a)
        'record'
    """
    if file is None:
        return Action.MISSING_OUTPUT if output else Action.RESTORE
    if file == latest:
        return Action.NOTHING if baseline == latest else Action.SETTLE
    if output or baseline == latest:
        return Action.RECORD
    if file in versions:
        return Action.UPDATE
    if baseline is None:
        return Action.RECORD_UNKNOWN
    return Action.DISPLACE if baseline == file else Action.RECORD_OVER
