"""OPC UA with security, against a server by other hands (node-opcua) and against heliodock's own emulated device."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from configs.load import load_site
from configs.profiles import load_profile
from drivers import opcua_session
from drivers.connect import connect_devices
from drivers.device import Device
from drivers.opcua_session import OpcuaSession
from drivers.watchdog import Guard
from hil.clocks import WallClock
from hil.serve import Rig, start_of
from hil.world import Surroundings, World
from station.errors import ConfigError, DriverError, Rejected, Unreachable
from station.measurement import ConnectorReading, NoReading
from station.opcua import OpcuaAccess
from station.profile import DeviceBinding
from station.sinks import Secret
from tests.unit.drivers.bench import StillClock
from tests.wire.foreign_opcua import PASSWORD, NodePeer, Papers, node_peer, write_certificate

DEMO = Path(__file__).parents[2] / "configs" / "stations" / "demo.yaml"
SECURED = ("Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss")
pytestmark = pytest.mark.asyncio(loop_scope="module")


@asynccontextmanager
async def device_at(port: int, access: OpcuaAccess, *, timeout_s: float = 2.0) -> AsyncIterator[Device]:
    """Give the pair of connectors as the control process has it, with patience: the machine may be busy."""
    profile = replace(load_profile("demo-dc-pair"), timeout_s=timeout_s)
    binding = DeviceBinding("dc", profile, "127.0.0.1", port, 1, ("dc1", "dc2"), 1.0, opcua=access)
    device = connect_devices([binding], {"dc1": Guard(10.0, 5.0), "dc2": Guard(10.0, 5.0)})[0]
    try:
        yield device
    finally:
        await device.close()


async def refusal(port: int, access: OpcuaAccess) -> str:
    """Return in which words a device can't be read."""
    async with device_at(port, access) as device:
        with pytest.raises(DriverError) as refused:
            await device.read(StillClock())
        return refused.value.cause


async def until_read(device: Device, *, within_s: float = 15.0) -> dict[str, ConnectorReading]:
    """Read until it works."""
    async with asyncio.timeout(within_s):
        while True:
            try:
                readings = await device.read(StillClock())
            except DriverError:
                await asyncio.sleep(0.05)
            else:
                whole = {key: its for key, its in readings.items() if isinstance(its, ConnectorReading)}
                assert len(whole) == 2, readings
                return whole


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return Papers.made(tmp_path_factory.mktemp("papers"))


@pytest.fixture(scope="module")
def node(papers: Papers) -> Iterator[NodePeer]:
    """A node-opcua server that tests leave as they found it."""
    with node_peer(papers) as peer:
        yield peer


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[NodePeer, Papers]]:
    """A node-opcua server that tests may kill if they start it again; its certificate ends in 20 days."""
    papers = Papers.made(tmp_path_factory.mktemp("mortal"), server_days=20)
    with node_peer(papers) as peer:
        yield peer, papers


@asynccontextmanager
async def emulated(access: OpcuaAccess) -> AsyncIterator[int]:
    """Serve heliodock's emulated device, entered as ``access`` says; give its port."""
    loaded = load_site(DEMO)
    pair = [replace(b, port=0, opcua=access) for b in loaded.devices if b.device_id == "dc1"]
    loaded = replace(loaded, devices=tuple(pair))
    start_at = start_of(loaded)
    world = World(loaded.site, Surroundings(start_at, 900.0, (20.0,), (0.0,)), (), start_at=start_at)
    async with Rig(loaded, WallClock(start_at), world).started() as served:
        yield served.port_of("dc1")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def emulator(papers: Papers) -> AsyncIterator[int]:
    async with emulated(papers.access()) as port:
        yield port


@pytest.mark.parametrize("policy", ["None", *SECURED])
async def test_a_foreign_server_is_read_armed_and_commanded_under_every_policy(
    node: NodePeer, papers: Papers, policy: str
) -> None:
    async with device_at(node.port, papers.access(policy)) as device:
        reading = (await until_read(device))["dc2"]
        assert (reading.power_kw, reading.session_id, reading.known_kwh) == (48.0, "S-7", None)
        assert reading.soc == pytest.approx(0.42)
        assert reading.capacity_kwh == 77.0
        assert reading.estimated_unplug_at is not None
        assert reading.estimated_unplug_at.timestamp() == 1_780_000_000
        await device.arm("dc1")
        assert device.armed["dc1"]
        wanted_kw = 10.0 + len(policy)
        result = await device.write("dc2", wanted_kw, sent_s=5.0)
        assert result.confirmed, result.cause
        assert (await until_read(device))["dc2"].setpoint_kw == wanted_kw


