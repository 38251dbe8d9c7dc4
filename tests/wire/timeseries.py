"""Real servers for time series as child processes: InfluxDB 1.6.7 and VictoriaMetrics, from Debian's packages."""

import json
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.parse import urlencode

STARTS_S = 30.0

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
[subscriber]
enabled = false
[continuous_queries]
enabled = false
[http]
bind-address = "127.0.0.1:{port}"
log-enabled = false
"""


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def influxdb(program: str, directory: Path) -> Iterator[int]:
    """Run InfluxDB with its data in ``directory``; give its port."""
    port = free_port()
    config = directory / "influxdb.conf"
    config.write_text(INFLUX_CONFIG.format(directory=directory, port=port, rpc_port=free_port()))
    with _running([program, "-config", str(config)], f"http://127.0.0.1:{port}/ping"):
        yield port


@contextmanager
def victoria_metrics(program: str, directory: Path) -> Iterator[int]:
    """Run VictoriaMetrics with its data in ``directory``, equal points counted once; give its port."""
    port = free_port()
    flags = ("-dedup.minScrapeInterval=1ms", "-retentionPeriod=100y", f"-storageDataPath={directory}/data")
    with _running([program, f"-httpListenAddr=127.0.0.1:{port}", *flags], f"http://127.0.0.1:{port}/health"):
        yield port


class InfluxQuery:
    """One database of an InfluxDB, made new."""

    def __init__(self, port: int, database: str) -> None:
        self.port, self.database = port, database
        self.ask(f'CREATE DATABASE "{database}"')

    def ask(self, query: str) -> list[dict[str, Any]]:
        """Return the series that a query gives; raise where the server finds it wrong."""
        data = urlencode({"db": self.database, "q": query, "epoch": "ms"}).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/query", data, timeout=30) as response:
            result = json.load(response)["results"][0]
        if "error" in result:
            raise ValueError(result["error"])
        series: list[dict[str, Any]] = result.get("series", [])
        return series

    def write(self, lines: str) -> None:
        """Write points; their times are in ms."""
        url = f"http://127.0.0.1:{self.port}/write?{urlencode({'db': self.database, 'precision': 'ms'})}"
        urllib.request.urlopen(url, lines.encode(), timeout=30).close()

    def total(self, measurement: str, field: str) -> tuple[int, float]:
        """Return how many points there are of a field in all series, and their sum."""
        found = self.ask(f'SELECT COUNT("{field}"), SUM("{field}") FROM "{measurement}"')
        return (found[0]["values"][0][1], found[0]["values"][0][2]) if found else (0, 0.0)


def exported(port: int, metric: str) -> list[tuple[int, float]]:
    """Return the points of a metric in all series of VictoriaMetrics: time in ms and value."""
    flush = f"http://127.0.0.1:{port}/internal/force_flush"
    urllib.request.urlopen(flush, timeout=30).close()
    query = urlencode({"match[]": f'{{__name__="{metric}"}}', "reduce_mem_usage": 0})
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/export?{query}", timeout=30) as response:
        blocks = [json.loads(line) for line in response.read().splitlines()]
    return [point for block in blocks for point in zip(block["timestamps"], block["values"], strict=True)]


@contextmanager
def _running(command: list[str], url: str) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _await(url, process)
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await(url: str, process: "subprocess.Popen[bytes]") -> None:
    give_up_s = monotonic() + STARTS_S
    while process.poll() is None and monotonic() < give_up_s:
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except OSError:
            sleep(0.05)
        else:
            return
    raise RuntimeError(f"{process.args!r} did not start")
