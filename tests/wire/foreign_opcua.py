"""node-opcua as a peer: a server for one demo-dc-pair, by other hands than asyncua's, in a process of its own."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from drivers import codec
from drivers.opcua import VARIANTS
from drivers.opcua_certificate import own_certificate
from station.opcua import OpcuaAccess
from station.profile import Encoding
from station.sinks import Secret
from tests.wire.opcua_server import PROFILE, VALUES

HERE = Path(__file__).parent / "node_peer"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "heliodock" / "node-opcua"
USER, PASSWORD = "ems", "correct horse"
SERVER_URI = "urn:tests:dc1"
POLICIES = ("None", "Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss")


def need_node() -> str:
    """Return the node program; skip the test where it or the package is not there."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed (tests/system_packages.sh installs it as root)")
    installed = CACHE / "node_modules" / ".package-lock.json"
    if not installed.is_file():
        pytest.skip(f"node-opcua is not in {CACHE} (tests/system_packages.sh puts it there)")
    return node


@dataclass(frozen=True)
class Papers:
    """Certificates in files, as an engineer has them: ours, the server's, and the password's file."""

    home: Path

    @classmethod
    def made(cls, home: Path, *, own_days: int = 365, server_days: int = 365) -> "Papers":
        """Write two certificates and the password."""
        write_certificate(home / "own", "urn:tests:heliodock", own_days)
        write_certificate(home / "dc1", SERVER_URI, server_days)
        (home / "dc1.secret").write_text(PASSWORD + "\n")
        return cls(home)

    def access(self, policy: str = "Basic256Sha256", **changes: Any) -> OpcuaAccess:
        """Return how heliodock enters."""
        words: dict[str, Any] = {
            "policy": policy,
            "mode": "None" if policy == "None" else "SignAndEncrypt",
            "user": USER,
            "password": Secret(self.home / "dc1.secret"),
        }
        if policy != "None":
            words |= {
                "certificate": self.home / "own.der",
                "key": self.home / "own.pem",
                "server_certificate": self.home / "dc1.der",
            }
        return OpcuaAccess(**(words | changes))


def write_certificate(stem: Path, uri: str, days: int) -> None:
    """Write ``stem.der`` and ``stem.pem``; a certificate of few days began long ago."""
    begins_at = datetime.now(UTC) - timedelta(days=365 if days < 365 else 1)
    der, pem = own_certificate(uri, "localhost", begins_at, days + (365 if days < 365 else 1))
    stem.with_suffix(".der").write_bytes(der)
    stem.with_suffix(".pem").write_bytes(pem)


class NodePeer:
    """The process. Its port stays the same after ``start`` again."""

    def __init__(self, papers: Papers, **changes: Any) -> None:
        self._node = need_node()
        self._papers = papers
        self._left_out = set(changes.pop("leave_out", ()))
        self._changes = changes
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    def start(self, *, trusts: bool = True, before: tuple[str, ...] = ("urn:somebody:else",)) -> None:
        """Serve; return when it listens."""
        home = self._papers.home
        trusted = home / "pki" / "trusted" / "certs"
        trusted.mkdir(parents=True, exist_ok=True)
        if trusts and (home / "own.der").exists():
            shutil.copy(home / "own.der", trusted / "own.der")
        wish = {
            "port": self.port,
            "uri": SERVER_URI,
            "certificate": str(home / "dc1.cert.pem"),
            "key": str(home / "dc1.pem"),
            "pki": str(home / "pki"),
            "policies": POLICIES,
            "modes": ("None", "Sign", "SignAndEncrypt"),
            "user": USER,
            "password": PASSWORD,
            "namespace": PROFILE.namespace,
            "before": before,
            "nodes": [its for its in _nodes() if its["node"] not in self._left_out],
        }
        _write_pem(home / "dc1.der", home / "dc1.cert.pem")
        environment = dict(os.environ, NODE_PATH=str(CACHE / "node_modules"))
        self._process = subprocess.Popen(
            [self._node, str(HERE / "server.js")],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.port = self._say(wish | self._changes)["port"]

    def hold(self, node: str, value: object, status: str = "") -> None:
        """Let a node have a value and a status."""
        self._say({"node": node, "value": value, "status": status})

    def signal(self, number: signal.Signals) -> None:
        """Freeze or thaw the process."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it as a power cut does."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _say(self, what: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:  # its libraries talk too
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                return answer
        raise AssertionError("the node process has ended")


@contextmanager
def node_peer(papers: Papers, **changes: Any) -> Iterator[NodePeer]:
    """Serve inside the block."""
    peer = NodePeer(papers, **changes)
    try:
        peer.start()
        yield peer
    finally:
        peer.kill()


def _nodes() -> Iterator[dict[str, Any]]:
    seen = set()
    for connector in ("1", "2"):
        for name, value in VALUES.items():
            point = PROFILE.points[name]
            node = point.node.replace("{connector}", connector)
            if node not in seen:
                seen.add(node)
                raw = _json(point.encoding, codec.encode_raw(point, value))
                kind = VARIANTS[point.encoding].name
                yield {"node": node, "type": kind, "value": raw, "writable": point.write is not None}


def _json(encoding: Encoding, raw: Any) -> Any:
    """Return a value as node-opcua has it: 64 bits are two halves."""
    return [raw >> 32, raw & 0xFFFFFFFF] if encoding in {Encoding.INT64, Encoding.UINT64} else raw


def _write_pem(der: Path, pem: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding as Form

    pem.write_bytes(x509.load_der_x509_certificate(der.read_bytes()).public_bytes(Form.PEM))