async def test_messages_may_be_signed_only(node: NodePeer, papers: Papers) -> None:
    async with device_at(node.port, papers.access(mode="Sign")) as device:
        assert (await until_read(device))["dc1"].power_kw == 48.0


@pytest.mark.parametrize("policy", SECURED)
async def test_an_emulated_device_is_entered_as_the_site_file_says(papers: Papers, policy: str) -> None:
    async with emulated(papers.access(policy)) as port, device_at(port, papers.access(policy)) as device:
        await until_read(device)
        result = await device.write("dc1", 12.5, sent_s=5.0)
        assert result.confirmed, result.cause


async def test_an_emulated_device_without_a_key_of_its_own_says_which_file_is_missing(tmp_path: Path) -> None:
    lacking = Papers.made(tmp_path)
    (tmp_path / "dc1.pem").unlink()
    with pytest.raises(ConfigError, match=r"dc1\.pem: no such file: an emulated server needs"):
        async with emulated(lacking.access()):
            pass


@pytest.fixture(params=["node-opcua", "emulator"])
def port(request: pytest.FixtureRequest) -> int:
    """The port of a secured server, foreign or own."""
    if request.param == "emulator":
        own: int = request.getfixturevalue("emulator")
        return own
    foreign: NodePeer = request.getfixturevalue("node")
    return foreign.port


async def test_a_wrong_user_or_password_is_told_and_not_tried_again_at_once(
    port: int, papers: Papers, tmp_path: Path
) -> None:
    assert "user nobody: user name or password is refused" in await refusal(
        port, papers.access(user="nobody")
    )
    (tmp_path / "wrong").write_text("guess")
    wrong = papers.access(password=Secret(tmp_path / "wrong"))
    async with device_at(port, wrong) as device:
        with pytest.raises(Rejected, match="user ems: user name or password is refused"):
            await device.read(StillClock())
        (tmp_path / "wrong").write_text(PASSWORD)
        with pytest.raises(Rejected, match="is refused"):  # right now, but it is not knocked yet
            await device.read(StillClock())


async def test_a_server_that_wants_a_user_name_says_so(port: int, papers: Papers) -> None:
    assert "no user name given" in await refusal(port, papers.access(user="", password=None))


async def test_a_server_with_another_certificate_than_the_pinned_is_not_spoken_to(
    port: int, papers: Papers
) -> None:
    cause = await refusal(port, papers.access(server_certificate=papers.home / "own.der"))
    assert "the server shows another certificate (" in cause
    assert "than the pinned own.der (" in cause


async def test_a_certificate_that_the_server_does_not_know_is_told(
    port: int, papers: Papers, tmp_path: Path
) -> None:
    write_certificate(tmp_path / "new", "urn:tests:heliodock", 365)
    stranger = papers.access(certificate=tmp_path / "new.der", key=tmp_path / "new.pem")
    assert "the server does not trust our certificate new.der (" in await refusal(port, stranger)


async def test_a_policy_that_is_not_offered_is_told_with_those_that_are(
    emulator: int, papers: Papers
) -> None:
    cause = await refusal(emulator, papers.access("Aes256_Sha256_RsaPss"))
    assert "does not offer Aes256_Sha256_RsaPss SignAndEncrypt; it offers Basic256Sha256 SignAnd" in cause
    assert "; it offers Basic256Sha256 SignAndEncrypt" in await refusal(emulator, papers.access("None"))


async def test_expired_certificates_are_told_before_anything_is_sent(tmp_path: Path) -> None:
    for name, made in (("own", {"own_days": -10}), ("dc1", {"server_days": -10})):
        home = tmp_path / name
        home.mkdir()
        access = Papers.made(home, **made).access()
        assert f"certificate {name}.der ended on " in await refusal(1, access)


async def test_a_server_whose_clock_is_wrong_refuses_a_certificate_in_words() -> None:
    """The words only: no server here has another clock."""
    from asyncua.ua.uaerrors import BadCertificateTimeInvalid

    from drivers.opcua_words import ENTRY, in_brackets, name_of

    assert "compare the clocks" in in_brackets(ENTRY, name_of(BadCertificateTimeInvalid()))


async def test_a_missing_node_and_a_bad_status_take_down_their_own_connector(
    node: NodePeer, papers: Papers
) -> None:
    async with device_at(node.port, papers.access()) as device:
        node.hold("Connector2.ActivePower", 1.0, "BadSensorFailure")
        readings = await device.read(StillClock())
        node.hold("Connector2.ActivePower", 48_000.0)
        failed = "power_kw: node Connector2.ActivePower: the sensor has failed (BadSensorFailure)"
        assert readings["dc2"] == NoReading(failed)
        assert isinstance(readings["dc1"], ConnectorReading)
        node.hold("Connector1.ActivePower", 1.0, "UncertainLastUsableValue")
        readings = await device.read(StillClock())
        node.hold("Connector1.ActivePower", 48_000.0)
        assert readings["dc1"] == NoReading(
            "power_kw: node Connector1.ActivePower: "
            "is the last value before the server lost it (UncertainLastUsableValue)"
        )


