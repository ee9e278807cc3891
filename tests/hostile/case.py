"""A case: one way to play a row of either table, HTTP/1.1's or HTTP/2's."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

# How a row's bytes are cut into writes
WHOLE, BYTEWISE, CUTS = "whole", "bytewise", "cuts"
FEEDS = (WHOLE, BYTEWISE, CUTS)

# How its connection ends
EOF, RST, SILENCE = "eof", "rst", "silence"

SEED = os.environ.get("HOSTILE_SEED", "1")
IS_FULL = os.environ.get("HOSTILE") == "full"


class AnyRow(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def says(self) -> bytes: ...


RowT = TypeVar("RowT", bound=AnyRow)
CaseT = TypeVar("CaseT", bound="Case[Any]")


@dataclass(frozen=True, slots=True)
class Case(Generic[RowT]):
    row: RowT
    feed: str
    ending: str
    tls: bool
    is_sync: bool = False

    @property
    def how(self) -> str:
        return "-".join([self.feed, self.ending, "tls" if self.tls else "plain", *(["sync"] if self.is_sync else [])])

    @property
    def name(self) -> str:
        return f"{self.row.name} [{self.how}]"

    def pieces(self) -> list[bytes]:
        """The row's bytes as they are written."""
        says = self.row.says
        if self.feed == WHOLE:
            cuts = []
        elif self.feed == BYTEWISE:
            cuts = self._every_byte(len(says))
        else:
            chance = random.Random(self.name)
            cuts = sorted(chance.sample(range(1, len(says)), min(len(says) - 1, chance.randint(1, 5)))) if says else []
        return [says[start:end] for start, end in zip([0, *cuts], [*cuts, len(says)], strict=True) if start < end]

    def _every_byte(self, size: int) -> list[int]:
        return list(range(1, size))


def play_chosen(
    cases: Iterable[CaseT], always: Callable[[CaseT], bool], share: float, play: Callable[[CaseT], None]
) -> None:
    """Play those that are played `always`, and of the others a seeded `share`, or all (``HOSTILE=full``)."""
    for case in cases:
        # By its name, so that a new row does not choose the others' cases anew.
        if IS_FULL or always(case) or random.Random(f"{SEED} {case.name}").random() < share:
            try:
                play(case)
            except BaseException as error:
                error.add_note(f"played {case.how}")
                raise
