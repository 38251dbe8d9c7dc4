"""What both rigs play: the scenario's world, and its source of bad plans."""

from datetime import timedelta
from random import Random

from configs.csv_data import read_series
from hil.rigs.trace import WatchedWorld
from hil.scenario import Scenario, StepFile
from hil.world import LoadNoise, Surroundings
from station.clock import Instant, slot_start
from station.inputs import SessionRow
from station.plan import Plan, PlanOrigin

ROW_S = 1.0
"""Resolution of the steps of base load and sun, in seconds."""

NONSENSE_KW = (float("nan"), float("inf"), float("-inf"), 1e9, -1e9, 0.0)


def world_of(scenario: Scenario) -> WatchedWorld:
    """Return a fresh world at the start of the scenario."""
    model, site = scenario.model, scenario.loaded.site
    return WatchedWorld(
        site,
        _surroundings(scenario),
        _cars(scenario),
        start_at=model.start,
        soc=model.soc,
        noise=LoadNoise(model.noise_kw, seed=model.seed) if model.noise_kw else None,
    )


def _cars(scenario: Scenario) -> tuple[SessionRow, ...]:
    rows = []
    for number, car in enumerate(scenario.model.cars, 1):
        plugged_in_at = scenario.model.start + timedelta(seconds=car.at_s)
        unplugged_at = plugged_in_at + timedelta(seconds=car.stay_s)
        rows.append(
            SessionRow(
                f"car{number}",
                car.connector,
                plugged_in_at,
                unplugged_at,
                car.energy_kwh,
                car.requested_kwh,
                unplugged_at,
                car.max_power_kw,
                car.soc,
                car.capacity_kwh,
            )
        )
    return tuple(rows)


def _surroundings(scenario: Scenario) -> Surroundings:
    """Return load and sun: as the scenario says, else as in the site's series, in rows of ``ROW_S``."""
    model = scenario.model
    rows = int(model.duration_s / ROW_S) + 1
    own = _series(scenario) if model.base_load_kw is None or model.sun_kw is None else None
    offset_s = (model.start - own.starts_at).total_seconds() if own else 0.0
    load_kw, sun_kw = [], []
    for row in range(rows):
        at_s = row * ROW_S
        series_kw = own.means_kw(offset_s + at_s, offset_s + at_s + ROW_S) if own else (0.0, 0.0)
        load_kw.append(series_kw[0] if model.base_load_kw is None else _at(model.base_load_kw, at_s))
        sun_kw.append(series_kw[1] if model.sun_kw is None else _at(model.sun_kw, at_s))
    return Surroundings(model.start, ROW_S, tuple(load_kw), tuple(sun_kw))


def _series(scenario: Scenario) -> Surroundings:
    twin, base = scenario.loaded.twin, scenario.loaded.site.base_load
    assert twin.series is not None, "checked when the scenario was read"
    series = read_series(twin.series).scaled(twin.load_factor, twin.pv_factor, base.max_kw)
    return Surroundings(series.starts_at, series.step_s, series.load_kw, series.pv_kw)


def _at(steps: float | tuple[StepFile, ...], at_s: float) -> float:
    if isinstance(steps, float):
        return steps
    return [step.kw for step in steps if step.at_s <= at_s][-1]


class Nonsense:
    """Makes plans that mean nothing: NaN, infinite, enormous, reversed, beyond every nameplate. Seeded."""

    def __init__(self, scenario: Scenario) -> None:
        self._site = scenario.loaded.site
        self._random = Random(scenario.model.seed)

    def plan(self, now: Instant) -> Plan:
        """Return another such plan, valid now and for the cars that are there."""
        slot_s = self._site.planning.slot_s
        starts_at = slot_start(now.at, slot_s)
        targets_kw = {asset.asset_id: (self._power_kw(),) * 2 for asset in self._site.controllables}
        return Plan(
            now.at,
            starts_at,
            slot_s,
            starts_at + timedelta(seconds=2 * slot_s),
            targets_kw,
            {},
            self._power_kw(),
            PlanOrigin.OPTIMIZER,
            grid_kw=(self._power_kw(), self._power_kw()),
        )

    def _power_kw(self) -> float:
        return self._random.choice((*NONSENSE_KW, self._random.uniform(-300.0, 300.0)))
