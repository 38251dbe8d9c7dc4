"""What a profile calls a SunSpec point: ``103.W``, ``203#2.W``, ``714.Prt[PrtTyp=PV].DCW``, ``704.limit``. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from drivers import codec
from drivers.sunspec_block import Block
from drivers.sunspec_chain import Instance
from drivers.sunspec_controls import CONTROLS, Control, Step
from drivers.sunspec_models import Layout

ADDRESS = re.compile(r"(?P<model>\d+)(#(?P<number>\d+))?\.(?P<path>.+)")
OF_TYPE = re.compile(r"(?P<group>\w+)\[(?P<key>\w+)=(?P<symbol>\w+)\]\.(?P<name>\w+)")
PARTS = ("", "timer", "reversion")
"""What belongs to a control: its setpoint, the timer and what holds once that has run out."""


@dataclass(frozen=True, slots=True)
class Address:
    """A point, a sum over the groups of one type, or a part of a control, in a model of a device.

    ``number`` counts the models of the same id from 1.
    """

    model_id: int
    number: int
    path: str

    @property
    def control(self) -> Control | None:
        """Return the control that the path names."""
        return CONTROLS.get((self.model_id, self.path.split(".")[0]))

    @property
    def part(self) -> str:
        """Return which part of the control is meant."""
        return self.path.partition(".")[2]

    @property
    def models(self) -> tuple[int, ...]:
        """Return the models that are read, the address's own first."""
        control = self.control
        return control.models() if control else (self.model_id,)

    def instance_in(self, chain: Iterable[Instance]) -> Instance | None:
        """Return the model of a device that is meant."""
        return instance_of(chain, self.model_id, self.number)

    def paths(self, layout: Layout) -> Iterator[str]:
        """Return the points of the model's layout that give the value."""
        if self.control is not None:
            yield from (path for path in layout if "." not in path)
        elif chosen := OF_TYPE.fullmatch(self.path):
            group, key, name = chosen["group"], chosen["key"], chosen["name"]
            yield from (path for path in layout if re.fullmatch(rf"{group}\[\d+\]\.({key}|{name})", path))
        elif self.path in layout:
            yield self.path


@cache
def address_of(text: str) -> Address:
    """Return an address by its text; raise ``ValueError``."""
    found = ADDRESS.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no SunSpec address such as 103.W")
    return Address(int(found["model"]), int(found["number"] or 1), found["path"])


def instance_of(chain: Iterable[Instance], model_id: int, number: int) -> Instance | None:
    """Return the so many-th model of a device with this id."""
    return next((one for one in chain if (one.model_id, one.number) == (model_id, number)), None)


def value_at(address: Address, blocks: Mapping[int, Block]) -> codec.Value | None:
    """Return the value in the model's unit (W and s for a control), None where the device has none.

    ``blocks`` are the registers that were read, by model. Raises ``ValueError``.
    """
    control = address.control
    if control is not None:
        parts = {"": control.setpoint_w, "timer": control.lease_s, "reversion": control.fallback_w}
        return parts[address.part](blocks.get)
    own = blocks.get(address.model_id)
    if own is None:
        return None
    chosen = OF_TYPE.fullmatch(address.path)
    return own.value(address.path) if chosen is None else _sum_of_type(own, chosen)


def _sum_of_type(own: Block, chosen: re.Match[str]) -> float | None:
    """Return the sum of a point over all groups of a type; None where there are none or one has no value."""
    prefix = chosen["group"] + "["
    heads = {path.split(".")[0] for path in own.layout if path.startswith(prefix)}
    of_type = [head for head in heads if _is_of_type(own, f"{head}.{chosen['key']}", chosen["symbol"])]
    values = [own.number(f"{head}.{chosen['name']}") for head in of_type]
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def _is_of_type(own: Block, path: str, symbol: str) -> bool:
    placed = own.layout.get(path)
    return (
        placed is not None
        and symbol in placed.point.symbols
        and own.number(path) == placed.point.symbols[symbol]
    )


def steps_at(address: Address, blocks: Mapping[int, Block], value: float) -> list[Step]:
    """Return the writes that set a point or a control's part, in order; raise ``ValueError``."""
    control = address.control
    if control is None:
        own = blocks.get(address.model_id)
        if own is None:
            raise ValueError(f"the device has no model {address.model_id}")
        return [Step(address.path, own.encoded(address.path, value))]
    parts = {"": control.setpoint_steps, "timer": control.lease_steps, "reversion": control.fallback_steps}
    return parts[address.part](blocks.get, value)


def step_at(address: Address, blocks: Mapping[int, Block]) -> float:
    """Return the resolution of what is written; raise ``ValueError`` where it can't be told."""
    control = address.control
    if control is not None:
        return 1.0 if address.part == "timer" else control.step_w(blocks.get)
    own = blocks.get(address.model_id)
    if own is None:
        raise ValueError(f"the device has no model {address.model_id}")
    return own.step(address.path)


def rounded_at(address: Address, blocks: Mapping[int, Block], value: float) -> float:
    """Return what the device holds once ``value`` was written; raise ``ValueError`` where it can't be told."""
    control = address.control
    if control is not None and address.part != "timer":
        return control.rounded_w(blocks.get, value)
    own = blocks.get(address.model_id)
    if control is not None or own is None:
        return float(int(value))
    return own.rounded(address.path, value)