async def test_a_server_that_lacks_a_node_names_it(tmp_path: Path) -> None:
    papers = Papers.made(tmp_path)
    with node_peer(papers, leave_out=["Connector1.SoC"]) as peer:
        async with device_at(peer.port, papers.access()) as device:
            readings = await device.read(StillClock())
    missing = "soc: node Connector1.SoC: the server has no such node (BadNodeIdUnknown)"
    assert readings["dc1"] == NoReading(missing)


async def test_a_killed_server_is_noticed_and_found_again_with_another_namespace_index(
    mortal: tuple[NodePeer, Papers],
) -> None:
    own_node, papers = mortal
    async with device_at(own_node.port, papers.access()) as device:
        await until_read(device)
        own_node.kill()
        with pytest.raises(Unreachable):
            await device.read(StillClock())
        own_node.start(before=("urn:somebody:else", "urn:a:third", "urn:a:fourth"))
        await until_read(device)
        result = await device.write("dc1", 7.0, sent_s=9.0)
        assert result.confirmed, result.cause


async def test_a_frozen_server_is_noticed_and_found_again_when_it_thaws(
    mortal: tuple[NodePeer, Papers],
) -> None:
    own_node, papers = mortal
    async with device_at(own_node.port, papers.access(), timeout_s=1.0) as device:
        await until_read(device)
        own_node.signal(signal.SIGSTOP)
        async with asyncio.timeout(15.0):
            with pytest.raises(Unreachable, match="no answer within 1 s"):
                await device.read(StillClock())
            with pytest.raises(Unreachable, match="no connection within 3 s"):
                await device.read(StillClock())
        own_node.signal(signal.SIGCONT)
        await until_read(device)


async def test_a_renewed_certificate_is_taken_by_the_next_connection(mortal: tuple[NodePeer, Papers]) -> None:
    own_node, papers = mortal
    async with device_at(own_node.port, papers.access()) as device:
        await until_read(device)
        own_node.kill()
        write_certificate(papers.home / "own", "urn:tests:heliodock", 365)
        own_node.start()
        await until_read(device)


async def test_sessions_that_were_cut_off_do_not_fill_the_server(
    mortal: tuple[NodePeer, Papers], monkeypatch: pytest.MonkeyPatch
) -> None:
    """node-opcua has room for ten; each that is cut off stays there as long as we asked for."""
    monkeypatch.setattr(opcua_session, "SESSION_S", 0.5)
    own_node, papers = mortal
    profile = replace(load_profile("demo-dc-pair"), timeout_s=2.0)
    session = OpcuaSession(
        DeviceBinding("dc", profile, "127.0.0.1", own_node.port, 1, ("dc1",), 1.0, opcua=papers.access())
    )
    for _ in range(12):
        async with asyncio.timeout(15.0):
            while True:
                with suppress(Unreachable):
                    await session.drop(await session.client())
                    break
                await asyncio.sleep(0.1)
    await session.close()


async def test_the_channel_is_renewed_while_it_is_used(
    port: int, papers: Papers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opcua_session, "RENEW_SHARE", 0.0)
    async with device_at(port, papers.access()) as device:
        for _ in range(5):
            await device.read(StillClock())
        result = await device.write("dc1", 6.0, sent_s=5.0)
        assert result.confirmed, result.cause


async def test_a_certificate_that_ends_within_thirty_days_is_told_once(
    mortal: tuple[NodePeer, Papers],
) -> None:
    own_node, papers = mortal
    async with device_at(own_node.port, papers.access()) as device:
        with capture_logs() as told:
            await until_read(device)
            await until_read(device)
    (line,) = [its for its in told if its["event"] == "renew the certificate"]
    assert line["device"] == "dc"
    assert "certificate dc1.der ends on " in line["cause"]


async def test_a_value_that_is_old_in_the_server_is_no_reading(node: NodePeer, papers: Papers) -> None:
    async with device_at(node.port, papers.access(oldest_s=1.0)) as device:
        node.hold("Connector1.ActivePower", 47_000.0)
        await asyncio.sleep(1.5)
        readings = await device.read(StillClock())
        assert isinstance(readings["dc1"], NoReading)
        assert "s old in the server" in readings["dc1"].cause
    async with device_at(node.port, papers.access()) as device:
        assert (await until_read(device))["dc1"].power_kw == 47.0
    node.hold("Connector1.ActivePower", 48_000.0)
