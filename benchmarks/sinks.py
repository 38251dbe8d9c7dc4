"""How long a backlog takes to reach a real InfluxDB 1.6.7, and whether the event loop notices.

``python -m benchmarks.sinks [--hours 24] [--json FILE]`` fills the outbox of a station of 500 signals per second and
drains it. It prints ``backlog_hours``, ``signals_per_s``, ``values``, ``fill_s``, ``outbox_mb`` (as it lies on disk),
``drain_s``, ``lost`` and ``doubled`` (counted on the server), and how late the ticks of 0.1 s of the same event loop
are, and those of another process at the same time, which shows what is the machine's: ``lateness_ms_p99_idle``,
``lateness_ms_p99_draining``, ``lateness_ms_p99_elsewhere`` (draining), and so on for the median and the maximum.
Needs Debian's package influxdb.
"""

import argparse
import asyncio
import json
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import urlencode

import configs
from benchmarks._ticker import ticking
from configs.load import load_site
from controller.clock import LiveClock
from northbound.influx import InfluxSink
from northbound.lines import SINK, SITE_FIELDS, influx_feed
from northbound.store import Store
from station.sinks import InfluxSettings
from station.topology import Site

STATIONS = Path(configs.__file__).parent / "stations"
SIGNALS = 500
START = datetime(2026, 3, 1, tzinfo=UTC)
IDLE_S = 20.0
DATABASE = "bench"
FLUSH_EVERY = 5_000
EACH = ("power_kw", "planned_kw", "setpoint_kw", "session_kwh", "occupied", "lease_left_s")
DEVICE = ("age_s", "quality", "errors")
"""What each connector tells: 9 signals."""

