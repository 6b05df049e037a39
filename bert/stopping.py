"""A stop by Ctrl-C or SIGTERM that waits for the step on the way and the checkpoint after it."""

import signal
from types import FrameType, TracebackType

from absl import logging

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Takes the place of the signals' usual effect while it is entered.

    The first signal is only noted. A second one has the usual effect, at once.

    Attributes:
      exit_code: 128 and the number of the signal; 0 while there was none.
    """

    def __init__(self) -> None:
        self.exit_code = 0
        self._usual: dict[int, object] = {}

    def requested(self) -> bool:
        """Whether a signal has come."""
        return bool(self.exit_code)

    def __enter__(self) -> "StopRequest":
        for number in _SIGNALS:
            self._usual[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.exit_code = 128 + number
        self._restore()
        logging.warning(
            "%s: stopping after this step, with a checkpoint. Once more stops at once.",
            signal.Signals(number).name,
        )

    def _restore(self) -> None:
        for number, handler in self._usual.items():
            signal.signal(number, handler)
        self._usual = {}
