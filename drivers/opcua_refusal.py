"""Why a server did not let us in, found out by asking it what it offers. Only words come of it, never a way in."""

import asyncio
from collections.abc import Sequence

from asyncua import ua
from asyncua.client.client import Client
from cryptography import x509

from drivers.opcua_security import Papers, fingerprint, first_certificate
from drivers.opcua_words import BUSY, ENTRY, USER, in_brackets, name_of
from station.errors import DriverError, Rejected, Unreachable
from station.opcua import OpcuaAccess

ASK_S = 2.0
"""How long a server may take to say what it offers, after it did not let us in."""


class Barred(Rejected):
    """The server does not let us in. Knocking too often may lock the account."""


async def refused(
    device_id: str, client: Client, access: OpcuaAccess, papers: Papers | None, failed: Exception
) -> DriverError:
    """Return (do not raise) the error that tells why the way into a server failed."""
    name = name_of(failed)
    if name in BUSY:
        return Unreachable(device_id, in_brackets(BUSY, name))
    if name in USER:
        who = f"user {access.user}" if access.user else "no user name given"
        return Barred(device_id, f"{who}: {in_brackets(USER, name)}")
    if name in ENTRY:
        return Barred(device_id, in_brackets(ENTRY, name))
    offered = await _offered(client)
    told = _misfit(access, papers, offered)
    if told:
        return Barred(device_id, told)
    with_what = way(access.policy, access.mode)
    if isinstance(failed, TimeoutError):
        return Unreachable(device_id, f"the server fell silent while we entered with {with_what}")
    said = name or str(failed) or "no reason given"
    if papers is not None and access.certificate is not None and offered and not isinstance(failed, OSError):
        ours = f"{access.certificate.name} ({fingerprint(papers.own)} …)"
        return Barred(device_id, f"the server does not trust our certificate {ours}: {said}")
    return Unreachable(device_id, f"the server broke off while we entered with {with_what}: {said}")


def _misfit(
    access: OpcuaAccess, papers: Papers | None, offered: Sequence[ua.EndpointDescription]
) -> str | None:
    """Return what differs between the site file and what the server offers."""
    if not offered:
        return None
    wanted_way = way(access.policy, access.mode)
    fitting = [its for its in offered if _way(its) == wanted_way]
    if not fitting:
        ways = ", ".join(dict.fromkeys(_way(its) for its in offered))
        return f"the server does not offer {wanted_way}; it offers {ways}"
    wanted = ua.UserTokenType.UserName if access.user else ua.UserTokenType.Anonymous
    if not any(token.TokenType == wanted for its in fitting for token in its.UserIdentityTokens or ()):
        return "the server takes no user names" if access.user else "the server wants a user name"
    if papers is None or access.server_certificate is None:
        return None
    shown = _certificate(fitting[0].ServerCertificate)
    if shown is not None and shown != papers.server:
        pinned = f"{access.server_certificate.name} ({fingerprint(papers.server)} …)"
        return f"the server shows another certificate ({fingerprint(shown)} …) than the pinned {pinned}"
    return None


async def _offered(client: Client) -> Sequence[ua.EndpointDescription]:
    """Return the ways into a server; none where it does not say."""
    try:
        async with asyncio.timeout(ASK_S):
            return await Client(client.server_url.geturl(), timeout=ASK_S).connect_and_get_server_endpoints()
    except Exception:  # noqa: BLE001  it is only to explain another failure
        return ()


def way(policy: str, mode: str) -> str:
    """Return a policy and mode as people say them."""
    return "no security" if policy == "None" else f"{policy} {mode}"


def _way(endpoint: ua.EndpointDescription) -> str:
    return way(str(endpoint.SecurityPolicyUri).rpartition("#")[2], endpoint.SecurityMode.name)


def _certificate(chain: bytes | None) -> x509.Certificate | None:
    try:
        return x509.load_der_x509_certificate(first_certificate(chain or b""))
    except ValueError:
        return None
