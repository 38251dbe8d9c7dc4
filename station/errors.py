"""The error tree. Three kinds of failure exist; see the style section of the design.

Wrong configuration raises before start. A device that fails raises ``DriverError``, which its poller turns into
``NoReading``. An outcome that the caller must handle is a value and not an exception.
"""

from dataclasses import dataclass


class HeliodockError(Exception):
    """Root of every error that heliodock raises on purpose."""


@dataclass
class ConfigError(HeliodockError):
    """An unusable file or site: the program does not start (exit status 2).

    ``file``, ``line`` (1-based, 0 where there is none) and ``key`` say where; ``problem`` says what, in one line.
    """

    file: str
    line: int
    key: str
    problem: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.key}: {self.problem}" if self.key else f"{place}: {self.problem}"


@dataclass
class DriverError(HeliodockError):
    """A device did not do what was asked. ``cause`` is a phrase that an operator understands."""

    device_id: str
    cause: str
    point: str = ""

    def __str__(self) -> str:
        where = f"{self.device_id}.{self.point}" if self.point else self.device_id
        return f"{where}: {self.cause}"


class Unreachable(DriverError):
    """No connection or no answer in time: retry with back-off."""


class Rejected(DriverError):
    """The device answered no: do not repeat the same request at once."""


class Nonsense(DriverError):
    """The answer does not fit the question, or a value lies outside the valid range of its point."""
