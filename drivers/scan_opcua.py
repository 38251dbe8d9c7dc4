"""What an OPC UA server offers: its endpoints with their security, and its namespaces. Reads only."""

import asyncio
import logging
from dataclasses import dataclass

from asyncua.client.client import Client
from asyncua.ua.uaerrors import UaError

from drivers.modbus import in_words
from drivers.opcua_security import first_certificate
from station.errors import DriverError, Nonsense, Unreachable

# what a server lacks is told by what is found; asyncua logs it too
logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One way into a server: ``policy`` without its long prefix, the mode, and how a user may say who he is."""

    policy: str
    mode: str
    users: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Server:
    """A server. ``namespaces`` are empty where it lets nobody in without security."""

    name: str
    endpoints: tuple[Endpoint, ...]
    namespaces: tuple[str, ...]


async def scan_server(host: str, port: int, timeout_s: float) -> Server:
    """Return what a server offers; raise ``DriverError`` where none is there."""
    url, who = f"opc.tcp://{host}:{port}/", f"{host}:{port}"
    try:
        async with asyncio.timeout(4.0 * timeout_s):
            offered = await Client(url, timeout=timeout_s).connect_and_get_server_endpoints()
            endpoints = tuple(
                Endpoint(
                    str(its.SecurityPolicyUri).rpartition("#")[2],
                    its.SecurityMode.name.rstrip("_"),
                    tuple(dict.fromkeys(token.TokenType.name for token in its.UserIdentityTokens or ())),
                )
                for its in offered
            )
            name = str(offered[0].Server.ApplicationName.Text) if offered else ""
            return Server(name, endpoints, await _namespaces(url, endpoints, timeout_s))
    except TimeoutError:
        raise Unreachable(who, f"no answer within {4.0 * timeout_s:g} s") from None
    except OSError as failed:
        raise Unreachable(who, f"no connection: {in_words(failed, timeout_s)}") from None
    except DriverError:
        raise
    except Exception as failed:  # noqa: BLE001  asyncua raises anything at a server that speaks something else
        raise Nonsense(who, f"is no OPC UA server ({failed})") from None


async def server_certificate(host: str, port: int, timeout_s: float) -> bytes:
    """Return the certificate (DER) that a server shows for its secured endpoints; raise ``DriverError``."""
    who = f"{host}:{port}"
    try:
        async with asyncio.timeout(timeout_s):
            offered = await Client(f"opc.tcp://{who}/", timeout=timeout_s).connect_and_get_server_endpoints()
    except TimeoutError:
        raise Unreachable(who, f"no answer within {timeout_s:g} s") from None
    except OSError as failed:
        raise Unreachable(who, f"no connection: {in_words(failed, timeout_s)}") from None
    except Exception as failed:  # noqa: BLE001  asyncua raises anything at a server that speaks something else
        raise Nonsense(who, f"is no OPC UA server ({failed})") from None
    for its in offered:
        if not str(its.SecurityPolicyUri).endswith("#None") and its.ServerCertificate:
            return first_certificate(its.ServerCertificate)
    raise Nonsense(who, "offers no security")


async def _namespaces(url: str, endpoints: tuple[Endpoint, ...], timeout_s: float) -> tuple[str, ...]:
    if not any(its.policy == "None" and "Anonymous" in its.users for its in endpoints):
        return ()
    client = Client(url, timeout=timeout_s)
    try:
        async with client:
            return tuple(await client.get_namespace_array())
    except UaError:
        return ()
