"""A station on the bench of the self-test, in virtual time, and what can be planted in it.

Frames are the real ones: drivers and emulated devices meet in memory, and only the socket is missing. A fault of the
profile is a driver that believes another profile than the device has; a fault of the wiring is a meter that sees
something else than what flows.
"""

import asyncio
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from math import sqrt
from pathlib import Path
from random import Random

import async_solipsism

from cli.selftest_run import Bench, Session, self_test
from configs.load import LoadedSite, TwinSettings
from configs.profiles import load_profile
from controller.selftest_words import Kind, Verdict
from drivers.connect import connect_devices
from drivers.device import Device, Guard
from hil.clocks import WallClock
from hil.emulators.device import EmulatedDevice
from hil.emulators.live import LivePlant
from hil.emulators.modbus import HEADER, ModbusServer
from hil.emulators.quantities import Quantity
from hil.plant import PlantParams
from hil.world import LoadNoise, Surroundings, World
from station.assets import Connector
from station.inputs import SessionRow
from station.profile import DeviceBinding, Point, Profile
from station.quantities import Phase
from station.topology import Site
from tests.factories import a_battery, a_site

START = datetime(2019, 9, 18, 20, 0, tzinfo=UTC)
VOLTAGE_V = 230.0
SCALES = (10.0, 0.1, 1000.0, 0.001, sqrt(3.0), 1.0 / sqrt(3.0), 3.0, 1.0 / 3.0)
PLANT_STEP_S = 0.5
SETTLED_S = 10.0
"""The meter has seen something by then."""

Wiring = Callable[[dict[str, Quantity]], dict[str, Quantity]]


@dataclass(frozen=True)
class Fault:
    """What is wrong. ``believed`` changes profiles of the drivers by device; ``wiring`` is of the meter."""

    kind: Kind | None
    where: str = ""
    name: str = "healthy"
    believed: Mapping[str, Callable[[Profile], Profile]] = field(default_factory=dict)
    wiring: Wiring | None = None
    declared: Callable[[Site], Site] = lambda site: site


class WiredMeter(EmulatedDevice):
    """A meter whose transformers may be wrong: it counts the energy of what it sees."""

    wiring: Wiring | None = None
    _counted_s = 0.0
    _import_wh = 0.0
    _export_wh = 0.0

    def values(self, connector: int) -> dict[str, Quantity]:
        """Return what the meter shows."""
        values = super().values(connector)
        if self.wiring is None:
            return values
        values = self.wiring(values)
        now_s = self._live.uptime_s
        power_w = float(values["power_kw"] or 0.0)
        energy_wh = power_w * (now_s - self._counted_s) / 3600.0
        self._import_wh += max(energy_wh, 0.0)
        self._export_wh += max(-energy_wh, 0.0)
        self._counted_s = now_s
        return {**values, "import_kwh": self._import_wh, "export_kwh": self._export_wh}


class DirectTransport:
    """A connection to an emulated device without a wire: what is sent is answered at once."""

    def __init__(self, server: ModbusServer) -> None:
        self._server = server
        self._answers = b""
        self.is_open = False

    async def open(self, timeout_s: float) -> None:
        """Connect."""
        self.is_open = True

    def close(self) -> None:
        """Drop the connection."""
        self.is_open = False
        self._answers = b""

    async def send(self, data: bytes, timeout_s: float) -> None:
        """Let the device answer."""
        transaction, _, _, unit = HEADER.unpack_from(data)
        answer = self._server.answer(unit, data[HEADER.size :])
        if answer is not None:
            self._answers += struct.pack(">HHHB", transaction, 0, len(answer) + 1, unit) + answer

    async def receive(self, timeout_s: float) -> bytes:
        """Return the answer, or time out."""
        if not self._answers:
            await asyncio.sleep(timeout_s)
            raise TimeoutError
        answers, self._answers = self._answers, b""
        return answers


