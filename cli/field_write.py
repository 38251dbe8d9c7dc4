"""One write to one device, for commissioning: what it held, what was written, what it holds then."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drivers import codec
from drivers.wire import Outcome
from station.errors import ConfigError, DriverError, Rejected
from station.profile import DeviceBinding, Point

if TYPE_CHECKING:
    from drivers.device import Device

DEADLINE_S = 10.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """A value for a point of an asset, as heliodock counts and as the device does."""

    binding: DeviceBinding
    asset_id: str
    point: Point
    value: float
    own_value: float


@dataclass(frozen=True, slots=True)
class Written:
    """What a point held before and after, in the device's unit; ``cause`` where the write failed or was not made."""

    before: Outcome
    after: Outcome = None
    cause: str = ""


def wanted_of(binding: DeviceBinding, asset_id: str, name: str, value: float, *, in_own_unit: bool) -> Wanted:
    """Return what is to be written; raise ``ConfigError`` where the point can't be written or can't hold the value."""
    point = binding.profile.points[name]
    if point.write is None:
        raise ConfigError(binding.profile.profile_id, 0, f"points.{name}", "is not writable")
    kw_per_a = binding.kw_per_a.get(asset_id, 0.0)
    try:
        own = value if in_own_unit else codec.from_canonical(point, value, kw_per_a)
        codec.encode_raw(point, own)
        return Wanted(binding, asset_id, point, codec.to_canonical(point, own, kw_per_a), own)
    except ValueError as misfit:
        raise ConfigError(binding.profile.profile_id, 0, f"points.{name}", str(misfit)) from None


def write_one(wanted: Wanted, agreed: Callable[[Outcome], None]) -> Written:
    """Read a point, let ``agreed`` see the old value (it raises to end here), write through the driver, read again."""
    return asyncio.run(_write_one(wanted, agreed))


async def _write_one(wanted: Wanted, agreed: Callable[[Outcome], None]) -> Written:
    from drivers.connect import connect_devices

    (device,) = connect_devices([wanted.binding], {})
    try:
        before = await _held(device, wanted)
        agreed(before)
        async with asyncio.timeout(DEADLINE_S):
            return await _written(device, wanted, before)
    except TimeoutError:
        raise DriverError(wanted.binding.device_id, f"no answer within {DEADLINE_S:g} s") from None
    finally:
        await device.close()


async def _written(device: "Device", wanted: Wanted, before: Outcome) -> Written:
    from drivers.turns import Priority

    cause = ""
    try:
        await device.write_point(wanted.asset_id, wanted.point.name, wanted.value, Priority.SETPOINT)
    except DriverError as refused:
        cause = refused.cause
    return Written(before, await _held(device, wanted), cause)


async def _held(device: "Device", wanted: Wanted) -> Outcome:
    """Return what the device holds; raise ``DriverError`` where it says nothing or is in local mode."""
    async with asyncio.timeout(DEADLINE_S):
        outcomes = (await device.read_points())[wanted.asset_id]
    if outcomes.get("is_local"):
        raise Rejected(
            wanted.binding.device_id, "a person has put the device into local mode", wanted.point.name
        )
    return outcomes[wanted.point.name]
