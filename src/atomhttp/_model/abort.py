"""AbortController and AbortSignal: giving up a call from outside, as in the DOM and in axios."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, NoReturn

from atomhttp._model.checks import bad_value, check_seconds
from atomhttp.errors import AtomHTTPCanceledError


class AbortSignal:
    """Says whether calls are to be given up: what the `signal` option takes. One may serve many calls.

    Made by an AbortController, by `AbortSignal.timeout`, `.any` or `.abort`. Safe to use from any thread.
    """

    __slots__ = ("__weakref__", "_due", "_limit", "_listeners", "_lock", "_reason", "_set")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._set = False
        self._reason: Any = None
        # In order; a dict, so that removing one does not look through all.
        self._listeners: dict[Callable[[], None], None] = {}
        self._due: float | None = None
        self._limit = 0.0

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
        if limit is None:
            raise bad_value("seconds", seconds, "seconds or a timedelta")
        signal = cls()
        signal._limit = limit
        signal._due = time.monotonic() + limit
        return signal

    @classmethod
    def any(cls, signals: Iterable[AbortSignal]) -> AbortSignal:
        """A signal that aborts with the first of `signals`, for that one's reason."""
        signal = cls()
        for source in signals:
            if not isinstance(source, AbortSignal):
                raise bad_value("signals", source, "AbortSignals")
            if source._due is not None and (signal._due is None or source._due < signal._due):
                signal._due, signal._limit = source._due, source._limit
            source.add_listener(lambda source=source: signal._abort(source.reason))  # type: ignore[misc]  # bound early
        return signal

    @property
    def aborted(self) -> bool:
        """Whether it has been aborted."""
        if not self._set and self._due is not None and time.monotonic() >= self._due:
            self._abort(self._timed_out())
        return self._set

    def _timed_out(self) -> TimeoutError:
        return TimeoutError(f"the signal's timeout of {self._limit:g} s has passed")

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
            self._abort(self._timed_out())
        reason = self._reason
        message = "canceled" if reason is None else f"canceled: {reason}"
        error = AtomHTTPCanceledError(message, reason=reason)
        error.__cause__ = reason if isinstance(reason, BaseException) else None
        return error

    def add_listener(self, listener: Callable[[], None]) -> None:
        """Has `listener` called once, in the thread that aborts; at once when that has happened. It must not raise.

        A timeout calls nobody by itself: whoever waits asks for `seconds_left`.
        """
        with self._lock:
            if not self._set:
                self._listeners[listener] = None
                return
        listener()

    def remove_listener(self, listener: Callable[[], None]) -> None:
        """Takes `listener` back; nothing happens when it is not there."""
        with self._lock:
            self._listeners.pop(listener, None)

    def _abort(self, reason: Any) -> None:
        with self._lock:
            if self._set:
                return
            self._reason = reason
            self._set = True
            listeners, self._listeners = list(self._listeners), {}
        for listener in listeners:
            listener()

    def __repr__(self) -> str:
        return f"<AbortSignal{' aborted' if self.aborted else ''}>"

    def __copy__(self) -> AbortSignal:
        # A config that is copied is given up by the same signal.
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> AbortSignal:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("an AbortSignal belongs to its process and cannot be pickled")


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
