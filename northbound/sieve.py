"""Finds the lines of a message that a server refuses, by halves. Lines that it gets twice overwrite themselves."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from northbound.influx_server import Answer, Verdict

SUSPICIOUS = 16
"""Where so many single lines are refused and none is taken, something else than the lines may be wrong."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Lines that the server will never take, and what it said."""

    body: bytes
    answer: Answer


class Sieve:
    """One message on its way: what was refused of it, and whether anything was taken."""

    def __init__(self, post: Callable[[bytes], Awaitable[Answer]]) -> None:
        """Send through ``post``."""
        self._post = post
        self._has_taken = False
        self.refused: list[Refused] = []

    async def sift(self, body: bytes) -> Answer | None:
        """Send ``body`` until each line is taken or refused for good; return the answer that ended it before, or None.

        A server that takes nothing, in words that may mean anything, is one with wrong settings: no line is refused.
        """
        return await self._sift(body) or self._doubt(1)

    async def _sift(self, body: bytes) -> Answer | None:
        answer = await self._post(body)
        match answer.verdict:
            case Verdict.TAKEN:
                self._has_taken = True
                return None
            case Verdict.REFUSED | Verdict.TOO_LARGE:
                return await self._narrow(body.split(b"\n"), answer)
        return answer

    async def _narrow(self, lines: list[bytes], answer: Answer) -> Answer | None:
        if len(lines) == 1 or answer.dropped == len(lines):
            self.refused.append(Refused(b"\n".join(lines), answer))
            return self._doubt(SUSPICIOUS)
        middle = len(lines) // 2
        first = await self._sift(b"\n".join(lines[:middle]))
        return first or await self._sift(b"\n".join(lines[middle:]))

    def _doubt(self, least: int) -> Answer | None:
        if self._has_taken or len(self.refused) < least or self.refused[-1].answer.is_about_lines:
            return None
        return replace(self.refused[-1].answer, verdict=Verdict.WRONG)
