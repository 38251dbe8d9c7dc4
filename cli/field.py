"""Reading the points of devices once, for commissioning. Nothing is ever written, and nothing waits for ever."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TYPE_CHECKING

from station.errors import DriverError
from station.profile import DeviceBinding

if TYPE_CHECKING:
    from drivers.device import Device
    from drivers.wire import Outcome

DEADLINE_S = 3.0
"""A device that has not given all its points by then counts as silent; units behind one address take turns."""


@dataclass(frozen=True, slots=True)
class DeviceAnswer:
    """What a device gave: outcomes by asset and point, or ``cause`` where it gave nothing. It took ``age_s``."""

    binding: DeviceBinding
    points: Mapping[str, Mapping[str, "Outcome"]] = field(default_factory=dict)
    cause: str = ""
    age_s: float = 0.0

    @property
    def is_good(self) -> bool:
        """Return whether every point gave a value, or the device says that there is none."""
        outcomes = (outcome for points in self.points.values() for outcome in points.values())
        return not self.cause and not any(isinstance(outcome, DriverError) for outcome in outcomes)

    @property
    def age(self) -> str:
        """Return in seconds how old the values are at most: since they were asked for."""
        return f"{self.age_s:.2f}"

    def unit(self, name: str) -> str:
        """Return the unit of a point, as the device counts."""
        return self.binding.profile.points[name].unit

    def only(self, names: Iterable[str]) -> "DeviceAnswer":
        """Return the answer for some of the points, in that order."""
        order = list(names)
        points = {asset_id: {name: its[name] for name in order} for asset_id, its in self.points.items()}
        return replace(self, points=points)


def read_devices(bindings: Iterable[DeviceBinding]) -> list[DeviceAnswer]:
    """Return what each device says, all asked at once."""
    return asyncio.run(_read_all(tuple(bindings)))


async def _read_all(bindings: tuple[DeviceBinding, ...]) -> list[DeviceAnswer]:
    from drivers.connect import connect_devices

    devices = connect_devices(bindings, {}, may_write=False)
    sharing = Counter(binding.via for binding in bindings)
    reads = (_read(device, DEADLINE_S * sharing[device.binding.via]) for device in devices)
    answers = await asyncio.gather(*reads)
    for device in devices:
        await device.close()
    return answers


async def _read(device: "Device", deadline_s: float) -> DeviceAnswer:
    began_s = perf_counter()
    try:
        async with asyncio.timeout(deadline_s):
            points = await device.read_points()
    except DriverError as failed:
        return DeviceAnswer(device.binding, cause=failed.cause)
    except TimeoutError:
        return DeviceAnswer(device.binding, cause=f"no full answer within {deadline_s:g} s")
    return DeviceAnswer(device.binding, points, age_s=perf_counter() - began_s)
