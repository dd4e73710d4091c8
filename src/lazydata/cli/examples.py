"""What ``--help`` teaches by: for each command some lines to type, and what each does."""

from __future__ import annotations

import typer

# What a newcomer types, below the help of lazydata itself.
FIRST_STEPS = [
    ("lazydata init", "once, in the top directory of a project"),
    ("lazydata track data/x.csv", 'or track("data/x.csv") in the code that reads it'),
    ("lazydata add-remote /srv/share/lazydata", "once: a directory, a bucket, or a server"),
    ("lazydata push", "send what the remote lacks, and commit lazydata.yml"),
    ("lazydata pull .", "in a clone: get the files; track() gets them, too"),
]

# By the names of the command and, where it is in a group, of the group before it.
EXAMPLES = {
    "init": [
        ("lazydata init", "here, with a lazydata.yml to commit"),
        ("lazydata init --nested teams/fraud", "a workspace inside of this one"),
    ],
    "track": [
        ("lazydata track data/x.csv", "one file"),
        ("lazydata track data/images", "all that is in a directory, as one entry"),
    ],
    "untrack": [("lazydata untrack data/x.csv", "the file stays where it is")],
    "status": [
        ("lazydata status", "what is listed from here down, and is not ok"),
        ("lazydata status data/images/cats", "a part of a tracked directory"),
        ("lazydata status --check", "in CI: exit code 4 if a file is not as listed"),
    ],
    "ls": [
        ("lazydata ls", "what is listed from here down"),
        ("lazydata ls --versions data/x.csv", "each version of a file; * is the latest"),
        ("lazydata ls data/images/cats", "what lies in a tracked directory"),
    ],
    "restore": [
        ("lazydata restore data/x.csv", "undo an edit; the edited bytes stay stored"),
        ("lazydata restore data/x.csv --version 46de", "an older version, now the latest"),
        ("lazydata restore --from v1.2 data/x.csv", "as it was at a tag of git"),
    ],
    "cat": [
        ("lazydata cat data/x.csv --version 46de > old.csv", "a copy of an older version"),
        ("lazydata cat data/images/cats/1.jpg > 1.jpg", "one file of a tracked directory"),
    ],
    "unlock": [("lazydata unlock data/table.h5", "let a program that is no Python write it")],
    "info": [("lazydata info data/x.csv", "what it is, who made and uses it, where it is kept")],
    "log": [("lazydata log data/x.csv", "its versions, with commits, dates and authors")],
    "diff": [
        ("lazydata diff", "since the last commit"),
        ("lazydata diff main", "since another branch"),
        ("lazydata diff v1.2 v1.3 -- data/images", "between two tags, of one entry"),
    ],
    "graph": [
        ("lazydata graph", "all scripts and data from here down, as a tree"),
        ("lazydata graph data/x.csv --format mermaid", "what one file has to do with"),
    ],
    "why": [("lazydata why models/model.pkl", "the scripts and files that it came from")],
    "impact": [("lazydata impact data/x.csv", "what to run again when it changes")],
    "report": [("lazydata report -o report.html", "one page, to be opened in a browser")],
    "add-remote": [
        ("lazydata add-remote /srv/share/lazydata", "a directory that all of you have"),
        ("lazydata add-remote s3://my-bucket/lazydata --region eu-central-1", "a bucket"),
        ("lazydata add-remote ssh://me@server/srv/lazydata --name server", "a second one"),
    ],
    "remove-remote": [("lazydata remove-remote origin", "what it holds stays there")],
    "remotes": [("lazydata remotes", "the one that push uses comes first")],
    "push": [
        ("lazydata push", "what is listed from here down, and is not there yet"),
        ("lazydata push --dry-run", "what would go, and how many bytes"),
        ("lazydata push --check", "ask for every object, whatever was pushed before"),
    ],
    "pull": [
        ("lazydata pull", "the latest version of all that this clone had before"),
        ("lazydata pull .", "all that is listed from here down"),
        ("lazydata pull my_script.py", "all that a script uses"),
        ("lazydata pull data/images/cats", "a part of a tracked directory"),
    ],
    "verify": [
        ("lazydata verify", "hash all that is stored; 13 for damage"),
        ("lazydata verify --repair", "and bring good copies of what is damaged"),
        ("lazydata verify --remote origin", "read and hash all that we have there"),
        ("lazydata verify --remote origin --repair", "and put good copies there"),
    ],
    "doctor": [
        ("lazydata doctor", "what works, what could work better, and what to do"),
        ("lazydata doctor --write", "also whether the remotes can be written"),
    ],
    "gc": [
        ("lazydata gc", "only say what nothing needs"),
        ("lazydata gc --force", "take it out of the store, by way of its trash"),
        ("lazydata gc --max-size 100G --force", "also what a remote holds"),
    ],
    "git install": [("lazydata git install --hooks", "merge by entry, and check before a push")],
    "git uninstall": [("lazydata git uninstall", "as before, older hooks included")],
    "config get": [("lazydata config get store", "exit code 1 if it is not set")],
    "config set": [
        ("lazydata config set store /data/lazydata", "where objects are kept"),
        ("lazydata config set link copy", "files share no bytes with the store"),
        ('lazydata config set link ""', "the default again"),
    ],
    "config list": [("lazydata config list", "also where store and index lie")],
}


def attach(app: typer.Typer) -> None:
    """Put the examples below the help of each command, and the first steps below that of all.

    Args:
        app: with all of its commands, and groups of them.
    """
    app.info.epilog = _told("First steps", FIRST_STEPS)
    groups = {"": app} | {f"{each.name} ": each.typer_instance for each in app.registered_groups}
    for prefix, group in groups.items():
        for command in group.registered_commands if group else ():
            own = command.name or getattr(command.callback, "__name__", "")
            command.epilog = _told("Examples", EXAMPLES.get(f"{prefix}{own}", []))


def _told(title: str, lines: list[tuple[str, str]]) -> str | None:
    if not lines:
        return None
    # The mark keeps the lines as they are.
    return f"\b\n{title}:\n" + "\n".join(f"  {line}\n      {what}" for line, what in lines)
