"""The peers of the Modbus benchmark, compiled from C against libmodbus: cheap servers, and a client."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HEADERS = Path("/usr/include/modbus")


@contextmanager
def compiled(*names: str) -> Iterator[list[Path]]:
    """Give the programs of these names; end the benchmark where they cannot be compiled."""
    compiler = shutil.which("gcc")
    if compiler is None or not HEADERS.exists():
        raise SystemExit("gcc or libmodbus is not installed (tests/system_packages.sh installs them as root)")
    with tempfile.TemporaryDirectory(prefix="heliodock-wire-") as folder:
        programs = []
        for name in names:
            source, program = Path(__file__).with_name(f"{name}.c"), Path(folder) / name
            command = [compiler, "-O2", f"-I{HEADERS}", str(source), "-o", str(program), "-lmodbus"]
            subprocess.run(command, check=True)
            programs.append(program)
        yield programs


@contextmanager
def servers(program: Path, count: int) -> Iterator[list[int]]:
    """Give the ports of as many servers in one process of their own."""
    process = subprocess.Popen(
        [program, str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield [int(port) for port in process.stdout.readline().split()]
    finally:
        process.stdin.close()
        process.wait(10.0)
        process.stdout.close()
