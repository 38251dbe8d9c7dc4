"""What happens when something is lost: the rows of docs/failsafe.md in virtual time, judged by true power."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from controller.step import start, step
from hil.world import Surroundings, World
from station.assets import PvPlant
from station.clock import Instant
from station.decision import ControlState, Decision, Setpoint
from station.inputs import SessionRow
from station.limits import Direction, LimitClass, PowerLimit
from station.measurement import Measurement, Snapshot, WriteResult
from station.plan import Plan
from station.topology import Site
from tests.factories import START, a_plan, a_site

LIMIT_KW = 60.0
FOR_EVER = 1e9


@dataclass
class Play:
    """A station in its world, with cars at every connector, a plan, and devices that fall silent.

    ``silent`` names assets with the seconds from and to which they answer nothing and take nothing. The board then
    keeps their last reading, which grows old. ``unread`` is the same for reads alone.
    """

    site: Site
    load_kw: list[float]
    sun_kw: list[float] = field(default_factory=lambda: [0.0])
    targets_kw: Mapping[str, float] | None = None
    soc: float = 0.5
    silent: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    unread: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    planned_until_s: float = FOR_EVER
    peak_kw: float = 500.0
    jump_at_s: float = FOR_EVER
    jump_s: float = 0.0
    grid_kw: list[float] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)

    def __post_init__(self) -> None:
        rows = [
            SessionRow(f"car at {c.asset_id}", c.asset_id, START, START + timedelta(hours=9), 500.0)
            for c in self.site.connectors
        ]
        minutes = max(len(self.load_kw), len(self.sun_kw))
        load_kw = self.load_kw + self.load_kw[-1:] * (minutes - len(self.load_kw))
        sun_kw = self.sun_kw + self.sun_kw[-1:] * (minutes - len(self.sun_kw))
        self.world = World(
            self.site, Surroundings(START, 60.0, load_kw, sun_kw), rows, start_at=START, soc=self.soc
        )
        self.state: ControlState = start(self.world.now)
        self.board: dict[str, Measurement] = {}
        self.writes: dict[str, WriteResult] = {}

    def run(self, until_s: int) -> "Play":
        """Play up to a second, one cycle each."""
        while len(self.grid_kw) < until_s:
            self._cycle(float(len(self.grid_kw)))
            self.world.advance(1.0)
            self.grid_kw.append(self.world.state.grid_kw)
        return self

    def hang(self, seconds: int) -> "Play":
        """Let time pass without the controller."""
        for _ in range(seconds):
            self.world.advance(1.0)
            self.grid_kw.append(self.world.state.grid_kw)
            self.decisions.append(self.decisions[-1])
        return self

    def setpoint_kw(self, second: int, asset_id: str) -> float:
        """Return what was commanded at a second."""
        entry = self.decisions[second].setpoints[asset_id]
        assert isinstance(entry, Setpoint)
        return entry.power_kw

    def first_s(self, after_s: int, asset_id: str, *, below_kw: float) -> int:
        """Return the first second from ``after_s`` in which less than that is commanded."""
        return next(
            s for s in range(after_s, len(self.decisions)) if self.setpoint_kw(s, asset_id) < below_kw
        )

    def alarms(self, second: int) -> str:
        """Return the alarms of a second."""
        return "; ".join(sorted(self.decisions[second].state.alarms))

    def check_limits(self) -> None:
        """Fail where true power was over a limit for longer than the project permits."""
        assert self.world.result().violations == ()

    def _cycle(self, second: float) -> None:
        now = self.world.now
        if second >= self.jump_at_s:
            now = Instant(now.at + timedelta(seconds=self.jump_s), now.mono_s)
        for asset_id, reading in self.world.readings().items():
            if not _holds(self.silent, asset_id, second) and not _holds(self.unread, asset_id, second):
                self.board[asset_id] = reading
        snapshot = Snapshot(now, dict(self.board), dict(self.writes))
        decision = step(self.site, self.state, snapshot, self._plan(now, second), now)
        for asset_id, entry in decision.setpoints.items():
            if not isinstance(entry, Setpoint) or not entry.is_due:
                continue
            is_taken = not _holds(self.silent, asset_id, second)
            if is_taken:
                self.world.command(asset_id, entry.power_kw, entry.lease_s)
            self.writes[asset_id] = WriteResult(now.mono_s, entry.power_kw, is_taken)
        self.state = decision.state
        self.decisions.append(decision)

    def _plan(self, now: Instant, second: float) -> Plan | None:
        if self.targets_kw is None:
            return None
        made = now if second < self.planned_until_s else now.later(self.planned_until_s - second)
        sessions = {key: session.session_id for key, session in self.state.sessions.items()}
        plan = a_plan(made, self.targets_kw, sessions, peak_kw=self.peak_kw)
        return replace(plan, valid_until=made.at + timedelta(seconds=60.0))


def _holds(spans: Mapping[str, tuple[float, float]], asset_id: str, second: float) -> bool:
    from_s, to_s = spans.get(asset_id, (FOR_EVER, FOR_EVER))
    return from_s <= second < to_s


def a_station(**changes: object) -> Site:
    """Return a station whose limit binds: six AC and two DC connectors, a meter that lags by a second."""
    values: dict[str, object] = {"ac": 6, "dc": 2, "limit_kw": LIMIT_KW, "short_time_kw": 78.0}
    values |= {"base_max_kw": 40.0, "lag_s": 1.0, "feeder_a": None}
    return a_site(**(values | changes))  # type: ignore[arg-type]


def most(site: Site, **targets_kw: float) -> dict[str, float]:
    """Return a plan that gives every car all it can take."""
    return {c.asset_id: c.max_kw for c in site.connectors} | targets_kw


LOST_S, BACK_S = 120, 300


def test_without_the_meter_cars_go_to_their_minimum_within_five_seconds_and_the_limit_holds() -> None:
    site = a_station()
    lost = {"grid": (float(LOST_S), float(BACK_S))}
    play = Play(site, [20.0, 20.0, 20.0, 39.0, 39.0, 20.0], targets_kw=most(site), soc=0.1, silent=lost).run(
        420
    )
    play.check_limits()
    minima_kw = sum(c.min_kw for c in site.connectors)
    offered_kw = sum(play.setpoint_kw(LOST_S + 5, c.asset_id) for c in site.connectors)
    assert minima_kw - 0.01 <= offered_kw <= LIMIT_KW - site.base_load.max_kw + 0.01, (
        "minima, and what is left"
    )
    assert play.decisions[LOST_S + 5].balance.base_is_worst_case
    assert "grid: no new value" in play.alarms(LOST_S + 5)
    assert "grid" not in play.alarms(BACK_S + 1)
    assert sum(play.setpoint_kw(BACK_S + 60, c.asset_id) for c in site.connectors) > 30.0


def test_without_the_meter_nobody_relies_on_the_building_to_take_what_is_fed_in() -> None:
    site = a_station(ac=0, dc=0, batteries=())
    least = PowerLimit(LimitClass.OPERATOR, Direction.EXPORT, 10.0, 10.0, 0.0, "contract")
    root = replace(site.nodes[0], limits=(site.nodes[0].limits[0], least))
    site = replace(site, nodes=(root, *site.nodes[1:]), pv_plants=(PvPlant("pv", 50.0, 0.0, 10.0),))
    lost = {"grid": (float(LOST_S), FOR_EVER)}
    play = Play(site, [35.0, 35.0, 5.0], [50.0], {"pv": -50.0}, silent=lost).run(240)
    play.check_limits()
    assert play.setpoint_kw(100, "pv") == pytest.approx(-43.0)
    assert play.first_s(LOST_S, "pv", below_kw=-10.1) == LOST_S
    assert play.setpoint_kw(LOST_S + 5, "pv") == pytest.approx(-10.0)


def test_a_charger_that_falls_silent_is_booked_at_its_lease_and_then_at_its_fallback() -> None:
    """The building grows while the charger still draws what it was granted; nothing of that is given away twice."""
    site = a_station()
    lost = {"dc1": (float(LOST_S), float(BACK_S))}
    targets = most(site) | {c.asset_id: 3.0 for c in site.connectors if c.asset_id != "dc1"}
    play = Play(site, [15.0, 15.0, 17.0, 19.0], targets_kw=targets, soc=0.1, silent=lost).run(420)
    play.check_limits()
    granted_kw = play.setpoint_kw(LOST_S - 1, "dc1")
    assert granted_kw >= 20.0
    assert "dc1: no new value" in play.alarms(LOST_S + 5)
    others = [c.asset_id for c in site.connectors if c.asset_id != "dc1"]
    offered_kw = sum(max(play.setpoint_kw(LOST_S + 5, key), site.by_id[key].fallback_kw) for key in others)
    assert offered_kw + granted_kw + 17.0 <= LIMIT_KW + 0.01, "its lease still runs"
    assert play.setpoint_kw(BACK_S + 60, "dc1") > site.by_id["dc1"].fallback_kw, "it serves its car again"


def test_a_silent_battery_is_told_to_rest_and_its_support_is_not_relied_on() -> None:
    site = a_station()
    lost = {"battery": (float(LOST_S), float(BACK_S))}
    play = Play(site, [35.0], targets_kw=most(site, battery=-30.0), silent=lost).run(480)
    play.check_limits()
    assert play.setpoint_kw(LOST_S - 1, "battery") < -20.0
    assert play.setpoint_kw(LOST_S + 3 + 10, "battery") == pytest.approx(0.0, abs=0.01), (
        "10 s after it was noticed"
    )
    assert "battery: no new value" in play.alarms(LOST_S + 5)
    assert max(play.grid_kw[LOST_S + 20 : BACK_S]) <= LIMIT_KW * 1.01
    assert play.setpoint_kw(BACK_S + 60, "battery") < -20.0, "it helps again"


def test_a_battery_that_cannot_be_read_leaves_no_hole_when_it_stops() -> None:
    """Writes still arrive; what it gives hides in the base load, and ends when its limits have faded."""
    site = a_station()
    lost = {"battery": (float(LOST_S), FOR_EVER)}
    play = Play(site, [15.0, 15.0, 35.0], targets_kw=most(site), unread=lost).run(300)
    assert max(play.grid_kw) <= 78.0, "the short-time overload is kept"
    assert max(play.grid_kw[LOST_S + 3 + 10 + 12 :]) <= LIMIT_KW * 1.01, (
        "and ended as soon as cars can follow"
    )
    assert play.setpoint_kw(299, "battery") == 0.0


def test_sun_that_nobody_sees_is_no_support_against_import() -> None:
    """The inverter falls silent under a cloud; the sun comes, seems to shrink the building, and goes again."""
    site = a_station()
    lost = {"pv": (60.0, FOR_EVER)}
    sun_kw = [0.0, 0.0, 48.0, 48.0, 48.0, 0.0]
    play = Play(site, [36.0], sun_kw, most(site), soc=0.1, silent=lost).run(420)
    assert max(play.grid_kw) <= 78.0, "the short-time overload holds whatever the cloud does"
    back_s = next(s for s in range(300, 420) if play.grid_kw[s] <= LIMIT_KW * 1.01)
    assert back_s <= 310
    assert max(play.grid_kw[back_s:]) <= LIMIT_KW * 1.01


def test_where_no_overload_is_permitted_sun_that_nobody_sees_gives_no_room_at_all() -> None:
    site = a_station(short_time_kw=LIMIT_KW)
    sun_kw = [0.0, 0.0, 48.0, 48.0, 48.0, 0.0]
    Play(site, [36.0], sun_kw, most(site), soc=0.1, silent={"pv": (60.0, FOR_EVER)}).run(420).check_limits()


def test_a_silent_inverter_counts_with_its_rating_against_export() -> None:
    site = a_station(ac=0, dc=0, limit_kw=70.0, short_time_kw=70.0)
    sun_kw = [0.0, 0.0, 50.0]
    targets = {"battery": -60.0, "pv": -50.0}
    play = Play(site, [10.0], sun_kw, targets, silent={"pv": (60.0, FOR_EVER)})
    play.run(200).check_limits()
    assert min(play.grid_kw) >= -70.7


def test_without_a_planner_the_last_plan_is_followed_and_then_rules_without_a_gap() -> None:
    site = a_station(limit_kw=90.0, short_time_kw=117.0)
    targets = {c.asset_id: c.min_kw for c in site.connectors} | {"battery": 0.0}
    play = Play(site, [20.0], targets_kw=targets, planned_until_s=120.0).run(300)
    play.check_limits()
    assert play.setpoint_kw(179, "ac1") == 1.38, "the last plan is valid for a minute more"
    assert all(isinstance(entry, Setpoint) for d in play.decisions[2:] for entry in d.setpoints.values())
    assert all(play.setpoint_kw(s, "ac1") >= 1.38 for s in range(10, 300)), "no gap"
    assert play.setpoint_kw(240, "ac1") == pytest.approx(7.36), "rules charge at once"
    assert any(reason.rule == "no plan" for reason in play.decisions[240].reasons)
    assert any(d.replan == "no plan" for d in play.decisions[180:]), "and a plan is asked for"


def test_without_a_planner_the_contracted_mean_is_held_all_the_same() -> None:
    site = a_station(limit_kw=120.0, short_time_kw=156.0)
    contract = PowerLimit(LimitClass.WINDOW, Direction.IMPORT, 50.0, 50.0, 0.0, "contract")
    root = replace(site.nodes[0], limits=(*site.nodes[0].limits, contract))
    site = replace(site, nodes=(root, *site.nodes[1:]))
    play = Play(site, [20.0], soc=0.1).run(900)
    assert sum(play.grid_kw) / 900.0 <= 50.0 * 1.005
    assert sum(play.grid_kw) / 900.0 >= 45.0, "and not given away either"


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0])
def test_a_wall_clock_that_jumps_an_hour_changes_no_setpoint(jump_s: float) -> None:
    site = a_station()
    targets = most(site, battery=-10.0)
    steady = Play(site, [20.0, 35.0], targets_kw=targets, peak_kw=1e6).run(180)
    jumped = Play(site, [20.0, 35.0], targets_kw=targets, peak_kw=1e6, jump_at_s=90.0, jump_s=jump_s).run(180)
    jumped.check_limits()
    assert jumped.grid_kw == steady.grid_kw
    assert [d.setpoints for d in jumped.decisions] == [d.setpoints for d in steady.decisions]


def test_a_process_that_hung_comes_back_without_a_step() -> None:
    """Meanwhile the leases have run out and every device has gone to its fallback."""
    site = a_station()
    play = Play(site, [15.0], targets_kw=most(site, battery=-30.0)).run(120).hang(45)
    assert play.world.state.batteries[0].power_kw == pytest.approx(0.0)
    play.run(300)
    assert max(play.grid_kw) <= 78.0, (
        "the battery's lease ends before those of the cars: the overload is kept"
    )
    assert max(play.grid_kw[120 + 30 + 5 :]) <= LIMIT_KW * 1.01, "a lease and five seconds later all is well"
    battery, car = site.batteries[0], site.by_id["dc1"]
    assert abs(play.setpoint_kw(165, "battery")) <= battery.ramp_kw_per_s
    assert play.setpoint_kw(165, "dc1") <= car.fallback_kw + 2 * 20.0, "from its fallback, at its ramp"
    assert play.setpoint_kw(299, "battery") == pytest.approx(-30.0)


def test_a_charger_that_ignores_its_limit_is_found_out_and_the_others_give_way() -> None:
    site = a_station(limit_kw=90.0, short_time_kw=117.0, batteries=())
    play = Play(site, [15.0], targets_kw=most(site, dc1=5.0)).run(60)
    while len(play.grid_kw) < 200:
        play.run(len(play.grid_kw) + 1)
        states = zip(site.connectors, play.world.state.connectors, strict=True)
        play.world.state = replace(
            play.world.state,
            connectors=tuple(
                replace(s, held=replace(s.held, acting_kw=45.0, coming=())) if c.asset_id == "dc1" else s
                for c, s in states
            ),
        )
    assert "dc1: does not follow its setpoint" in play.alarms(80)
    assert max(play.grid_kw[60:]) > 100.0, "at first nobody knows"
    assert max(play.grid_kw[85:]) <= 90.0 * 1.01


def test_a_battery_that_runs_empty_while_it_supports_leaves_the_cars_time_to_follow() -> None:
    site = a_station()
    play = Play(site, [20.0], targets_kw=most(site, battery=-30.0), soc=0.112).run(700)
    play.check_limits()
    assert max(play.grid_kw) <= LIMIT_KW * 1.01
    assert min(play.setpoint_kw(s, "battery") for s in range(60, 300)) < -20.0
    assert play.setpoint_kw(699, "battery") == pytest.approx(0.0, abs=1.0)
