"""Who may enter an emulated OPC UA server: as the site file has it, seen from the other side."""

import hmac
from datetime import UTC, datetime

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.internal_server import InternalServer
from asyncua.server.server import Server
from asyncua.server.user_managers import UserManager
from asyncua.ua.status_codes import StatusCodes
from cryptography import x509

from configs.secrets import secret_of
from drivers.opcua_security import application_uris, certificate_in, papers_of
from station.errors import ConfigError
from station.opcua import OpcuaAccess


async def hang_door(server: Server, access: OpcuaAccess) -> None:
    """Let in who ``access`` describes and nobody else; raise ``ConfigError``.

    A secured server needs a key of its own: ``dc1.pem`` beside the ``server_certificate`` ``dc1.der``.
    """
    if not access.is_secured:
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        return
    assert access.server_certificate is not None
    assert access.certificate is not None
    key = access.server_certificate.with_suffix(".pem")
    if not key.is_file():
        problem = "no such file: an emulated server needs the key of its certificate"
        raise ConfigError(str(key), 0, "", problem)
    try:
        papers = papers_of(access, datetime.now(UTC))
    except ValueError as unusable:
        raise ConfigError(str(access.server_certificate.parent), 0, "", str(unusable)) from None
    server.set_security_policy([_policy_type(access)])
    await server.load_certificate(access.server_certificate)
    await server.load_private_key(key)
    await server.set_application_uri(application_uris(papers.server)[0])
    server.set_certificate_validator(_Guest(certificate_in(access.certificate)).check)


class Users(UserManager):
    """Knows the one user that the site file names; without one, everybody may come."""

    def __init__(self, access: OpcuaAccess) -> None:
        self._access = access

    def get_user(
        self,
        iserver: InternalServer,  # noqa: ARG002  asyncua calls with these names
        username: str | None = None,
        password: str | None = None,
        certificate: object = None,  # noqa: ARG002
    ) -> User | None:
        """Return the user that asyncua is to know, None to refuse."""
        if self._access.user:
            wanted = secret_of(self._access.password)
            if username != self._access.user or not hmac.compare_digest(
                wanted.encode(), (password or "").encode()
            ):
                return None
        return User(role=UserRole.User, name=username)


class _Guest:
    """The only client that is known."""

    def __init__(self, certificate: x509.Certificate) -> None:
        self._certificate = certificate

    async def check(self, shown: x509.Certificate, who: ua.ApplicationDescription) -> None:
        if shown != self._certificate:
            raise ServiceError(StatusCodes.BadCertificateUntrusted)
        if who.ApplicationUri not in application_uris(shown):
            raise ServiceError(StatusCodes.BadCertificateUriInvalid)


def _policy_type(access: OpcuaAccess) -> ua.SecurityPolicyType:
    return ua.SecurityPolicyType[f"{access.policy.replace('_', '')}_{access.mode}"]
