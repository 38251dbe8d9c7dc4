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
    """Registers that one request reads, and the points that lie in it, in order."""

    spans: tuple[Span, ...]

    @property
    def function(self) -> int:
        """Return the Modbus function that reads the block."""
        return self.spans[0].function

    @property
    def address(self) -> int:
        """Return the first register."""
        return self.spans[0].address

    @property
    def count(self) -> int:
        """Return the number of registers, gaps included."""
        return max(span.end for span in self.spans) - self.address


class BlockPlan:
    """Coalesces spans into blocks, and learns where it must not."""

    def __init__(self, max_gap: int, max_registers: int) -> None:
        self._max_gap = max_gap
        self._max_registers = max_registers
        self._cuts: set[tuple[int, int]] = set()

    def blocks(self, spans: Iterable[Span]) -> list[Block]:
        """Return the blocks that hold all ``spans``, each span in exactly one."""
        blocks: list[Block] = []
        for span in sorted(set(spans)):
            if blocks and self._joins(blocks[-1], span):
                blocks[-1] = Block((*blocks[-1].spans, span))
            else:
                blocks.append(Block((span,)))
        return blocks

    def split(self, block: Block) -> list[Block]:
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
        return self.blocks(block.spans)

    def _joins(self, block: Block, span: Span) -> bool:
        end = block.address + block.count
        return (
            span.function == block.function
            and (span.function, span.address) not in self._cuts
            and span.address - end <= self._max_gap
            and max(end, span.end) - block.address <= self._max_registers
        )
