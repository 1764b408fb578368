"""What the process of a command line does around the command."""

import signal
import sys
import time

import pytest

from hwds.cli import main


def press():
    signal.raise_signal(signal.SIGINT)  # to this thread: another might be told later


def press_twice(pause, cleaned):
    with main.interrupted_once():
        try:
            press()
        finally:
            time.sleep(pause)
            press()
            cleaned.append(True)


def test_a_press_that_arrives_twice_interrupts_once():
    cleaned = []
    with pytest.raises(KeyboardInterrupt):
        press_twice(0, cleaned)
    assert cleaned
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_third_press_interrupts_again():
    with main.interrupted_once():
        with pytest.raises(KeyboardInterrupt):
            press()
        press()
        with pytest.raises(KeyboardInterrupt):
            press()


def test_a_second_press_interrupts_what_cleans_up(monkeypatch):
    monkeypatch.setattr(main, "SAME_PRESS", 0.01)
    cleaned = []
    with pytest.raises(KeyboardInterrupt):
        press_twice(0.05, cleaned)
    assert not cleaned


def closes(ended):
    try:
        yield
    finally:
        press()
        ended.append(True)


def stop_while_it_yields(ended):
    for _ in closes(ended):
        raise KeyboardInterrupt


def test_a_signal_that_a_library_has_answered_itself_interrupts_no_closing(monkeypatch):
    ended, lost = [], []
    monkeypatch.setattr(sys, "unraisablehook", lost.append)
    with main.interrupted_once(), pytest.raises(KeyboardInterrupt):
        stop_while_it_yields(ended)
    assert (ended, lost) == ([True], [])


def test_an_interrupt_that_a_host_ignores_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with main.interrupted_once():
            press()
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
