"""Makes the items of an iterator some ahead of their use, in a thread that ends when it should."""

import atexit
import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

Item = TypeVar("Item")

_ITEMS_AHEAD = 8
# How often the thread looks whether it is still wanted, in seconds.
_PATIENCE = 0.1
# How long to wait for the end of a thread that a disk or a network may hold up, in seconds.
_LONGEST_WAIT = 10.0


def read_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yields `items`, made in a thread that ends when this generator is closed."""
    ready: queue.Queue[Item | BaseException | None] = queue.Queue(_ITEMS_AHEAD)
    wanted = threading.Event()
    wanted.set()

    def put(item: Item | BaseException | None) -> None:
        while wanted.is_set():
            try:
                return ready.put(item, timeout=_PATIENCE)
            except queue.Full:
                continue

    def fill() -> None:
        try:
            for item in items:
                put(item)
                if not wanted.is_set():
                    return
            put(None)
        except BaseException as error:  # noqa: B036 - raised again where the item is taken
            put(error)

    thread = threading.Thread(target=fill, name="records", daemon=True)

    def stop() -> None:
        wanted.clear()
        thread.join(_LONGEST_WAIT)

    thread.start()
    # Where the generator is never closed. When the interpreter has begun to shut down, a thread
    # cannot end any more, and waiting for it would never end.
    atexit.register(stop)
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        atexit.unregister(stop)
        stop()
