"""The words after a command: what they are read as, and how they are refused."""

import os

import click
import pytest

from hwds.cli.words import (
    AS_JSON,
    FILE,
    NUMBER,
    RUN,
    Group,
    OneOf,
    ReadValue,
    WholeNumber,
    command,
    exactly,
)
from hwds.core.errors import ConfigError


@command(name="serve")
@click.argument("run", nargs=-1, type=RUN, callback=exactly(1, "run"))
@click.option("--store", type=FILE)
@click.option("--sort")
@click.option("--margin", type=NUMBER)
@click.option("--count", type=WholeNumber(1, 9))
@click.option("--to", type=OneOf("csv", "xlsx"))
@click.option(
    "--pair",
    type=ReadValue("pair", lambda text: tuple(map(int, text.split(","))), "two numbers like 1,2"),
)
@AS_JSON
def serve(**given):
    return {name: value for name, value in given.items() if value is not None}


@click.group("hwds")
def program():
    pass


program.add_command(serve)


def parsed(*words):
    with serve.make_context(
        "serve", list(words), parent=click.Context(program, info_name="hwds")
    ) as ctx:
        return serve.invoke(ctx)


def test_names_and_flags_go_in_any_order():
    wanted = {"run": "a", "store": "x.db", "margin": 0.01, "count": 3, "as_json": True}
    assert parsed("a", "--store", "x.db", "--json", "--margin=0.01", "--count", "3") == wanted
    assert parsed("--count=3", "--json", "--store=x.db", "a", "--margin", "1e-2") == wanted
    assert parsed("a", "--sort", "-mase", "--count", "1", "--count", "2") == {
        "run": "a", "sort": "-mase", "count": 2, "as_json": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("a --stor x", "serve: no flag '--stor'; did you mean '--store'?"),
        ("a --store", "serve: --store must be followed by a file."),
        ("a --store --json", "serve: --store must be followed by a file."),
        ("a --store=", "serve: --store must be followed by a file."),
        ("a --sort", "serve: --sort must be followed by a value."),
        ("a --to", "serve: --to must be followed by csv, xlsx."),
        ("a --to cvs", "--to: must be one of csv, xlsx, got 'cvs'; did you mean 'csv'?"),
        ("a --to ???", "--to: must be one of csv, xlsx, got '???'."),
        ("a --json=1", "serve: --json takes no value."),
        ("a --margin x", "--margin: must be a number, got 'x'."),
        ("a --count x", "--count: must be a whole number, got 'x'."),
        ("a --count 0", "--count: must be at least 1, got 0."),
        ("a --count 10", "--count: must be at most 9, got 10."),
        ("a --pair 1,b", "--pair: must be two numbers like 1,2, got '1,b'."),
        ("", "serve: must be followed by one run, got 0."),
        ("a b", "serve: must be followed by one run, got 2."),
        ("a --config-dir no_such", "--config-dir: must be followed by a folder, got 'no_such'."),
    ],
)
def test_refused(words, said, monkeypatch):
    monkeypatch.delenv("HWDS_CONF", raising=False)
    with pytest.raises(ConfigError) as refused:
        parsed(*words.split())
    assert str(refused.value) == said
    assert "HWDS_CONF" not in os.environ


def test_the_word_of_a_group_is_one_of_its_commands():
    group = Group("prune", commands={"runs": serve, "cache": serve})
    with pytest.raises(
        ConfigError, match=r"must be followed by runs or cache, got 'rns'; did you mean 'runs'\?"
    ):
        group.get_command(click.Context(group, info_name="prune"), "rns")
