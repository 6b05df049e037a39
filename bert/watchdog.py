"""Says so when nothing moves: a disk that does not answer, a device or another worker that hangs.

What hangs may be inside TensorFlow, where no exception reaches it, so a thread of its own looks at
what the run is waiting for. TensorFlow lets other threads run while it computes or waits.
"""

import contextlib
import os
import sys
import threading
import time

from absl import logging

# How often the thread looks, in seconds.
_INTERVAL = 1.0
# After the first report; every further one waits twice as long, up to the second.
_NEXT_REPORT = 60.0
_LAST_REPORT = 3600.0
# A look that comes so many intervals late means that the process itself was stopped.
_STOPPED_INTERVALS = 10.0


class _Wait:
    """Something a run waits for, from `__enter__` to `__exit__`."""

    __slots__ = (
        "_outer",
        "_watchdog",
        "hint",
        "next_report",
        "patience",
        "pause",
        "reported",
        "since",
        "what",
    )

    def __init__(
        self,
        watchdog: "Watchdog",
        what: str,
        patience: float,
        hint: str,
    ):
        self._watchdog = watchdog
        self.what = what
        self.patience = patience
        self.hint = hint

    def __enter__(self) -> None:
        self._outer = self._watchdog._current
        self.since = time.monotonic()
        self.next_report = self.patience
        self.pause = self._watchdog._next_report
        self.reported = False
        # The last: from here on the thread may look at it.
        self._watchdog._current = self

    def __exit__(self, *exception: object) -> None:
        self._watchdog._current = self._outer
        if self.reported and exception[0] is None:
            waited = time.monotonic() - self.since
            logging.warning("The run goes on: %s took %.0f s.", self.what, waited)


class Watchdog:
    """Watches one thread, that which enters `expecting`; a context manager.

    The first report comes when the patience is at an end, the next a minute later, and each one
    after that twice as late as the one before, up to an hour.
    """

    def __init__(
        self,
        interval: float = _INTERVAL,
        next_report: float = _NEXT_REPORT,
    ):
        """Prepares it; it watches from `__enter__` on.

        Args:
          interval: How often to look, in seconds.
          next_report: How long after the first report the second comes, in seconds.
        """
        self._interval = interval
        self._next_report = next_report
        self._current: _Wait | None = None
        # Nothing is counted from before this moment.
        self._not_before = 0.0
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._watched: int | None = None

    def expecting(
        self, what: str, patience: float, hint: str = ""
    ) -> contextlib.AbstractContextManager[None]:
        """Returns a context in which something is waited for; one inside another counts alone.

        Args:
          what: What is waited for, as in "the next batch of records".
          patience: After how many seconds that is reported.
          hint: A sentence on what to look at.
        """
        return _Wait(self, what, patience, hint)

    def __enter__(self) -> "Watchdog":
        self._watched = threading.get_ident()
        self._ended.clear()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        last_look = time.monotonic()
        while not self._ended.wait(self._interval):
            now = time.monotonic()
            if now - last_look > _STOPPED_INTERVALS * self._interval:
                # As by Ctrl-Z: what is waited for had no chance to come.
                self._not_before = now
            last_look = now
            wait = self._current
            if wait is not None:
                self._look(wait, now)

    def _look(self, wait: _Wait, now: float) -> None:
        waited = now - max(wait.since, self._not_before)
        if waited >= wait.next_report:
            wait.reported = True
            logging.error(
                "Nothing has moved for %.0f s: the run waits for %s%s.%s",
                waited,
                wait.what,
                self._place(),
                f" {wait.hint}" if wait.hint else "",
            )
            wait.next_report = waited + wait.pause
            wait.pause = min(2 * wait.pause, _LAST_REPORT)

    def _place(self) -> str:
        """Returns where in the program the watched thread is, in brackets."""
        frame = sys._current_frames().get(self._watched)
        if frame is None:
            return ""
        return f" (in {os.path.basename(frame.f_code.co_filename)}, line {frame.f_lineno})"
