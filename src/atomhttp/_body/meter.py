"""Bytes on their way, counted: progress for the caller's callback, and `maxRate`.

Both are told of content as it travels, after content coding and before framing and TLS. Nothing here reads a clock or
waits by itself: the driver does.
"""

from __future__ import annotations

from typing import Any, Final

from atomhttp._body.encode import BodyReader, IteratorBody, StreamedBody
from atomhttp._model.callables import call_user, required_positionals
from atomhttp.progress import ProgressBar, ProgressEvent, Speedometer

# A callback is called once for so many bytes, at the least.
STEP: Final = 256 * 1024
# What an idle direction saves up for later: half a second's worth, axios's window.
WINDOW: Final = 0.5
# Seconds slept at once at the most, however small the rate: poll(2) takes 24 days and no more.
_DAY: Final = 86400.0


class Meter:
    """Reports one transfer to the caller's callback: growing counts, and a last call with the final one.

    Args:
        callback: sync or async. With one required positional parameter it gets a ProgressEvent, else (loaded, total).
        total: the bytes to come; None or 0 when unknown, and the callback is then told 0, to the end.
        driver: has the clock, and waits for what the callback awaits.
        due: when there is no more time for async callbacks, on the driver's clock; None: no limit.
        upload: whether it is the request's content, else the response's.

    Attributes:
        driver, due: may be replaced between two calls: a synchronous stream is read by one unit now, by another then.

    What the callback raises passes through. When `due` has come there is a TimeoutError, the built-in one: only
    who holds the deadline can tell which limit passed in which phase, and makes the right error of it.
    """

    __slots__ = ("_callback", "_called", "_loaded", "_speed", "_total", "_upload", "driver", "due")

    def __init__(self, callback: Any, total: int | None, driver: Any, due: float | None, upload: bool) -> None:
        self.driver = driver
        self.due = due
        self._callback = callback
        self._total = total or 0
        self._upload = upload
        self._loaded = 0
        self._called = False
        takes_event = required_positionals(callback, 2) == 1
        self._speed = Speedometer(driver.now()) if takes_event else None

    def skip(self, count: int) -> None:
        """So many bytes had passed before: those to come are counted from there, and are that many more in all."""
        self._loaded = count
        if self._total:
            self._total += count
        if self._speed is not None:
            self._speed = Speedometer(self.driver.now(), count)

    async def add(self, count: int) -> None:
        """So many bytes more have passed."""
        while count > 0:
            step = min(count, STEP)
            count -= step
            await self._report(step)

    async def finish(self) -> None:
        """All has passed. The last `add` has reported it; if there was none, the content was empty: one call (0, 0)."""
        if not self._called:
            # The answer to HEAD announces a length, but nothing of it comes.
            self._total = 0
            await self._report(0)
        self.close()

    def close(self) -> None:
        """Nothing more passes, for whatever reason: a progress bar may end its line."""
        if isinstance(self._callback, ProgressBar):
            self._callback.finish()

    async def _report(self, count: int) -> None:
        if self.due is not None and self.driver.now() >= self.due:
            # Callbacks that block have used up the time, and nobody else has waited meanwhile.
            raise TimeoutError("the deadline came between two progress callbacks")
        self._called = True
        self._loaded += count
        if self._speed is None:
            await call_user(self.driver, self.due, self._callback, self._loaded, self._total)
        else:
            await call_user(self.driver, self.due, self._callback, self._event(count, self._speed))

    def _event(self, count: int, speed: Speedometer) -> ProgressEvent:
        loaded, total = self._loaded, self._total
        rate = speed.measure(self.driver.now(), loaded)
        return ProgressEvent(
            loaded=loaded,
            total=total,
            progress=loaded / total if total else None,
            bytes=count,
            rate=rate,
            estimated=(total - loaded) / rate if total and rate else None,
            upload=self._upload,
            download=not self._upload,
        )