def a_station(seed: int) -> Site:
    """Return a small station that differs a little with the seed."""
    chance = Random(seed)
    rating_kw = chance.choice((50.0, 80.0, 100.0))
    battery = a_battery(max_charge_kw=rating_kw, max_discharge_kw=rating_kw, capacity_kwh=2.0 * rating_kw)
    return a_site(ac=4, dc=0, batteries=(battery,), limit_kw=80.0, base_max_kw=30.0, lag_s=1.0)


def surroundings(chance: Random) -> Surroundings:
    """Return a building that wanders by some kW within minutes, and a sun that may shine."""
    load_kw, rows = chance.uniform(8.0, 20.0), []
    sun_kw = chance.choice((0.0, 0.0, chance.uniform(5.0, 25.0)))
    suns = []
    for _ in range(60):
        load_kw = min(max(load_kw + chance.gauss(0.0, 0.5), 6.0), 26.0)
        sun_kw = max(sun_kw * chance.uniform(0.97, 1.03), 0.0)
        rows.append(load_kw)
        suns.append(sun_kw)
    return Surroundings(START, 20.0, tuple(rows), tuple(suns))


def cars(chance: Random, stay_at: Sequence[str]) -> list[SessionRow]:
    """Return a car at each of some connectors that stays, and others that come and go meanwhile."""
    stays_at = START + timedelta(hours=3)
    power_kw = chance.choice((None, None, 11.0, 5.0))
    rows = [
        SessionRow(f"first {connector}", connector, START, stays_at, 60.0, 60.0, stays_at, power_kw)
        for connector in stay_at
    ]
    for number, connector in enumerate(its for its in ("ac3", "ac4", "ac2") if its not in stay_at):
        comes_at = START + timedelta(seconds=chance.uniform(0.0, 400.0))
        leaves_at = comes_at + timedelta(seconds=chance.uniform(60.0, 400.0))
        rows.append(SessionRow(f"s{number}", connector, comes_at, leaves_at, 20.0, 20.0, leaves_at))
    return rows


PROFILES = {"grid": "demo-meter", "battery": "demo-battery", "pv": "demo-pv"}


def bindings_of(site: Site) -> tuple[DeviceBinding, ...]:
    """Return one Modbus device for each asset, on a port of its own."""
    assets = [site.meter.asset_id, *site.by_id]
    return tuple(
        DeviceBinding(
            asset_id,
            load_profile(PROFILES.get(asset_id, "demo-ac-charger")),
            "memory",
            port,
            1,
            (asset_id,),
            1.0,
            {asset_id: 0.23 * len(phases_of(site, asset_id))},
        )
        for port, asset_id in enumerate(assets, 1)
    )


def phases_of(site: Site, asset_id: str) -> tuple[Phase, ...]:
    asset = site.by_id.get(asset_id)
    return asset.phases if isinstance(asset, Connector) else ()


def verdict_of(
    fault: Fault,
    seed: int,
    asset_ids: Sequence[str] = ("battery", "ac1"),
    *,
    every_car: bool = False,
    watch: Callable[[float], None] = lambda grid_kw: None,
) -> Verdict:
    """Return the verdict of ``session_of``."""
    return session_of(fault, seed, asset_ids, every_car=every_car, watch=watch).verdict


def session_of(
    fault: Fault,
    seed: int,
    asset_ids: Sequence[str] = ("battery", "ac1"),
    *,
    every_car: bool = False,
    watch: Callable[[float], None] = lambda grid_kw: None,
) -> Session:
    """Run the self-test on a station with one fault, in virtual time.

    ``every_car`` puts a car that stays at each of the assets; ``watch`` is told the true grid power now and then.
    """
    loop = async_solipsism.EventLoop()
    chance = Random(seed)
    world_of = (surroundings(chance), cars(chance, asset_ids if every_car else ("ac1",)))
    try:
        return loop.run_until_complete(_session(fault, seed, asset_ids, chance, world_of, watch))
    finally:
        loop.close()


