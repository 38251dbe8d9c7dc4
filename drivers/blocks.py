"""Which registers are read together. Pure.

Neighbouring points share a request while the gap between them is small. Some devices refuse a block that touches a
register they don't have; the places where such a block was cut are remembered.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """The registers of one point."""

    function: int
    address: int
    count: int

    @property
    def end(self) -> int:
        """Return the address after the last register."""
        return self.address + self.count


@dataclass(frozen=True, slots=True)
class Block:
    """Registers that one request reads, gaps included, and the points that lie in it, in order."""

    spans: tuple[Span, ...]
    function: int
    address: int
    count: int


def block_of(spans: tuple[Span, ...]) -> Block:
    """Return the block that holds all of these spans; they are in the order of their addresses."""
    first = spans[0]
    return Block(spans, first.function, first.address, max(span.end for span in spans) - first.address)


class BlockPlan:
    """Coalesces spans into blocks, and learns where it must not."""

    def __init__(self, max_gap: int, max_registers: int) -> None:
        self._max_gap = max_gap
        self._max_registers = max_registers
        self._cuts: set[tuple[int, int]] = set()
        self._known: dict[tuple[Span, ...], tuple[Block, ...]] = {}

    def blocks(self, spans: Iterable[Span]) -> tuple[Block, ...]:
        """Return the blocks that hold all ``spans``, each span in exactly one."""
        wanted = tuple(spans)
        known = self._known.get(wanted)
        if known is None:
            known = self._known[wanted] = tuple(self._joined(wanted))
        return known

    def _joined(self, spans: Iterable[Span]) -> list[Block]:
        blocks: list[Block] = []
        for span in sorted(set(spans)):
            if blocks and self._joins(blocks[-1], span):
                blocks[-1] = block_of((*blocks[-1].spans, span))
            else:
                blocks.append(block_of((span,)))
        return blocks

    def split(self, block: Block) -> tuple[Block, ...]:
        """Return the parts of a block that the device refused, and remember to ask for them apart.

        It is cut at its gaps; where it has none, in the middle.
        """
        cuts: list[Span] = []
        end = block.address
        for span in block.spans:
            if span.address > end:
                cuts.append(span)
            end = max(end, span.end)
        cuts = cuts or [block.spans[len(block.spans) // 2]]
        self._cuts |= {(span.function, span.address) for span in cuts}
        self._known.clear()
        return self.blocks(block.spans)

    def _joins(self, block: Block, span: Span) -> bool:
        end = block.address + block.count
        return (
            span.function == block.function
            and (span.function, span.address) not in self._cuts
            and span.address - end <= self._max_gap
            and max(end, span.end) - block.address <= self._max_registers
        )
