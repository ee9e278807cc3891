"""Drivers: the only code that knows how the process waits. One file a way of waiting.

Everything else awaits what `Driver.waiter()` gives, so the same coroutines run under an event loop and without one.
"""

from atomhttp._net.drivers.abortable import BrokenOff
from atomhttp._net.drivers.driver import Driver, Waiter

__all__ = ["BrokenOff", "Driver", "Waiter"]
