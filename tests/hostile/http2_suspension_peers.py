"""Who serves HTTP/2 in a network in memory: an origin whose frames are made and judged by `h2`.

Its paths are as those of the origin of HTTP/1.1: `/KIND/anything`, and KIND says how it answers (see `ANSWERS`). What a
client must not send raises in `h2`, and so ends the run.

A `Break` makes one connection of its network go wrong behind a frame, or in the middle of one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.settings import SettingCodes, Settings

from hostile.suspension_network import Network
from support.http2_peer import PREFACE, goaway

Steps = Generator[None, None, None]

# More than a stream's window, 1 MiB: it has to be opened on the way.
LARGE = 1_200_000
MIDDLING = 70_000
STREAMS = 100


@dataclass
class Break:
    """What goes wrong on the first connection of a network, behind the frame number `at` of the peer's, from 0.

    Attributes:
        kind: "end", "reset", "half" (that frame's second half does not come any more, and then the end), "silence",
            "goaway" (which names the streams that were opened), "goaway, nothing done", and "rst" with the name of a
            code: the streams that are open.
        frames: how many the peer has sent.
        met: whether it came to that.
    """

    kind: str
    at: int
    frames: int = 0
    met: bool = False

    def is_next(self) -> bool:
        """One more frame goes out: whether it is the one."""
        self.frames += 1
        self.met = self.met or self.frames == self.at + 1
        return self.frames == self.at + 1


@dataclass(slots=True)
class Exchange:
    """A request, and what is left of the content of its answer."""

    line: str
    size: int = 0
    is_complete: bool = False
    left: memoryview = field(default_factory=lambda: memoryview(b""))
    trailers: tuple[tuple[str, str], ...] = ()
    is_answered: bool = False

    @property
    def kind(self) -> str:
        return self.line.split("/")[1]

    @property
    def echo(self) -> bytes:
        """What the answer holds."""
        return f"{self.line} {self.size}".encode()


def http2_origin(streams: int = STREAMS, broken: Break | None = None) -> Callable[[Any], Steps]:
    """Serves HTTP/2 until the client has left; `streams` at once. `broken` is for the network's first connection."""

    def serve(wire: Any) -> Steps:
        first = len(wire.network.wires) == 1
        yield from Conversation(wire, streams, broken if first else None).run()

    return serve


class Conversation:
    """One connection."""

    def __init__(self, wire: Any, streams: int, broken: Break | None) -> None:
        self.network: Network = wire.network
        self.engine = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self.engine.local_settings = Settings(
            client=False, initial_values={SettingCodes.MAX_CONCURRENT_STREAMS: streams}
        )
        self.answered = 0
        self._wire = wire
        self._exchanges: dict[int, Exchange] = {}
        self._newest = 0
        # The last stream that is answered, once that has been said (GOAWAY).
        self._last: int | None = None
        self._break = broken
        self._held = b""
        self._over = False
        self._silent = False

    def run(self) -> Steps:
        self._wire.has_its_say()
        self.engine.initiate_connection()
        self.flush()
        while (received := self._wire.poll()) != b"":
            # One by one: what `h2` says of a frame has to be true still when it is answered.
            for frame in self._frames_in(received or b""):
                if not self._silent and not self._over:
                    self._take(self.engine.receive_data(frame))
            self._pump()
            self._answer_what_is_held()
            self._wire.busy = bool(self._exchanges) and not self._silent and not self._over
            if self._over:
                return
            if received is None:
                yield

    # What comes

    def _take(self, happened: list[events.Event]) -> None:
        for event in happened:
            match event:
                case events.ConnectionTerminated():
                    assert not event.error_code, f"the client says {event.error_code!r}: {event.additional_data!r}"
                    self._over = True
                    return
                case events.RequestReceived():
                    self._begin(event.stream_id, dict(event.headers))
                case events.DataReceived():
                    self.engine.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    if event.stream_id in self._exchanges:
                        self._exchanges[event.stream_id].size += len(event.data)
                case events.StreamEnded():
                    if event.stream_id in self._exchanges:
                        self._exchanges[event.stream_id].is_complete = True
                        self._answer(event.stream_id)
                case events.StreamReset():
                    self._exchanges.pop(event.stream_id, None)
            self.flush()

    def _frames_in(self, received: bytes) -> Iterator[bytes]:
        """What has come whole of the client's frames; its preface is the first."""
        self._held += received
        while len(self._held) >= 9:
            is_preface = self._held.startswith(b"PRI ")
            size = len(PREFACE) if is_preface else 9 + int.from_bytes(self._held[:3], "big")
            if len(self._held) < size:
                return
            frame, self._held = self._held[:size], self._held[size:]
            yield frame

    def _begin(self, number: int, fields: dict[str, str]) -> None:
        if self._last is not None and number > self._last:
            return
        exchange = Exchange(f"{fields[':method']} {fields[':path']}")
        self._exchanges[number] = exchange
        self._newest = number
        self.network.requests.append(exchange.line)
        if exchange.kind in ("early", "eager"):
            self.respond(number, exchange.echo, 413 if exchange.kind == "early" else 200)
        elif exchange.kind == "interim":
            self.engine.send_headers(number, [(":status", "103"), ("link", "</a>")])
        elif fields.get("expect") == "100-continue" and exchange.kind == "continue":
            self.engine.send_headers(number, [(":status", "100")])

    def _answer(self, number: int) -> None:
        exchange = self._exchanges[number]
        if not exchange.is_answered and exchange.is_complete and (exchange.kind != "held" or self.network.released):
            self.answered += 1
            ANSWERS[exchange.kind](self, number, exchange)

    def _answer_what_is_held(self) -> None:
        if self.network.released and not self._silent:
            for number in list(self._exchanges):
                self._answer(number)
            self._pump()

    # What goes

    def respond(
        self,
        number: int,
        content: bytes,
        status: int = 200,
        trailers: tuple[tuple[str, str], ...] = (),
        *,
        is_sized: bool = True,
    ) -> None:
        """Head and content of an answer; the content as the windows let it go."""
        exchange = self._exchanges[number]
        exchange.is_answered = True
        fields = [(":status", str(status)), ("content-type", "text/plain")]
        if is_sized:
            fields.append(("content-length", str(len(content))))
        is_head = exchange.line.startswith("HEAD ")
        exchange.left, exchange.trailers = memoryview(content), trailers
        if is_head:
            del self._exchanges[number]
        self.engine.send_headers(number, fields, end_stream=is_head)
        self.flush()

    def give_up(self, number: int, code: ErrorCodes) -> None:
        """RST_STREAM."""
        del self._exchanges[number]
        self.engine.reset_stream(number, code)
        self.flush()

    def say_goodbye(self, last: int) -> None:
        """GOAWAY. (`h2` could answer nothing after its own.)"""
        self._last = last
        for number in [each for each in self._exchanges if each > last]:
            del self._exchanges[number]
        self.flush()
        self._send(goaway(last))

    def flush(self) -> None:
        """What there is goes out."""
        frames = list(_split(self.engine.data_to_send()))
        for each in frames:
            self._send(each)
        if frames and self._break is not None and self._break.met:
            wanted, self._break = self._break, None
            self._go_wrong(wanted.kind)

    def _pump(self) -> None:
        """A frame of each stream in turn; small content in two, so that there is something in between."""
        while sum(self._send_some(number) for number, each in list(self._exchanges.items()) if each.is_answered):
            pass

    def _send_some(self, number: int) -> bool:
        exchange = self._exchanges.get(number)
        if exchange is None or self._silent or self._over:
            return False
        most = min(self.engine.local_flow_control_window(number), self.engine.max_outbound_frame_size)
        size = min(most, len(exchange.left) if len(exchange.left) > 100 else (len(exchange.left) + 10) // 2)
        if size <= 0:
            return False
        piece, exchange.left = exchange.left[:size], exchange.left[size:]
        if not exchange.left:
            del self._exchanges[number]
        self.engine.send_data(number, bytes(piece), end_stream=not exchange.left and not exchange.trailers)
        if not exchange.left and exchange.trailers:
            self.engine.send_headers(number, list(exchange.trailers), end_stream=True)
        self.flush()
        return True

    def _send(self, frame: bytes) -> None:
        wanted = self._break
        if self._silent:
            return
        if wanted is not None and wanted.is_next():
            self._silent = wanted.kind in ENDINGS
            frame = frame[: len(frame) // 2] if wanted.kind == "half" else frame
        self._wire.send(frame)

    def _go_wrong(self, kind: str) -> None:
        if kind in ("end", "half"):
            self._over = True
            self._wire.end()
        elif kind == "reset":
            self._over = True
            # Behind what has been sent.
            self.network.post(self._wire.reset)
        elif kind == "goaway":
            self.say_goodbye(self._newest)
        elif kind == "goaway, nothing done":
            self._over = True
            self._wire.send(goaway(0))
            self._wire.end()
        elif kind.startswith("rst "):
            for number in list(self._exchanges):
                self.give_up(number, ErrorCodes[kind.removeprefix("rst ")])


# Behind which nothing more is sent.
ENDINGS = ("end", "reset", "half", "silence", "goaway, nothing done")


def _split(said: bytes) -> Iterator[bytes]:
    """The frames of it."""
    while said:
        size = 9 + int.from_bytes(said[:3], "big")
        yield said[:size]
        said = said[size:]


# Answers


def _plain(conversation: Conversation, number: int, exchange: Exchange) -> None:
    conversation.respond(number, exchange.echo)


def _trailers(conversation: Conversation, number: int, exchange: Exchange) -> None:
    conversation.respond(number, exchange.echo, trailers=(("x-trailer", "yes"),))


def _large(conversation: Conversation, number: int, exchange: Exchange) -> None:
    conversation.respond(number, large(exchange.line))


def _middling(conversation: Conversation, number: int, exchange: Exchange) -> None:
    """Nothing but its end says how long it is."""
    conversation.respond(number, middling(exchange.line), is_sized=False)


def _refused(conversation: Conversation, number: int, exchange: Exchange) -> None:
    """The first one is not looked at."""
    if conversation.network.requests.count(exchange.line) > 1:
        conversation.respond(number, exchange.echo)
    else:
        conversation.give_up(number, ErrorCodes.REFUSED_STREAM)


def _broken(conversation: Conversation, number: int, exchange: Exchange) -> None:
    """It is given up in the middle of the answer."""
    conversation.respond(number, exchange.echo)
    conversation._send_some(number)
    conversation.give_up(number, ErrorCodes.INTERNAL_ERROR)


def _elsewhere(conversation: Conversation, number: int, exchange: Exchange) -> None:
    """Where others were answered before, it is not: GOAWAY says so, and the next connection has to do."""
    if conversation.answered > 1:
        conversation.say_goodbye(number - 2)
    else:
        conversation.respond(number, exchange.echo)


def _goodbye(conversation: Conversation, number: int, exchange: Exchange) -> None:
    """It is the last one that is answered here."""
    conversation.say_goodbye(number)
    conversation.respond(number, exchange.echo)


def large(line: str) -> bytes:
    """The content of a large answer."""
    return line.encode().ljust(LARGE, b".")


def middling(line: str) -> bytes:
    """The content of an answer of many frames."""
    return line.encode().ljust(MIDDLING, b".")


ANSWERS: dict[str, Callable[[Conversation, int, Exchange], None]] = {
    "plain": _plain,
    "next": _plain,
    "held": _plain,
    "interim": _plain,
    "continue": _plain,
    "trailers": _trailers,
    "large": _large,
    "middling": _middling,
    "refused": _refused,
    "broken": _broken,
    "elsewhere": _elsewhere,
    "goodbye": _goodbye,
}
