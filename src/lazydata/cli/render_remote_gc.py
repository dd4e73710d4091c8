"""What a gc of a remote prints."""

from __future__ import annotations

from lazydata.cli.printing import columns, count_of, duration, size
from lazydata.messages import typed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lazydata.transfer.unclaimed import RemoteSurvey
    from lazydata.workspace.collecting_remote import CollectedRemote

_WHY = {
    "claimed": "claimed by a project",
    "recent": "newer than the grace period",
    "needed": "needed, and not claimed: `lazydata push` claims it",
    "damaged": "a pack that can't be read",
}


def remote_lines(done: CollectedRemote, force: bool, seconds: float) -> list[str]:
    """Lines for people."""
    survey = done.survey
    if survey is None:
        return ["Nothing to free."]
    rows = [
        (words, count_of(number, "file"), size(total))
        for words, number, total in (
            ("nobody claims", len(survey.due), sum(each.size for each in survey.due)),
            ("nobody claims now", len(survey.waiting), sum(each.size for each in survey.waiting)),
            ("mostly waste, written anew", len(survey.thin), _thin(survey)),
            *(
                (f"stays: {_WHY[why]}", len(some), sum(each.size for each in some))
                for why, some in survey.kept.items()
            ),
        )
        if number
    ]
    lines = columns(rows) if rows else []
    if survey.dropped:
        claims = "no longer claimed by this project" if force else "to be claimed no longer"
        lines.append(f"{count_of(len(survey.dropped), 'object')} {claims}")
    return [*lines, _ending(done.remote, survey, force, seconds)]


def _ending(remote: str, survey: RemoteSurvey, force: bool, seconds: float) -> str:
    freed, noted = _freed(survey), _noted(survey, force)
    if not freed and not noted:
        return "Nothing to free."
    parts = []
    if freed:
        parts.append(f"{'Freed' if force else 'Would free'} {size(freed)}")
    if noted:
        what = f"{size(noted)}, which a gc after {duration(seconds)} frees if still nobody needs it"
        noting = "wrote down" if force else "would write down"
        parts.append(f"{noting} {what}" if parts else f"{noting.capitalize()} {what}")
    hint = "." if force else f". `lazydata gc --remote {typed(remote)} --force` does it."
    return " and ".join(parts) + hint


def remote_json(done: CollectedRemote, force: bool, seconds: float) -> dict[str, object]:
    """The same for programs."""
    survey = done.survey
    told: dict[str, object] = {"dry_run": not force, "remote": done.remote, "grace": seconds}
    told["freed"] = _freed(survey) if survey else 0
    told["noted"] = _noted(survey, force) if survey else 0
    told["unneeded"] = [_row(each.key, each.size) for each in survey.due] if survey else []
    told["waiting"] = (
        [{**_row(each.key, each.size), "since": each.since} for each in survey.waiting]
        if survey
        else []
    )
    told["rewritten"] = [_row(each.stat.key, each.gain) for each in survey.thin] if survey else []
    told["unclaimed"] = sorted(survey.dropped) if survey else []
    told["kept"] = {
        why: {"files": len(some), "size": sum(each.size for each in some)}
        for why, some in (survey.kept if survey else {}).items()
    }
    told["blocked"] = [blocked._asdict() for blocked in done.blocked]
    return told


def _row(key: str, count: int) -> dict[str, object]:
    return {"key": key, "size": count}


def _thin(survey: RemoteSurvey) -> int:
    return sum(each.gain for each in survey.thin)


def _freed(survey: RemoteSurvey) -> int:
    """Bytes that are free at once."""
    saved = sum(each.size for each in survey.saved)
    return sum(each.size for each in survey.due) - saved


def _noted(survey: RemoteSurvey, force: bool) -> int:
    """Bytes that are written down, to be freed later; of packs, once they are written anew."""
    thin = 0 if force else sum(each.stat.size for each in survey.thin)
    return sum(each.size for each in survey.waiting) + thin
