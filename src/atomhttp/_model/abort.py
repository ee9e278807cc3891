"""AbortController and AbortSignal: giving up a call from outside, as in the DOM and in axios."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from atomhttp._model.checks import bad_value, check_seconds
from atomhttp._redact import redact_value
from atomhttp.errors import AtomHTTPCanceledError


class AbortSignal:
    """Says whether calls are to be given up: what the `signal` option takes. One may serve many calls.

    Made by an AbortController, by `AbortSignal.timeout`, `.any` or `.abort`. Safe to use from any thread, and from
    what may come between any two lines of one: a handler of the operating system's signals, the garbage collector.
    """

    __slots__ = ("__weakref__", "_due", "_first", "_limit", "_listeners", "_reason", "_set", "_timer")

    def __init__(self) -> None:
        # Taken by whoever aborts first, and never given back: nobody waits for it, so nobody can hang.
        self._first = threading.Lock()
        self._set = False
        self._reason: Any = None
        # In order; a dict, so that removing one does not look through all. Who takes one out is the one to call it.
        self._listeners: dict[Callable[[], None], None] = {}
        self._due: float | None = None
        self._limit = 0.0
        # Whose timeout it is; None: its own.
        self._timer: AbortSignal | None = None

    @classmethod
    def abort(cls, reason: Any = None) -> AbortSignal:
        """A signal that has been aborted already."""
        signal = cls()
        signal._abort(reason)
        return signal

    @classmethod
    def timeout(cls, seconds: float | timedelta) -> AbortSignal:
        """A signal that aborts `seconds` from now, whatever waits for it then.

        Raises:
            AtomHTTPOptionError: not a number of seconds, or a negative one.
        """
        limit = check_seconds("seconds", seconds)
        signal = cls()
        signal._limit = limit
        signal._due = time.monotonic() + limit
        return signal

    @classmethod
    def any(cls, signals: Iterable[AbortSignal]) -> AbortSignal:
        """A signal that aborts with the first of `signals`, for that one's reason.

        Raises:
            AtomHTTPOptionError: `signals` are something else.
        """
        if isinstance(signals, AbortSignal) or not isinstance(signals, Iterable):
            raise bad_value("signals", signals, "an iterable of AbortSignals")
        sources = list(signals)
        for source in sources:
            if not isinstance(source, AbortSignal):
                raise bad_value("signals", source, "AbortSignals")
        aborted = next((source for source in sources if source.aborted), None)
        if aborted is not None:
            return cls.abort(aborted.reason)
        signal = cls()
        for source in sources:
            if source._due is not None and (signal._due is None or source._due < signal._due):
                signal._due, signal._timer = source._due, source
            _follow(signal, source)
        return signal

    @property
    def aborted(self) -> bool:
        """Whether it has been aborted."""
        if not self._set and self._due is not None and time.monotonic() >= self._due:
            self._abort(self._time_out())
        return self._set

    def _time_out(self) -> Any:
        """The reason of a timeout that has passed."""
        if self._timer is None:
            return TimeoutError(f"the signal's timeout of {self._limit:g} s has passed")
        self._timer._abort(self._timer._time_out())
        return self._timer._reason

    @property
    def reason(self) -> Any:
        """What `abort` was given; of a timeout, a TimeoutError; None before, and when nothing was given."""
        return self._reason if self.aborted else None

    @property
    def seconds_left(self) -> float | None:
        """Until its timeout, None when it has none."""
        return None if self._due is None else max(0.0, self._due - time.monotonic())

    def throw_if_aborted(self) -> None:
        """Raises AtomHTTPCanceledError when it has been aborted."""
        if self.aborted:
            raise self.error()

    def error(self) -> AtomHTTPCanceledError:
        """The error of a call that has been given up for this signal."""
        if not self.aborted and self._due is not None:
            # By another clock than this one's, its time has come.
            self._abort(self._time_out())
        reason = self._reason
        # Text is meant to be read; in anything else names tell what is not.
        shown = reason if isinstance(reason, str) else redact_value("", reason)
        message = "canceled" if reason is None else f"canceled: {shown}"
        error = AtomHTTPCanceledError(message, reason=reason)
        error.__cause__ = reason if isinstance(reason, BaseException) else None
        return error

    def add_listener(self, listener: Callable[[], None]) -> None:
        """Has `listener` called once, in the thread that aborts; at once when that has happened. It must not raise.

        A timeout calls nobody by itself: whoever waits asks for `seconds_left`.
        """
        self._listeners[listener] = None
        if self._set:
            self._call_listeners()

    def remove_listener(self, listener: Callable[[], None]) -> None:
        """Takes `listener` back; nothing happens when it is not there."""
        self._listeners.pop(listener, None)

    def _abort(self, reason: Any) -> None:
        if not self._first.acquire(blocking=False):
            return
        # A timeout that has passed was first, although nobody has asked.
        is_late = self._due is not None and time.monotonic() >= self._due
        self._reason = self._time_out() if is_late else reason
        self._set = True
        self._call_listeners()

    def _call_listeners(self) -> None:
        for listener in list(self._listeners):
            if self._listeners.pop(listener, self) is None:
                listener()

    def __repr__(self) -> str:
        return f"<AbortSignal{' aborted' if self.aborted else ''}>"

    def __copy__(self) -> AbortSignal:
        # A config that is copied is given up by the same signal.
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> AbortSignal:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        # With configs and responses. What has not been aborted is out of its controller's reach there.
        return (AbortSignal.abort, (self._reason,)) if self.aborted else (AbortSignal, ())


def _follow(signal: AbortSignal, source: AbortSignal) -> None:
    """Has `signal` aborted with `source`, which does not keep it alive: that may serve, and outlive, many."""
    follower = weakref.ref(signal)

    def abort() -> None:
        found = follower()
        if found is not None:
            found._abort(source.reason)

    source.add_listener(abort)
    weakref.finalize(signal, source.remove_listener, abort).atexit = False


class AbortController:
    """Ends calls: `client.get(url, signal=controller.signal)`, then, from any task or thread, `controller.abort()`.

    What is ended raises AtomHTTPCanceledError. An AbortController aborts once; a new call wants a new one.
    """

    __slots__ = ("signal",)

    def __init__(self) -> None:
        self.signal = AbortSignal()

    def abort(self, reason: Any = None) -> None:
        """Ends the calls that have its signal, and those that will. Twice is fine; the first reason stays."""
        self.signal._abort(reason)

    def __repr__(self) -> str:
        return f"<AbortController{' aborted' if self.signal.aborted else ''}>"


def check_signal(name: str, value: Any) -> AbortSignal | None:
    """The `signal` option."""
    if value is None or isinstance(value, AbortSignal):
        return value
    hint = " (did you mean controller.signal?)" if isinstance(value, AbortController) else ""
    raise bad_value(name, value, f"an AbortSignal or None{hint}")
