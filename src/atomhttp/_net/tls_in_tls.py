"""TLS inside TLS: an origin's behind that of its proxy. What the inner stream holds back is held back here as well."""

from __future__ import annotations

from atomhttp._net.tls import TLSStream


class NestedTLSStream(TLSStream):
    """A TLSStream over another one, which may hold plaintext that no event will tell of, or unsent ciphertext."""

    __slots__ = ()

    def handshake(self, buffer: memoryview) -> bool:
        done = super().handshake(buffer)
        self.pending = self.pending or self._inner.pending
        return done and not self.unflushed

    def receive(self, buffer: memoryview) -> int:
        while True:
            try:
                size = super().receive(buffer)
            except BlockingIOError:
                if not self._inner.pending:
                    raise
                # Not this stream's own: the inner one is to be read.
                self.pending = False
            else:
                self.pending = self.pending or self._inner.pending
                return size

    def holds_part(self, buffer: memoryview) -> bool:
        # Records are cut across those of the inner stream: nobody keeps count of them here.
        return True

    def flush(self) -> bool:
        # Whatever is sent comes through here last.
        flushed = self._inner.flush() and super().flush()
        self.unflushed = not flushed or self._inner.unflushed
        return not self.unflushed
