"""`hwds COMMAND --help`: what its module says, with a sentence on every flag that it takes."""

import ast
import subprocess
import sys
from importlib import import_module

import click
import pytest

from hwds.cli.main import command_files, commands, dispatch, module_of
from hwds.cli.words import Command


def every_command():
    """The words that name each command, those of a group too, and the command."""
    for name in commands():
        main = import_module(module_of(name)).main
        yield [name.replace("_", "-")], main
        yield from (
            ([name, part], command) for part, command in getattr(main, "commands", {}).items()
        )


@pytest.mark.parametrize(
    ("words", "command"), [pytest.param(*each, id=" ".join(each[0])) for each in every_command()]
)
def test_help_says_every_flag_in_a_sentence(words, command, capsys):
    for asked in ("--help", "-h"):
        assert dispatch([*words, asked]) == 0
        said = " ".join(capsys.readouterr().out.split())
        options = [param for param in command.params if isinstance(param, click.Option)]
        assert {"--config-dir"} <= {option.opts[0] for option in options}
        assert all(
            option.opts[0] in said and (option.help or "").endswith(".") for option in options
        )
    if len(words) == 1:
        text = ast.get_docstring(ast.parse(command_files()[words[0].replace("-", "_")].read_text()))
        assert " ".join(text.split()) in said


def test_help_does_not_depend_on_the_context_that_asked_first():
    """click keeps the option for help that it first made: a page of all flags may have asked under
    a context of its own.
    """
    command = Command("toy", callback=lambda: None)
    for settings in ({}, {"help_option_names": ["--usage"]}):
        assert command.get_params(click.Context(command, **settings))[-1].opts == ["-h", "--help"]


def test_help_may_stand_behind_other_words(capsys):
    assert dispatch(["show", "something", "-h"]) == 0
    assert "Usage: hwds show" in capsys.readouterr().out
    assert dispatch(["model=forecast/naive", "--help"]) == 0
    assert "--multirun" in capsys.readouterr().out


def test_a_command_is_imported_when_it_is_named(tmp_path):
    code = (
        "import sys\nfrom hwds.cli.main import dispatch\ndispatch(['list', "
        "'sweep'])\nprint(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    imported = {name for name in done.stdout.split() if name.startswith("hwds.cli.commands.")}
    assert imported == {"hwds.cli.commands.list"}
