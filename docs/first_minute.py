"""Draws first-minute.svg, the terminal in the README, from commands that are really run.

    python docs/first_minute.py

The digests are those of the bytes that are written here, so the picture stays the same.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

PICTURE = Path(__file__).with_name("first-minute.svg")
WIDTH = 92  # columns

SCRIPT = """\
import csv
from lazydata import track

rain = list(csv.DictReader(open(track("data/rain.csv"))))
print(len(rain), "days")
"""
BEFORE = f"""\
git init -q rain && cd rain && lazydata init > /dev/null && mkdir data
printf 'day,mm\\n1,0.0\\n2,3.5\\n' > data/rain.csv
cat > days.py <<'END'
{SCRIPT}END
"""
# What is shown, and comments in between.
STEPS = [
    "# A script that reads a file through track()",
    "cat days.py",
    "python days.py",
    "# The file changes: a new version, by itself",
    "echo 3,1.0 >> data/rain.csv",
    "python days.py",
    "lazydata ls --versions",
    "# Share it: git has the list, a directory, bucket or SSH server the data",
    "lazydata add-remote ~/share && lazydata push",
    "git add . && git commit -qm 'Rain' && git clone -q . ~/clone",
    "# Somebody else runs the script, with a store of their own",
    "cd ~/clone && export LAZYDATA_HOME=~/friend",
    "python days.py",
]


def play(home: str) -> list[str]:
    """Run the steps in an empty home; the lines of the terminal."""
    env = {
        "HOME": home,
        "PATH": os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]),
        "LANG": "C.UTF-8",
        **{
            f"GIT_{who}_{what}": "me"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        },
    }
    commands = [step for step in STEPS if not step.startswith("#")]
    told = "".join(f"{command}\necho '=== next'\n" for command in commands)
    done = subprocess.run(
        ["bash", "-ec", f"cd\n{BEFORE}{told}"],
        env=env,
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    printed = iter(done.stdout.replace(home, "/home/me").split("=== next\n"))
    lines: list[str] = []
    for step in STEPS:
        lines += [step] if step.startswith("#") else [f"$ {step}", *next(printed).splitlines()]
    return lines


def draw(lines: list[str]) -> str:
    """The terminal as an SVG, in the fonts that the reader has."""
    console = Console(record=True, width=WIDTH, file=open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    with console.file:
        for line in lines:
            style = "dim" if line.startswith("#") else "bold" if line.startswith("$ ") else ""
            console.print(Text(line, style), soft_wrap=True)
        svg = console.export_svg(title="the first minute", unique_id="minute")
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        PICTURE.write_text(draw(play(os.path.realpath(home))), encoding="utf-8")


if __name__ == "__main__":
    main()
