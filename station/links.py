"""How a device is reached: over a network or over a serial line."""

from dataclasses import dataclass

BITS_OF_A_FRAME = 9
"""Start bit and eight data bits of a character on a serial line."""


@dataclass(frozen=True, slots=True)
class TcpLink:
    """A host and port. ``framing`` is ``tcp`` (Modbus TCP) or ``rtu`` (the frames of a serial line, over TCP)."""

    host: str
    port: int
    framing: str = "tcp"

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class SerialLink:
    """A serial port. ``parity`` is ``none``, ``even`` or ``odd``."""

    device: str
    baud: int = 9600
    parity: str = "none"
    stop_bits: int = 1

    def __str__(self) -> str:
        return self.device

    @property
    def byte_s(self) -> float:
        """Return the seconds that one character needs on the line."""
        return (BITS_OF_A_FRAME + (self.parity != "none") + self.stop_bits) / self.baud


Link = TcpLink | SerialLink