INFLUX_CONFIG = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc_port}"
[meta]
dir = "{directory}/meta"
[data]
dir = "{directory}/data"
wal-dir = "{directory}/wal"
query-log-enabled = false
[monitor]
store-enabled = false
[http]
bind-address = "127.0.0.1:{port}"
log-enabled = false
"""


def station() -> Site:
    """Return a station with so many connectors that its record has about 500 signals."""
    site = load_site(STATIONS / "months.yaml").site
    count = (SIGNALS - len(SITE_FIELDS)) // (len(EACH) + len(DEVICE))
    model = site.connectors[0]
    connectors = tuple(replace(model, asset_id=f"ev{i:03}") for i in range(count))
    return replace(site, site_id="bench", connectors=connectors, batteries=(), pv_plants=())


def records(site: Site, hours: float) -> Iterator[tuple[datetime, dict[str, float]]]:
    """Yield one record a second: a walk in steps of 0.1, a third of the signals constant."""
    chance = random.Random(1)
    names = [*SITE_FIELDS]
    names += [f"{c.asset_id}.{field}" for c in site.connectors for field in (*EACH, *DEVICE)]
    names += [f"extra.{i}" for i in range(SIGNALS - len(names))]
    values = dict.fromkeys(names, 10.0)
    for second in range(int(hours * 3600.0)):
        for index, name in enumerate(names):
            if index % 3:
                values[name] = round(values[name] + chance.choice((-0.1, 0.0, 0.1)), 1)
        yield START + timedelta(seconds=second), dict(values)


def told_per_record(site: Site) -> int:
    """Return how many values of a record reach InfluxDB."""
    return len(SITE_FIELDS) + len(site.connectors) * (len(EACH) + len(DEVICE))


def fill(store: Store, site: Site, hours: float) -> float:
    """Put the backlog into the store and return how long that took, in s."""
    began_s = monotonic()
    for index, (at, values) in enumerate(records(site, hours)):
        store.record(at, values)
        if index % FLUSH_EVERY == 0:
            store.flush(120.0)
    if not store.flush(600.0):
        raise SystemExit("the store could not keep up")
    return monotonic() - began_s


async def drain(store: Store, url: str) -> float:
    """Run the sink until nothing waits, and return how long that took, in s."""
    sink = InfluxSink(InfluxSettings(url, "heliodock", DATABASE), store.outbox(SINK), LiveClock())
    began_s = monotonic()
    task = asyncio.create_task(sink.run())
    while await asyncio.to_thread(store.outbox(SINK).parcels, 1, 1):
        await asyncio.sleep(0.2)
        if task.done():
            task.result()
    took_s = monotonic() - began_s
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    if sink.status.refused:
        raise SystemExit(f"lines were refused: {sink.status}")
    return took_s


def ask(port: int, query: str) -> list[list[Any]]:
    """Return the rows that InfluxDB gives, of all series."""
    data = urlencode({"db": DATABASE, "q": query, "epoch": "ms"}).encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/query", data, timeout=300) as response:
        series = json.load(response)["results"][0].get("series", [])
    return [row for entry in series for row in entry["values"]]


def counted(port: int) -> int:
    """Return how many values the server holds."""
    measurements = ("site", "asset", "device", "loop")
    rows = [row for name in measurements for row in ask(port, f'SELECT COUNT(*) FROM "{name}"')]
    return sum(int(number) for row in rows for number in row[1:])


async def measure(hours: float, port: int, directory: Path) -> dict[str, float]:
    """Return all figures."""
    ask(port, f"DROP DATABASE {DATABASE}")
    ask(port, f"CREATE DATABASE {DATABASE}")
    site = station()
    idle_ms: list[float] = []
    draining_ms: list[float] = []
    elsewhere_ms: list[float] = []
    async with ticking(idle_ms):
        await asyncio.sleep(IDLE_S)
    store = Store(directory / "store", site.site_id, feeds=(influx_feed(site),))
    fill_s = await asyncio.to_thread(fill, store, site, hours)
    outbox_mb = store.outbox(SINK).backlog().size_bytes / 1e6
    with path_shim(port) as url, ticking_elsewhere(elsewhere_ms):
        async with ticking(draining_ms):
            drain_s = await drain(store, url)
    store.close()
    values = told_per_record(site) * int(hours * 3600.0)
    found = counted(port)
    return {
        "backlog_hours": hours,
        "signals_per_s": SIGNALS,
        "values": values,
        "fill_s": round(fill_s, 1),
        "outbox_mb": round(outbox_mb, 1),
        "drain_s": round(drain_s, 1),
        "lost": max(values - found, 0),
        "doubled": max(found - values, 0),
        **quantiles_ms("idle", idle_ms),
        **quantiles_ms("draining", draining_ms),
        **quantiles_ms("elsewhere", elsewhere_ms),
    }


def quantiles_ms(when: str, late_ms: list[float]) -> dict[str, float]:
    """Return median, 99th percentile and maximum."""
    ranked = sorted(late_ms) or [0.0]
    shares = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {
        f"lateness_ms_{name}_{when}": round(ranked[int(share * (len(ranked) - 1))], 2)
        for name, share in shares.items()
    }


@contextmanager
def ticking_elsewhere(late_ms: list[float]) -> Iterator[None]:
    """Let another process tick meanwhile, and note how late it was."""
    command = [sys.executable, "-m", "benchmarks._ticker"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as ticker:
        yield
        said, _ = ticker.communicate("")
    late_ms.extend(json.loads(said))


@contextmanager
def path_shim(port: int) -> Iterator[str]:
    """Run the proxy that knows the path of version 2; give its address."""
    command = [sys.executable, "-m", "benchmarks._influx_path", str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as proxy:
        assert proxy.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(proxy.stdout.readline())}"
        finally:
            proxy.terminate()


@contextmanager
def influxdb(program: str, directory: Path) -> Iterator[int]:
    """Run an InfluxDB 1.x on free ports with its data in ``directory``; give its port."""
    port, rpc_port = (free_port() for _ in range(2))
    config = directory / "influxdb.conf"
    config.write_text(INFLUX_CONFIG.format(directory=directory, port=port, rpc_port=rpc_port))
    quiet = subprocess.DEVNULL
    with subprocess.Popen([program, "-config", str(config)], stdout=quiet, stderr=quiet) as server:
        try:
            _await(f"http://127.0.0.1:{port}/ping")
            yield port
        finally:
            server.terminate()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _await(url: str) -> None:
    give_up_s = monotonic() + 30.0
    while True:
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except OSError:
            if monotonic() > give_up_s:
                raise
        else:
            return


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON; - is standard output")
    parser.add_argument("--hours", type=float, default=24.0, help="length of the backlog")
    arguments = parser.parse_args()
    program = shutil.which("influxd")
    if program is None:
        raise SystemExit("influxd is not installed (Debian's package influxdb)")
    with tempfile.TemporaryDirectory() as name, influxdb(program, Path(name)) as port:
        figures = asyncio.run(measure(arguments.hours, port, Path(name)))
    if arguments.json is None or arguments.json == "-":
        sys.stdout.write(json.dumps(figures) + "\n")
    else:
        Path(arguments.json).write_text(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