async def _session(  # noqa: PLR0917
    fault: Fault,
    seed: int,
    asset_ids: Sequence[str],
    chance: Random,
    world_of: tuple[Surroundings, list[SessionRow]],
    watch: Callable[[float], None],
) -> Session:
    site = a_station(seed)
    clock = WallClock(START)
    world = World(
        site,
        world_of[0],
        world_of[1],
        start_at=START,
        soc=chance.uniform(0.3, 0.7),
        params=PlantParams(meter_lag_s=chance.uniform(1.0, 3.0)),
        noise=LoadNoise(chance.uniform(0.2, 1.2), seed=seed),
    )
    live = LivePlant(world, clock, PLANT_STEP_S)
    bindings = bindings_of(site)
    servers: dict[int, ModbusServer] = {}
    for binding in bindings:
        kind = WiredMeter if binding.asset_ids == (site.meter.asset_id,) else EmulatedDevice
        device = kind(binding, live, seed)
        if isinstance(device, WiredMeter):
            device.wiring = fault.wiring
        servers[binding.port] = ModbusServer("memory", binding.port, {1: device})

    def connect(on_trial: Sequence[DeviceBinding], guards: Mapping[str, Guard]) -> Sequence[Device]:
        return connect_devices(
            on_trial, guards, transport_to=lambda link: DirectTransport(servers[getattr(link, "port", 0)])
        )

    believed = tuple(
        replace(binding, profile=fault.believed.get(binding.device_id, lambda its: its)(binding.profile))
        for binding in bindings
    )
    declared = fault.declared(site)
    bench = Bench(LoadedSite(declared, believed, TwinSettings(), Path("bench.yaml")), clock, connect)
    await asyncio.sleep(SETTLED_S)
    return await self_test(bench, asset_ids, lambda _asset_id, _share: watch(world.state.grid_kw))


# ----------------------------------------------------------------------------- what can be planted


def with_point(name: str, change: Callable[[Point], Point]) -> Callable[[Profile], Profile]:
    """Return a change of one point of a profile."""

    def changed(profile: Profile) -> Profile:
        points = {**profile.points, name: change(profile.points[name])}
        return replace(profile, points=points)

    return changed


def scaled(name: str, factor: float) -> Callable[[Profile], Profile]:
    """Return a profile whose point reads ``factor`` times too much, without a range that would notice."""
    return with_point(name, lambda point: replace(point, scale=point.scale * factor, valid=None))


def flipped_sign(name: str) -> Callable[[Profile], Profile]:
    """Return a profile whose point has the other sign."""
    return with_point(name, lambda point: replace(point, sign=-point.sign))


def flipped_words(name: str) -> Callable[[Profile], Profile]:
    """Return a profile whose point has the other word order; its range stays, and then hides every value."""
    other = {"big": "little", "little": "big"}
    return with_point(name, lambda point: replace(point, word_order=other[point.word_order]))


def both(*changes: Callable[[Profile], Profile]) -> Callable[[Profile], Profile]:
    """Return several changes together."""

    def changed(profile: Profile) -> Profile:
        for change in changes:
            profile = change(profile)
        return profile

    return changed


def transformers(signs: Sequence[int], order: Sequence[int] = (0, 1, 2), factor: float = 1.0) -> Wiring:
    """Return a wiring in which conductor ``order[p]`` shows at phase p, with a sign, times ``factor``."""

    def wired(values: dict[str, Quantity]) -> dict[str, Quantity]:
        true_a = [float(values[f"current_l{phase}_a"] or 0.0) for phase in (1, 2, 3)]
        shown_a = [sign * factor * true_a[place] for sign, place in zip(signs, order, strict=True)]
        total_w = float(values["power_kw"] or 0.0)
        straight_w = sum(true_a) * VOLTAGE_V
        shown = {f"current_l{number}_a": value for number, value in enumerate(shown_a, 1)}
        seen_w = sum(shown_a) * VOLTAGE_V
        return {
            **values,
            **shown,
            "power_kw": seen_w + (total_w - straight_w) * factor * (1 if sum(signs) > 0 else -1),
        }

    return wired


