"""How long a backlog takes to reach a real Mosquitto over TLS, and whether the event loop notices.

``python -m benchmarks.mqtt [--hours 24] [--interval 10] [--json FILE]`` fills the outbox of a station of 500 signals
per second and drains it. It prints ``backlog_hours``, ``interval_s``, ``messages``, ``outbox_mb`` (as it lies on disk),
``drain_s``, ``cpu_s`` (of this process), ``lost`` and ``doubled`` (by the ids that a subscriber got), and how late the
ticks of 0.1 s of the same event loop are, idle and while draining. Needs Debian's packages mosquitto and openssl.
"""

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, process_time

from benchmarks._ticker import ticking
from benchmarks.sinks import IDLE_S, fill, free_port, quantiles_ms, station
from controller.clock import LiveClock
from northbound.mqtt import MqttSink
from northbound.mqtt_messages import SINK, mqtt_feed
from northbound.store import Store
from station.sinks import MqttSettings

CONFIG = """
listener {port} 127.0.0.1
cafile {directory}/ca.crt
certfile {directory}/ca.crt
keyfile {directory}/ca.key
allow_anonymous true
max_queued_messages 0
set_tcp_nodelay true
log_dest none
user root
"""


@contextmanager
def broker(directory: Path) -> Iterator[int]:
    """Run a Mosquitto with a certificate of its own; give its port."""
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin")
    if program is None or shutil.which("openssl") is None:
        raise SystemExit("mosquitto or openssl is not installed (Debian's packages)")
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    make += ["-keyout", str(directory / "ca.key"), "-out", str(directory / "ca.crt")]
    subprocess.run([*make, "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    port = free_port()
    config = directory / "mosquitto.conf"
    config.write_text(CONFIG.format(port=port, directory=directory))
    with subprocess.Popen([program, "-c", str(config)], stderr=subprocess.DEVNULL) as process:
        try:
            yield port
        finally:
            process.terminate()


@contextmanager
def subscriber(port: int, directory: Path) -> Iterator[Path]:
    """Let another process write down what it is told, a line each; give its file."""
    told = directory / "told"
    command = ["mosquitto_sub", "-h", "localhost", "-p", str(port), "--cafile", str(directory / "ca.crt")]
    with (
        told.open("wb") as file,
        subprocess.Popen([*command, "-q", "1", "-t", "heliodock/#"], stdout=file) as process,
    ):
        try:
            yield told
        finally:
            process.terminate()


async def measure(hours: float, interval_s: float, directory: Path) -> dict[str, float]:
    """Return all figures."""
    site = station()
    idle_ms: list[float] = []
    draining_ms: list[float] = []
    async with ticking(idle_ms):
        await asyncio.sleep(IDLE_S)
    with broker(directory) as port:
        await asyncio.sleep(1.0)
        settings = MqttSettings("localhost", port, ca_file=directory / "ca.crt", interval_s=interval_s)
        store = Store(directory / "store", site.site_id, feeds=(mqtt_feed(site, settings),))
        await asyncio.to_thread(fill, store, site, hours)
        backlog = store.outbox(SINK).backlog()
        with subscriber(port, directory) as told:
            await asyncio.sleep(1.0)
            async with ticking(draining_ms):
                drain_s, cpu_s = await drain(MqttSink(settings, site, store, LiveClock()), store)
            await asyncio.sleep(5.0)
        store.close()
    ids = Counter(json.loads(line)["id"] for line in told.read_text().splitlines() if '"kind"' in line)
    wanted = backlog.count * (1 + len(site.connectors))
    return {
        "backlog_hours": hours,
        "interval_s": interval_s,
        "messages": wanted,
        "outbox_mb": round(backlog.size_bytes / 1e6, 1),
        "drain_s": round(drain_s, 1),
        "cpu_s": round(cpu_s, 1),
        "lost": wanted - len(ids),
        "doubled": sum(ids.values()) - len(ids),
        **quantiles_ms("idle", idle_ms),
        **quantiles_ms("draining", draining_ms),
    }


async def drain(sink: MqttSink, store: Store) -> tuple[float, float]:
    """Run the sink until nothing waits, and return how long that took and the CPU time of this process, in s."""
    began_s, spent_s = monotonic(), process_time()
    task = asyncio.create_task(sink.run())
    while await asyncio.to_thread(store.outbox(SINK).parcels, 1, 1):  # noqa: ASYNC110  nobody tells
        await asyncio.sleep(0.2)
    took = monotonic() - began_s, process_time() - spent_s
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    if sink.status.refused:
        raise SystemExit(f"messages were refused: {sink.status}")
    return took


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON; - is standard output")
    parser.add_argument("--hours", type=float, default=24.0, help="length of the backlog")
    parser.add_argument("--interval", type=float, default=10.0, help="seconds between states")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        figures = asyncio.run(measure(arguments.hours, arguments.interval, Path(name)))
    if arguments.json is None or arguments.json == "-":
        sys.stdout.write(json.dumps(figures) + "\n")
    else:
        Path(arguments.json).write_text(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
