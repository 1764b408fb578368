"""Something that is done now and then beside the work, however long the work's parts take."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event, Thread


class Heartbeat:
    """A thread that calls `beat`, the first time after a pause; it may be stopped and started again.

    Args:
        beat: What is called.
        pause: Seconds between two calls.
        share: From then on a pause is this share of the time since the beginning: a night is some hundred beats, no thousand.
    """

    def __init__(self, beat: Callable[[], None], pause: float, share: float = 0.0) -> None:
        self.beat, self.pause, self.share = beat, pause, share
        self.began = self.last = time.monotonic()
        self.over = Event()
        self.thread: Thread | None = None

    def start(self) -> None:
        """Begin, or go on: the time that it was stopped counts."""
        if self.thread is None:
            self.over.clear()
            self.thread = Thread(target=self._beat, daemon=True)
            self.thread.start()

    def stop(self) -> None:
        """No more calls, and the last one is over."""
        if self.thread is not None:
            self.over.set()
            self.thread.join()
            self.thread = None

    def _beat(self) -> None:
        while not self.over.wait(self._wait()):
            self.last = time.monotonic()
            self.beat()

    def _wait(self) -> float:
        pause = max(self.pause, self.share * (self.last - self.began))
        return max(self.last + pause - time.monotonic(), 0.0)