def rewired(connector_id: str, phase: Phase) -> Callable[[Site], Site]:
    """Return the site as its file says it, where a charger hangs on another conductor than it is told."""

    def declared(site: Site) -> Site:
        connectors = tuple(
            replace(its, phases=(phase,)) if its.asset_id == connector_id else its for its in site.connectors
        )
        return replace(site, connectors=connectors)

    return declared


def a_fault(kind: Kind | None, seed: int) -> Fault:
    """Return a fault of this kind, another one for each seed; the same for the same seed."""
    chance = Random(1000 + seed)
    match kind:
        case None:
            return Fault(None)
        case Kind.REVERSED:
            return chance.choice(_reversed(chance))
        case Kind.SWAPPED_PHASE:
            return chance.choice(_swapped(chance))
        case Kind.WRONG_SCALE:
            return chance.choice(_scales(chance))
        case Kind.WORD_ORDER:
            return chance.choice(_orders())
        case _:
            raise ValueError(kind)


def _reversed(chance: Random) -> list[Fault]:
    phase = chance.randrange(3)
    signs = [-1 if place == phase else 1 for place in range(3)]
    kind = Kind.REVERSED
    return [
        Fault(kind, "grid", "all transformers", wiring=transformers((-1, -1, -1))),
        Fault(kind, "grid", f"transformer of L{phase + 1}", wiring=transformers(signs)),
        Fault(kind, "grid", "sign of power_kw", believed={"grid": flipped_sign("power_kw")}),
        Fault(kind, "battery", "sign of power_kw", believed={"battery": flipped_sign("power_kw")}),
        Fault(kind, "battery", "sign of setpoint_kw", believed={"battery": flipped_sign("setpoint_kw")}),
        Fault(
            kind,
            "battery",
            "both signs",
            believed={"battery": both(flipped_sign("power_kw"), flipped_sign("setpoint_kw"))},
        ),
    ]


def _swapped(chance: Random) -> list[Fault]:
    kind = Kind.SWAPPED_PHASE
    order = chance.choice([(1, 0, 2), (2, 1, 0)])
    turned = chance.choice([(1, 2, 0), (2, 0, 1)])
    phase = chance.choice([Phase.L2, Phase.L3])
    return [
        Fault(kind, "grid", f"conductors {order}", wiring=transformers((1, 1, 1), order)),
        Fault(kind, "grid", f"conductors {turned}", wiring=transformers((1, 1, 1), turned)),
        Fault(kind, "ac1", f"declared on {phase}", declared=rewired("ac1", phase)),
    ]


def _scales(chance: Random) -> list[Fault]:
    kind, factor, ratio = Kind.WRONG_SCALE, chance.choice(SCALES), chance.choice((5.0, 0.2, 2.0, 0.5, 60.0))
    mild = chance.choice((10.0, 0.1, sqrt(3.0), 1.0 / sqrt(3.0), 3.0, 1.0 / 3.0))
    return [
        Fault(kind, "grid", f"power_kw x {factor:.3g}", believed={"grid": scaled("power_kw", factor)}),
        Fault(kind, "grid", f"CT ratio x {ratio:.3g}", wiring=transformers((1, 1, 1), factor=ratio)),
        Fault(kind, "battery", f"power_kw x {factor:.3g}", believed={"battery": scaled("power_kw", factor)}),
        Fault(
            kind, "battery", f"setpoint_kw x {mild:.3g}", believed={"battery": scaled("setpoint_kw", mild)}
        ),
        Fault(kind, "ac1", f"power_kw x {factor:.3g}", believed={"ac1": scaled("power_kw", factor)}),
        Fault(kind, "grid", f"import_kwh x {factor:.3g}", believed={"grid": scaled("import_kwh", factor)}),
    ]


def _orders() -> list[Fault]:
    kind = Kind.WORD_ORDER
    return [
        Fault(kind, device, f"words of {point}", believed={device: flipped_words(point)})
        for device, point in (
            ("grid", "power_kw"),
            ("grid", "import_kwh"),
            ("battery", "power_kw"),
            ("ac1", "power_kw"),
        )
    ]
