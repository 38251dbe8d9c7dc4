"""The command, as somebody types it, and a station whose devices answer."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from typer.testing import CliRunner, Result

from cli.main import make_app
from configs.load import load_site
from hil.clocks import WallClock
from hil.serve import Rig, start_of, world_of

DEMO = Path(__file__).parents[3] / "configs" / "stations" / "demo.yaml"
PORTS = (*range(15020, 15031), 15040)


def heliodock(*args: object) -> Result:
    """Run the command in this process, as into a pipe."""
    return CliRunner(env={"NO_COLOR": "1"}).invoke(
        make_app(), [str(arg) for arg in args], prog_name="heliodock"
    )


def refusal(result: Result) -> str:
    """Return the one line with which unusable input was refused."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    line, end, rest = result.stderr.partition("\n")
    assert (end, rest) == ("\n", "")
    assert line.startswith("error: ")
    return line


def demo_with(directory: Path, *changes: tuple[str, str]) -> Path:
    """Return a copy of the demonstration with pieces of its text replaced."""
    text = DEMO.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = directory / "site.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [its.getsockname()[1] for its in sockets]
    for its in sockets:
        its.close()
    return ports


def on_free_ports(directory: Path) -> Path:
    """Return a copy of the demonstration on ports that nobody listens on."""
    ports = zip(PORTS, free_ports(len(PORTS)), strict=True)
    return demo_with(directory, *((f"port: {old}", f"port: {new}") for old, new in ports))


@contextmanager
def served(site_file: Path) -> Iterator[None]:
    """Emulate a site's devices in another thread."""
    ready, loop, stop = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        loaded = load_site(site_file)
        clock = WallClock(start_of(loaded))
        async with Rig(loaded, clock, world_of(loaded)).started():
            ready.set()
            await stop.wait()

    def run() -> None:
        try:
            loop.run_until_complete(serve())
        finally:
            ready.set()
            loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(30.0)
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30.0)
