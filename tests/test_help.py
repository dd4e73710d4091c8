"""What ``--help`` says: each command teaches by lines that can be typed."""

import shlex

import pytest
import typer

from lazydata.cli.app import app
from lazydata.cli.examples import EXAMPLES, FIRST_STEPS

WIDTH = 80  # columns


def commands(command=None, names=()):
    """The names of every command and of every group, each with the command itself."""
    command = command or typer.main.get_command(app)
    yield names, command
    for name, each in getattr(command, "commands", {}).items():
        yield from commands(each, (*names, name))


SHOWN = {" ".join(names): command for names, command in commands() if not command.hidden}
GROUPS = [name for name, command in SHOWN.items() if hasattr(command, "commands")]
COMMANDS = {name: command for name, command in SHOWN.items() if name not in GROUPS}


def test_every_command_has_examples_and_nothing_else_has():
    assert set(EXAMPLES) == set(COMMANDS)


@pytest.mark.parametrize(
    ("name", "line"),
    [(name, line) for name, lines in EXAMPLES.items() for line, _ in lines]
    + [(line.split()[1], line) for line, _ in FIRST_STEPS],
)
def test_an_example_is_understood(name, line):
    words = shlex.split(line.partition(" > ")[0])
    names = name.split()
    assert words[: len(names) + 1] == ["lazydata", *names]
    COMMANDS[name].make_context(name, words[len(names) + 1 :]).close()  # an error if it is not


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_the_terminal_and_shows_its_examples(name):
    shown = COMMANDS[name].get_help(typer.Context(COMMANDS[name], info_name=name))
    assert max(map(len, shown.splitlines())) <= WIDTH
    for line, what in EXAMPLES[name]:
        assert f"  {line}\n" in shown
        assert what in shown


@pytest.mark.parametrize("name", GROUPS)
def test_a_list_of_commands_cuts_no_sentence(name):
    shown = SHOWN[name].get_help(
        typer.Context(SHOWN[name], info_name=f"lazydata {name}".strip(), terminal_width=80)
    )
    assert [line for line in shown.splitlines()[1:] if line.endswith("...")] == []


def test_the_first_steps_are_shown(desk):
    shown = desk.run_cli("--help").stdout
    for line, what in FIRST_STEPS:
        assert f"    {line}\n        {what}\n" in shown
