"""Let a signal stop the process wherever it arrives.

A handler raises its exception in whatever Python code runs at that moment. In a callback of the
garbage collector, such as JAX has, or in a `__del__`, Python prints the exception and goes on as if
nobody had asked it to stop.
"""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

SECONDS_UNTIL_REPEATED = 0.05

SIGNAL_OF = {KeyboardInterrupt: signal.SIGINT, SystemExit: signal.SIGTERM}


@contextmanager
def lost_stops_repeated() -> Iterator[None]:
    """Send a signal again whose exception Python could not pass on; others go on as before."""
    before = sys.unraisablehook

    def repeat_or_pass_on(lost: "UnraisableHookArgs") -> None:
        number = SIGNAL_OF.get(lost.exc_type)
        if number is None or not callable(signal.getsignal(number)):  # no handler raised it
            before(lost)
            return
        # Raised here, it would be lost again: this runs in the place that could not pass it on.
        again = threading.Timer(SECONDS_UNTIL_REPEATED, _send, [number])
        again.daemon = True
        again.start()

    sys.unraisablehook = repeat_or_pass_on
    try:
        yield
    finally:
        sys.unraisablehook = before


def _send(number: int) -> None:
    main = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and main is not None:  # it also ends a wait
        signal.pthread_kill(main, number)
    else:
        signal.raise_signal(number)
