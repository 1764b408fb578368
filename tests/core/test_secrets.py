import sys
from datetime import date

import pytest
from rich.console import Console

from hwds.core.secrets import (
    data_without_secrets,
    filter_secrets,
    remember,
    visible,
    without_secrets,
)
from hwds.report.grid import grid_of
from hwds.report.leaderboard import print_grids
from hwds.results.folder import RunFolder


def test_a_secret_of_the_environment_and_the_password_of_an_address_are_not_shown(
    monkeypatch, tmp_path
):
    monkeypatch.setenv("WANDB_API_KEY", "planted-0123456789")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "/planted+abcdef")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path))  # a path is none
    told = (
        f"{tmp_path}?key=planted-0123456789&s=/planted+abcdef https://me:pass@host/x?at=a@b "
        f"git@host:x"
    )
    assert without_secrets(told) == f"{tmp_path}?key=***&s=*** https://***@host/x?at=a@b git@host:x"


def test_data_stays_data_whatever_a_secret_is(monkeypatch):
    monkeypatch.setenv("MAX_TOKENS", "100000")
    monkeypatch.setenv("DB_PASSWORD", "dataset")
    monkeypatch.setenv("QUOTED_SECRET", 'say "ß"!')
    told = {
        "dataset": {"rows": 100000, "path": 'x?say "ß"!', "since": date(2024, 1, 1)},
        "seeds": (1, None, True),
    }
    assert data_without_secrets(told) == {
        "dataset": {"rows": 100000, "path": "x?***", "since": "2024-01-01"},
        "seeds": [1, None, True],
    }


@pytest.mark.parametrize("word", ["short", ""])
def test_a_short_word_is_no_secret(monkeypatch, word):
    monkeypatch.setenv("MY_TOKEN", word)
    assert without_secrets("a short word") == "a short word"


def test_a_config_names_the_variable_and_is_read_back(monkeypatch, tmp_path):
    monkeypatch.setenv("DATA_TOKEN", "planted-0123456789")
    monkeypatch.setenv("DB_PASSWORD", "forecast")
    model = {"name": "forecast/theta", "note": "a forecast"}
    config = {
        "dataset": {"path": ["https://x/?key=planted-0123456789"]},
        "model": model,
        "protocol": {},
        "seed": 0,
    }
    folder = RunFolder(tmp_path)
    folder.write_config(config)
    assert not any("planted" in path.read_text() for path in tmp_path.iterdir())
    assert folder.read_config()["dataset"]["path"] == ["https://x/?key=${oc.env:DATA_TOKEN}"]
    assert folder.read_config()["model"] == {
        "name": "forecast/theta",
        "note": "a ${oc.env:DB_PASSWORD}",
    }
    assert folder.read_config(secrets=True) == config
    monkeypatch.delenv("DATA_TOKEN")
    assert folder.read_config(secrets=True)["dataset"]["path"] == [
        "https://x/?key=${oc.env:DATA_TOKEN}"
    ]


@pytest.mark.parametrize(
    "name", ["MY_PASS", "DB_URL", "SENTRY_DSN", "DATABASE_URI", "DB_PASSPHRASE", "BASIC_AUTH"]
)
def test_a_variable_may_be_a_secret_by_its_name(monkeypatch, name):
    monkeypatch.setenv(name, "planted-0123456789")
    assert without_secrets("x planted-0123456789") == "x ***"


@pytest.mark.parametrize("name", ["BYPASS_CACHE", "AUTHOR", "SITE_URL", "PASSES"])
def test_other_names_are_none(monkeypatch, name):
    monkeypatch.setenv(name, "planted-0123456789")
    assert without_secrets("x planted-0123456789") == "x planted-0123456789"


@pytest.mark.parametrize(
    ("value", "shown"),
    [("acme-shop", "***"), ("2024", "2024"), ("100000", "100000"), ("acme", "acme")],
)
def test_what_a_config_was_given_is_one_unless_it_is_a_number_or_a_short_word(
    monkeypatch, value, shown
):
    monkeypatch.setenv("SHOP", value)
    monkeypatch.setenv("HWDS_CONFIG_ENV", "")
    remember("SHOP")
    assert without_secrets(value) == shown


def test_a_library_that_closes_its_stream_does_not_close_the_hosts(capsys):
    with filter_secrets():
        kept = sys.stderr
    kept.close()
    print("still open", file=sys.stderr)
    assert capsys.readouterr().err == "still open\n"


def test_what_is_printed_is_filtered_even_where_it_was_remembered_later(monkeypatch, capsys):
    monkeypatch.setenv("SHOP", "acme-shop")
    monkeypatch.setenv("HWDS_CONFIG_ENV", "")
    with filter_secrets():
        print("acme-shop")
        remember("SHOP")
        print("acme-shop", file=sys.stderr)
        sys.stdout.writelines(["acme-shop", " postgres://me:pass@host/x"])
    assert capsys.readouterr() == ("acme-shop\n*** postgres://***@host/x", "***\n")


HOSTILE = "note\x1b[2J\x07\x9b1m \u202egnp.exe \u2066\u200e\u2028\x00 end"
ESCAPED = r"note\u001b[2J\u0007\u009b1m \u202egnp.exe \u2066\u200e\u2028\u0000 end"


def test_what_is_printed_moves_hides_and_turns_no_other_text(capsys):
    with filter_secrets():
        print(HOSTILE)
        print("a\rb\x1b[31m", file=sys.stderr)
        print("\r\x1b[Kcells 1/2", file=sys.stderr)
        print("tab\there, עברית, 👩‍🔬\r\n", end="")
    shown = capsys.readouterr()
    assert shown.out == f"{ESCAPED}\ntab\there, עברית, 👩‍🔬\r\n"
    assert shown.err == "a\\u000db\\u001b[31m\n\r\x1b[Kcells 1/2\n", (
        "only a line of progress begins anew"
    )
    assert visible(HOSTILE) == ESCAPED


def test_a_terminal_has_the_colours_of_tables_and_none_of_the_texts_in_them(monkeypatch, capsys):
    grid = grid_of([("note", "note\x1b[8m")], [[HOSTILE]], caption="\x1b[31mof")
    with filter_secrets():
        monkeypatch.setattr(sys.stdout._stream, "isatty", lambda: True, raising=False)
        print_grids([grid], [f"note {HOSTILE}"], HOSTILE, Console(force_terminal=True, width=200))
    shown = capsys.readouterr().out
    assert shown.count(ESCAPED) == 3
    assert "\x1b[33mnote " in shown
    assert "\x1b[8m" not in shown
    assert "\x1b[31m" not in shown
