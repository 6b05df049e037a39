"""How far a long stage is: a line in the log now and then, with its speed and what is left."""

import time

from absl import logging

_SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Logs how much of a stage is done."""

    def __init__(self, stage: str, total_bytes: int, clock=time.monotonic):
        """Starts the clock.

        Args:
          stage: What is done, such as "Cleaning".
          total_bytes: How much there is to do.
          clock: Returns seconds.
        """
        self._stage = stage
        self._total = total_bytes
        self._clock = clock
        self._started = self._last = clock()
        self._done = 0

    def add(self, num_bytes: int) -> None:
        """Counts bytes that are done, and logs a line if the last one is some time ago."""
        self._done += num_bytes
        now = self._clock()
        if now - self._last >= _SECONDS_BETWEEN_LINES and self._done < self._total:
            self._last = now
            rate = self._done / (now - self._started)
            left = (self._total - self._done) / rate if rate else 0.0
            logging.info(
                "%s: %s of %s (%.0f%%), %.1f MB/s, %s left",
                self._stage,
                megabytes(self._done),
                megabytes(self._total),
                100 * self._done / self._total,
                rate / 1e6,
                duration(left),
            )

    def finish(self) -> None:
        """Logs what it took."""
        seconds = self._clock() - self._started
        logging.info(
            "%s: %s in %s, %.1f MB/s",
            self._stage,
            megabytes(self._done),
            duration(seconds),
            self._done / max(seconds, 1e-9) / 1e6,
        )


def megabytes(num_bytes: float) -> str:
    """Returns a size as people say it."""
    if num_bytes >= 1e9:
        return f"{num_bytes / 1e9:,.2f} GB"
    return f"{num_bytes / 1e6:.1f} MB"


def duration(seconds: float) -> str:
    """Returns a time as people say it."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"
