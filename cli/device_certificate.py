"""``heliodock device certificate`` and ``pin``: our own certificate for OPC UA, and that of a server."""

import asyncio
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.paths import check_targets, make_directory
from cli.terminal import fail, note, say
from station.errors import ConfigError, DriverError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from configs.load import LoadedSite

CERTIFICATE_EXAMPLE = (
    "Example: heliodock device certificate --out certificates --uri urn:depot-north:heliodock"
)
PIN_EXAMPLE = "Example: heliodock device pin 10.0.0.9 --out certificates/dc1.der"
TIMEOUT_S = 3.0


def certificate(
    *,
    out: Annotated[str, typer.Option("--out", metavar="DIR", help="Gets own.der and own.pem.")],
    uri: Annotated[str, typer.Option("--uri", metavar="URI", help="Our application URI, one for each site.")],
    days: Annotated[int, typer.Option(metavar="N", min=1, max=7300, help="How long it is valid.")] = 1095,
) -> None:
    """Make the certificate with which heliodock proves itself to OPC UA servers; nothing is ever overwritten."""
    from drivers.opcua_certificate import own_certificate
    from drivers.opcua_security import certificate_in, fingerprint

    if ":" not in uri or not uri.isascii() or any(sign.isspace() for sign in uri):
        raise ConfigError("--uri", 0, "", f"a URI such as urn:depot-north:heliodock is expected, not '{uri}'")
    folder = make_directory(out)
    der, pem = own_certificate(uri, socket.gethostname(), datetime.now(UTC), days)
    _write_new(folder / "own.pem", pem, 0o600)
    _write_new(folder / "own.der", der, 0o644)
    made = certificate_in(folder / "own.der")
    say(f"{folder / 'own.der'}: {uri}, valid until {made.not_valid_after_utc:%Y-%m-%d}")
    say(f"let the server trust it; its SHA-256 begins with {fingerprint(made)}")
    note(f"{folder / 'own.pem'} is its key and stays here")


def pin(
    host: Annotated[str, typer.Argument(metavar="HOST", show_default=False)],
    *,
    out: Annotated[str, typer.Option("--out", metavar="FILE", help="Where the certificate goes, DER.")],
    port: Annotated[int, typer.Option(metavar="N", min=1, max=65535)] = 4840,
) -> None:
    """Fetch the certificate that a server shows; compare its fingerprint with the device itself before it is used."""
    from drivers.opcua_security import certificate_in, fingerprint
    from drivers.scan_opcua import server_certificate

    check_targets(out)
    try:
        der = asyncio.run(server_certificate(host, port, TIMEOUT_S))
    except DriverError as failed:
        fail(str(failed))
        raise typer.Exit(1) from None
    _write_new(Path(out), der, 0o644)
    try:
        shown = certificate_in(Path(out))
    except ValueError as unusable:
        fail(str(unusable))
        raise typer.Exit(1) from None
    say(f"{out}: {shown.subject.rfc4514_string()}, valid until {shown.not_valid_after_utc:%Y-%m-%d}")
    say(f"SHA-256 begins with {fingerprint(shown)}")
    note("anybody on the way could have shown it: compare the fingerprint at the device")


def certificate_faults(loaded: "LoadedSite", now_at: datetime) -> "Iterator[str]":
    """Yield why the certificates of devices can't be used; tell those that end soon."""
    secured = [its for its in loaded.devices if its.opcua is not None and its.opcua.is_secured]
    if not secured:
        return
    from drivers.opcua_security import endings, papers_of

    for binding in secured:
        assert binding.opcua is not None
        try:
            papers_of(binding.opcua, now_at)
        except ValueError as unusable:
            yield f"{binding.device_id}: {unusable}"
            continue
        for text in endings(binding.opcua, now_at):
            note(f"{binding.device_id}: {text}: renew it")


def _write_new(file: Path, content: bytes, mode: int) -> None:
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as new:
            new.write(content)
    except FileExistsError:
        raise ConfigError(str(file), 0, "", "is there already; move it away first") from None
    except OSError as refused:
        raise ConfigError(str(file), 0, "", f"cannot be written: {refused.strerror}") from None
