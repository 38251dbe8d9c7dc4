"""Certificates and keys of an OPC UA connection: read, checked against each other, and put into a client.

The server's certificate is pinned: the one in the site's file is the only one that it may show, whoever signed it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from asyncua import ua
from asyncua.client.client import Client
from asyncua.crypto import security_policies
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from station.opcua import OpcuaAccess

WARNED_BEFORE = timedelta(days=30)
"""How long before a certificate ends it is told about."""

POLICIES: dict[str, type[security_policies.SecurityPolicy]] = {
    "Basic256Sha256": security_policies.SecurityPolicyBasic256Sha256,
    "Aes128_Sha256_RsaOaep": security_policies.SecurityPolicyAes128Sha256RsaOaep,
    "Aes256_Sha256_RsaPss": security_policies.SecurityPolicyAes256Sha256RsaPss,
}
_BEGIN = b"-----BEGIN"


@dataclass(frozen=True, slots=True)
class Papers:
    """What a secured connection needs. ``application_uri`` is the name that our certificate gives us."""

    own: x509.Certificate
    key: RSAPrivateKey
    server: x509.Certificate
    application_uri: str


def papers_of(access: OpcuaAccess, now_at: datetime) -> Papers:
    """Return the certificates and the key, read anew; raise ``ValueError`` that says which file is wrong, and how."""
    own_file, key_file, server_file = access.certificate, access.key, access.server_certificate
    if own_file is None or key_file is None or server_file is None:
        raise ValueError(f"policy {access.policy} needs a certificate, its key and the server's certificate")
    own, key, server = certificate_in(own_file), _key_in(key_file), certificate_in(server_file)
    if own.public_key() != key.public_key():
        raise ValueError(f"{key_file.name} is not the key of {own_file.name}")
    for file, certificate in ((own_file, own), (server_file, server)):
        _check_time(file, certificate, now_at)
    uris = application_uris(own)
    if not uris:
        raise ValueError(f"{own_file.name} names no application URI (subjectAltName URI)")
    return Papers(own, key, server, uris[0])


def secure(client: Client, access: OpcuaAccess, papers: Papers) -> None:
    """Let a client speak with the policy and mode of ``access``, as the application that our certificate names."""
    mode = ua.MessageSecurityMode[access.mode]
    client.application_uri = papers.application_uri
    policy = POLICIES[access.policy](papers.server, papers.own, papers.key, mode)
    client.security_policy = policy  # type: ignore[assignment]  # asyncua declares the class of its default
    client.uaclient.set_security(policy)


def endings(access: OpcuaAccess, now_at: datetime) -> Iterator[str]:
    """Yield one line for each certificate that ends within ``WARNED_BEFORE``, or has ended."""
    for file in (access.certificate, access.server_certificate):
        if file is None:
            continue
        try:
            ends_at = certificate_in(file).not_valid_after_utc
        except ValueError:
            continue
        if ends_at <= now_at:
            yield f"certificate {file.name} ended on {ends_at:%Y-%m-%d}"
        elif ends_at - now_at <= WARNED_BEFORE:
            yield f"certificate {file.name} ends on {ends_at:%Y-%m-%d}, in {(ends_at - now_at).days} days"


def certificate_in(file: Path) -> x509.Certificate:
    """Return the first certificate in a DER or PEM file; raise ``ValueError``."""
    content = _content(file)
    try:
        if _BEGIN in content:
            certificate = x509.load_pem_x509_certificate(content)
        else:
            certificate = x509.load_der_x509_certificate(content)
        key = certificate.public_key()
    except Exception:  # noqa: BLE001  cryptography has many words for a file that is none
        raise ValueError(f"{file.name} holds no certificate (DER or PEM)") from None
    if not isinstance(key, RSAPublicKey):
        raise ValueError(f"{file.name} is not for RSA, which every policy needs")
    return certificate


def first_certificate(chain: bytes) -> bytes:
    """Return the first certificate of a chain, which stands there one DER after another (OPC 10000-6 6.2.6)."""
    return chain[: int.from_bytes(chain[2:4], "big") + 4]


def application_uris(certificate: x509.Certificate) -> list[str]:
    """Return the application URIs that a certificate names."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return names.get_values_for_type(x509.UniformResourceIdentifier)


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the start of a certificate's SHA-256 fingerprint, as people compare it."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()[:23]


def _check_time(file: Path, certificate: x509.Certificate, now_at: datetime) -> None:
    if certificate.not_valid_after_utc <= now_at:
        raise ValueError(f"certificate {file.name} ended on {certificate.not_valid_after_utc:%Y-%m-%d}")
    if certificate.not_valid_before_utc > now_at:
        begins_at = certificate.not_valid_before_utc
        raise ValueError(f"certificate {file.name} is not valid before {begins_at:%Y-%m-%d %H:%M} UTC")


def _key_in(file: Path) -> RSAPrivateKey:
    content = _content(file)
    load = serialization.load_pem_private_key if _BEGIN in content else serialization.load_der_private_key
    try:
        key = load(content, password=None)
    except TypeError:
        raise ValueError(f"{file.name} is protected by a password; a key without one is expected") from None
    except Exception:  # noqa: BLE001  cryptography has many words for a file that is none
        raise ValueError(f"{file.name} holds no private key (PEM or DER)") from None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError(f"{file.name} is not for RSA, which every policy needs")
    return key


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as failed:
        raise ValueError(f"{file} cannot be read: {(failed.strerror or str(failed)).lower()}") from None
