"""Certificates and keys in files: right ones are taken, wrong ones are named."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from drivers.opcua_certificate import own_certificate
from drivers.opcua_security import application_uris, certificate_in, endings, fingerprint, papers_of
from station.opcua import OpcuaAccess

NOW_AT = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def made() -> tuple[bytes, bytes]:
    return own_certificate("urn:tests:heliodock", "localhost", NOW_AT - timedelta(days=10), 100)


@pytest.fixture
def access(tmp_path: Path, made: tuple[bytes, bytes]) -> OpcuaAccess:
    """How a server is entered whose certificate is ours."""
    for name, content in (("own.der", made[0]), ("own.pem", made[1]), ("dc1.der", made[0])):
        (tmp_path / name).write_bytes(content)
    return OpcuaAccess(
        policy="Basic256Sha256",
        mode="SignAndEncrypt",
        certificate=tmp_path / "own.der",
        key=tmp_path / "own.pem",
        server_certificate=tmp_path / "dc1.der",
    )


def test_the_application_uri_comes_from_our_certificate(access: OpcuaAccess) -> None:
    assert papers_of(access, NOW_AT).application_uri == "urn:tests:heliodock"


def test_certificates_and_keys_may_be_pem_or_der(access: OpcuaAccess, tmp_path: Path) -> None:
    papers = papers_of(access, NOW_AT)
    plain = serialization.NoEncryption()
    der_key = papers.key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.TraditionalOpenSSL, plain
    )
    (tmp_path / "own.pem").write_bytes(der_key)
    (tmp_path / "own.der").write_bytes(papers.own.public_bytes(serialization.Encoding.PEM))
    assert papers_of(access, NOW_AT).own == papers.own


@pytest.mark.parametrize(
    ("days", "told"),
    [
        (0, []),
        (59, []),
        (60, ["certificate own.der ends on 2026-08-30, in 30 days"]),
        (89, ["certificate own.der ends on 2026-08-30, in 1 days"]),
        (90, ["certificate own.der ended on 2026-08-30"]),
    ],
)
def test_an_ending_is_told_thirty_days_ahead(access: OpcuaAccess, days: int, told: list[str]) -> None:
    both = list(endings(access, NOW_AT + timedelta(days=days)))
    assert both[:1] == told
    assert len(both) == 2 * len(told)


def test_a_certificate_out_of_its_time_is_refused(access: OpcuaAccess) -> None:
    with pytest.raises(ValueError, match=r"own\.der ended on 2026-08-30"):
        papers_of(access, NOW_AT + timedelta(days=90))
    with pytest.raises(ValueError, match=r"own\.der is not valid before 2026-05-22 00:00 UTC"):
        papers_of(access, NOW_AT - timedelta(days=11))


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("own.der", b"", r"own\.der holds no certificate"),
        ("dc1.der", b"-----BEGIN CERTIFICATE-----\nMAo=\n-----END", r"dc1\.der holds no certificate"),
        ("own.pem", b"\x30\x03\x02\x01\x00", r"own\.pem holds no private key"),
        ("own.pem", None, r"own\.pem cannot be read: no such file"),
    ],
)
def test_a_file_that_holds_something_else_is_named(
    access: OpcuaAccess, tmp_path: Path, name: str, content: bytes | None, problem: str
) -> None:
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=problem):
        papers_of(access, NOW_AT)


def test_a_key_of_another_certificate_is_refused(access: OpcuaAccess, tmp_path: Path) -> None:
    (tmp_path / "own.pem").write_bytes(own_certificate("urn:x:y", "localhost", NOW_AT, 1)[1])
    with pytest.raises(ValueError, match=r"own\.pem is not the key of own\.der"):
        papers_of(access, NOW_AT)


def test_a_key_behind_a_password_is_refused(access: OpcuaAccess, tmp_path: Path) -> None:
    locked = papers_of(access, NOW_AT).key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    (tmp_path / "own.pem").write_bytes(locked)
    with pytest.raises(ValueError, match=r"own\.pem is protected by a password"):
        papers_of(access, NOW_AT)


def test_a_certificate_without_uri_or_for_elliptic_curves_is_refused(
    access: OpcuaAccess, tmp_path: Path
) -> None:
    key = papers_of(access, NOW_AT).key
    name = x509.Name([])
    bare = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .serial_number(1)
        .not_valid_before(NOW_AT - timedelta(days=1))
        .not_valid_after(NOW_AT + timedelta(days=1))
    )
    without_uri = bare.public_key(key.public_key()).sign(key, hashes.SHA256())
    (tmp_path / "own.der").write_bytes(without_uri.public_bytes(serialization.Encoding.DER))
    with pytest.raises(ValueError, match=r"own\.der names no application URI"):
        papers_of(access, NOW_AT)
    curve = ec.generate_private_key(ec.SECP256R1())
    curved = bare.public_key(curve.public_key()).sign(key, hashes.SHA256())
    (tmp_path / "dc1.der").write_bytes(curved.public_bytes(serialization.Encoding.DER))
    with pytest.raises(ValueError, match=r"dc1\.der is not for RSA"):
        certificate_in(tmp_path / "dc1.der")


def test_a_fingerprint_reads_as_openssl_writes_it(access: OpcuaAccess) -> None:
    own = papers_of(access, NOW_AT).own
    whole = own.fingerprint(hashes.SHA256()).hex().upper()
    assert fingerprint(own).replace(":", "") == whole[:16]
    assert application_uris(own) == ["urn:tests:heliodock"]
