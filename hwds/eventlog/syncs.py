"""SharedSyncs: threads that wait for the disk at once share a wait of one of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

MOST = 1 << 30
"""More threads than there are: all who wait."""


class SharedSyncs:
    """The waits of several threads for the entries of one log.

    While one thread waits for the disk, the others wait for it, or for the next, which begins when this one has ended and has
    all that was appended meanwhile. A thread is woken once its own entries are there, and one of those that are left to begin
    the next; to wake all of them each time would cost more than their decisions do.

    After a failure all are refused for good: a later sync may succeed though the disk lacks what the failed one was for.
    """

    def __init__(self) -> None:
        lock = threading.Lock()
        self._lock, self._covered, self._left = lock, threading.Condition(lock), threading.Condition(lock)
        self._done = self._covers = 0
        self._running = False
        self._error: OSError | None = None

    def wait(self, number: int, appended: Callable[[], int], sync: Callable[[], None]) -> None:
        """Return once the disk has the entries up to a number.

        Args:
            number: Of the last entry that is waited for.
            appended: Returns the number of the last entry of all.
            sync: Brings to the disk what was appended before the call.

        Raises:
            OSError: The disk has them perhaps not.
        """
        with self._lock:
            if not self._leads(number):
                return
            self._running, self._covers = True, appended()
            self._covered, self._left = self._left, self._covered
        done = self._done
        try:
            sync()
            done = self._covers
        except OSError as error:
            self._error = error
            raise
        finally:
            with self._lock:
                self._running, self._done = False, max(self._done, done)
                self._covered.notify_all()
                self._left.notify(1 if self._error is None else MOST)

    def _leads(self, number: int) -> bool:
        """Wait until the entries are there, and return False; or until nobody brings them there, and return True.

        Raises:
            OSError: A sync has failed.
        """
        was_left = False
        while self._done < number and self._running and self._error is None:
            was_left = number > self._covers
            (self._left if was_left else self._covered).wait()
        if self._error is not None:
            raise self._error
        if self._done < number:
            return True
        if was_left and not self._running:  # woken to lead, and there is no need: another one may have it
            self._left.notify()
        return False

    def reached(self, number: int) -> None:
        """Note that the disk has the entries up to a number."""
        self._done = max(self._done, number)

    @contextmanager
    def none(self) -> Iterator[None]:
        """Hold off all syncs within the block, once the one that runs has ended."""
        with self._lock:
            while self._running:
                self._covered.wait()
            yield
