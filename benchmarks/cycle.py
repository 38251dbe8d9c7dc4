"""How long one control cycle takes, and how much faster than life the twin is.

``python -m benchmarks.cycle [--json FILE]`` prints ``assets``, ``step_us_p50`` and ``step_us_p99`` (CPU time of one
``step`` at a station of 60 controllable assets, every car charging), and ``twin_times_real_time`` (60 s steps) and
``twin_times_real_time_1s`` (1 s steps): CPU time of the demo's twin with all its plans, as a multiple of real time.
"""

import argparse
import json
import sys
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from time import process_time_ns
from zoneinfo import ZoneInfo

import numpy as np

import configs
from configs.csv_data import read_series, read_sessions
from configs.load import LoadedSite, load_site
from controller.step import start, step
from hil.run import TwinRun
from hil.twin import run_strategy
from hil.world import Surroundings, World
from station.decision import Setpoint
from station.inputs import SessionRow
from station.measurement import Snapshot, WriteResult
from station.topology import Site

STATIONS = Path(configs.__file__).parent / "stations"
ASSETS = 60
CYCLES = 600
DAY = date(2019, 9, 18)


def measure() -> dict[str, float]:
    """Return all figures."""
    steps_us = step_times_us(station_of(ASSETS))
    loaded = load_site(STATIONS / "demo.yaml")
    return {
        "assets": ASSETS,
        "step_us_p50": round(float(np.percentile(steps_us, 50)), 1),
        "step_us_p99": round(float(np.percentile(steps_us, 99)), 1),
        "twin_times_real_time": round(twin_speed(loaded, days=2.0, step_s=60.0)),
        "twin_times_real_time_1s": round(twin_speed(loaded, days=0.25, step_s=1.0, from_hour=6)),
    }


def station_of(assets: int) -> Site:
    """Return the station of the month benchmarks with as many connectors as make ``assets`` controllable assets."""
    site = load_site(STATIONS / "months.yaml").site
    wanted = assets - len(site.batteries) - len(site.pv_plants)
    model = site.connectors[0]
    extra = tuple(replace(model, asset_id=f"extra{i}") for i in range(wanted - len(site.connectors)))
    root = replace(site.nodes[0], members=(*site.nodes[0].members, *(c.asset_id for c in extra)))
    return replace(site, connectors=(*site.connectors, *extra), nodes=(root, *site.nodes[1:]))


def step_times_us(site: Site) -> list[float]:
    """Return the CPU time of each of some hundred steps in closed loop at 1 s, in microseconds."""
    begins_at = datetime.combine(DAY, time(9), ZoneInfo(site.timezone))
    rows = [
        SessionRow(
            f"s{i}",
            c.asset_id,
            begins_at,
            begins_at + timedelta(hours=8),
            40.0,
            40.0,
            begins_at + timedelta(hours=6),
        )
        for i, c in enumerate(site.connectors)
    ]
    world = World(site, Surroundings(begins_at, 900.0, (40.0,), (30.0,)), rows, start_at=begins_at)
    state = start(world.now)
    writes: dict[str, WriteResult] = {}
    times_us = []
    for _ in range(CYCLES):
        now = world.now
        snapshot = Snapshot(now, world.readings(), writes)
        began_ns = process_time_ns()
        decision = step(site, state, snapshot, None, now)
        times_us.append((process_time_ns() - began_ns) / 1000.0)
        state = decision.state
        world.apply(decision.setpoints)
        writes = {
            key: WriteResult(now.mono_s, entry.power_kw, True)
            for key, entry in decision.setpoints.items()
            if isinstance(entry, Setpoint)
        }
        world.advance(1.0)
    return times_us


def twin_speed(loaded: LoadedSite, *, days: float, step_s: float, from_hour: int = 0) -> float:
    """Return how many times faster than life the planned twin of the demo is, by CPU time."""
    site, twin = loaded.site, loaded.twin
    if twin.sessions is None or twin.series is None:
        raise SystemExit("the demo names no data")
    run = TwinRun(
        site,
        read_sessions(twin.sessions, [c.asset_id for c in site.connectors]),
        read_series(twin.series).scaled(twin.load_factor, twin.pv_factor, site.base_load.max_kw),
        datetime.combine(DAY, time(from_hour), ZoneInfo(site.timezone)),
        days,
        step_s,
    )
    return run_strategy(run, "mpc").sim_days_per_s * 86_400.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON; - is standard output")
    file = parser.parse_args().json
    figures = measure()
    if file is None or file == "-":
        sys.stdout.write(json.dumps(figures) + "\n")
    else:
        Path(file).write_text(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
