"""Finds the lines of a message that a server refuses, by halves. Lines that it takes twice overwrite themselves."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from northbound.influx_server import Answer, Verdict

SUSPICIOUS = 16
"""Where so many single lines are refused and none was taken, it isn't the lines that are wrong."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Lines that a server will never take, with its words."""

    body: bytes
    words: str


class Sieve:
    """One message on its way: what was refused of it, and whether anything was taken."""

    def __init__(self, post: Callable[[bytes], Awaitable[Answer]]) -> None:
        """Send through ``post``."""
        self._post = post
        self._has_taken = False
        self.refused: list[Refused] = []

    async def sift(self, body: bytes) -> Answer:
        """Send ``body`` until each line is taken or in ``refused``; else return the answer that ended it before."""
        answer = await self._sift(body)
        if answer.verdict is Verdict.REFUSED:
            return self._settled(answer)
        return answer

    async def _sift(self, body: bytes) -> Answer:
        answer = await self._post(body)
        if answer.verdict is Verdict.TAKEN:
            self._has_taken = True
        if answer.verdict not in (Verdict.REFUSED, Verdict.TOO_LARGE):
            return answer
        lines = body.split(b"\n")
        if len(lines) == 1 or answer.dropped == len(lines):
            self.refused.append(Refused(body, answer.words))
            return self._settled(answer) if len(self.refused) >= SUSPICIOUS else answer
        return await self._halves(lines)

    async def _halves(self, lines: list[bytes]) -> Answer:
        middle = len(lines) // 2
        first = await self._sift(b"\n".join(lines[:middle]))
        ...