class Throttle:
    """Lets at most `rate` bytes per second pass, and at once what half a second would let pass (axios: maxRate).

    In the first T seconds that is `rate * (T + 0.5)` bytes at the most, and all of it if there is so much: what waking
    up late has cost is made up for, up to half a second.

    Args:
        rate: bytes per second.
        driver: has the clock, and sleeps (`Driver.sleep`).
        due: when there is no more time to wait, on the driver's clock; None: no limit.

    Attributes:
        driver, due: may be replaced between two calls, as a Meter's.
        piece: the most that should be spent at once, in bytes: half a second's worth.
    """

    __slots__ = ("_paid_until", "_rate", "driver", "due", "piece")

    def __init__(self, rate: float, driver: Any, due: float | None) -> None:
        self.driver = driver
        self.due = due
        self.piece = max(1, int(rate * WINDOW))
        self._rate = rate
        # Each byte takes 1 / rate seconds of the direction's time; this is how far its time has been given away. It
        # may be ahead of the clock only while somebody waits, and behind it by half a second at the most.
        self._paid_until = driver.now() - WINDOW

    async def spend(self, count: int) -> None:
        """Waits until `count` bytes may pass. They count even if the wait is broken off.

        Raises:
            TimeoutError: `due` came first. The built-in one, as from `Driver.foreign`: see `Meter`.
        """
        now = self.driver.now()
        start = max(self._paid_until, now - WINDOW)
        until = self._paid_until = start + count / self._rate
        while now < until:
            due = self.due
            if due is not None and now >= due:
                raise TimeoutError("the deadline came while maxRate held the transfer back")
            await self.driver.sleep(min(_DAY, (until if due is None else min(until, due)) - now))
            now = self.driver.now()


class MeteredBody(StreamedBody):
    """A request's content whose progress is reported, whose rate is limited, or both.

    Length and replayability are those of what it wraps. Each `open` counts from 0.

    Args:
        body: bytes, or another body.
        callback: see `Meter`; None: nobody wants to know.
        rate: bytes per second; None or 0: no limit.
    """

    def __init__(self, body: bytes | StreamedBody, callback: Any | None, rate: float | None) -> None:
        if isinstance(body, bytes):
            body = IteratorBody((body,), len(body))
        super().__init__(body.length, body.replayable)
        self._body = body
        self._callback = callback
        self._rate = rate

    def _start(self, driver: Any, due: float | None) -> BodyReader:
        self._body.bind(driver, due)
        reader = self._body.open()
        meter = Meter(self._callback, self.length, driver, due, upload=True) if self._callback is not None else None
        throttle = Throttle(self._rate, driver, due) if self._rate else None
        return MeteredReader(reader, meter, throttle)


class MeteredReader(BodyReader):
    """Reads a MeteredBody. Who asks for the next piece says with it that the socket took the one before."""

    def __init__(self, reader: BodyReader, meter: Meter | None, throttle: Throttle | None) -> None:
        self._reader = reader
        self._meter = meter
        self._throttle = throttle
        self._size = STEP if throttle is None else min(STEP, throttle.piece)
        # What was read and not given away yet begins at `_offset`.
        self._held: bytes | memoryview = b""
        self._offset = 0
        # What was given away and not reported yet.
        self._given = 0

    async def read(self) -> bytes:
        return bytes(await self.lend())

    async def lend(self) -> bytes | memoryview:
        await self.settle()
        if self._offset == len(self._held):
            self._held, self._offset = await self._reader.lend(), 0
            if not self._held:
                if self._meter is not None:
                    await self._meter.finish()
                return b""
        piece = self._held[self._offset : self._offset + self._size]
        if self._throttle is not None:
            await self._throttle.spend(len(piece))
        self._offset += len(piece)
        self._given = len(piece)
        return piece

    async def settle(self) -> None:
        """The socket took the piece given last: reports it. For who will not ask for another; twice is fine."""
        given, self._given = self._given, 0
        if self._meter is not None:
            await self._meter.add(given)

    def close(self) -> None:
        self._reader.close()
        if self._meter is not None:
            self._meter.close()
