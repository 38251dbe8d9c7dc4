"""What all tests share: repeatable chance, no display, and the foreign Modbus peers where they exist."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("MPLBACKEND", "Agg")

# The same examples on every run, so that a red build is red again. HYPOTHESIS_PROFILE=deep looks further.
settings.register_profile(
    "check", derandomize=True, deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "deep", deadline=None, max_examples=5000, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "check"))

MODBUS_HEADER = Path("/usr/include/modbus/modbus.h")


@pytest.fixture(scope="session")
def mbpoll() -> str:
    """Return the path of mbpoll, a Modbus master that is not ours; skip where it is not installed."""
    path = shutil.which("mbpoll")
    if path is None:
        pytest.skip("mbpoll is not installed (tests/system_packages.sh installs it as root)")
    return path


@pytest.fixture(scope="session")
def libmodbus_compiler() -> tuple[str, ...]:
    """Return the command that compiles a C file against libmodbus; skip where it cannot.

    Use: ``subprocess.run([libmodbus_compiler[0], source, "-o", program, *libmodbus_compiler[1:]])``.
    """
    compiler = shutil.which("gcc")
    if compiler is None or not MODBUS_HEADER.exists():
        pytest.skip("gcc or libmodbus is not installed (tests/system_packages.sh installs them as root)")
    return (compiler, f"-I{MODBUS_HEADER.parent}", "-lmodbus")
