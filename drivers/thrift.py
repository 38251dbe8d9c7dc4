"""Which setpoints need no write: the device holds them, or they ask for too little more. Pure."""

from drivers import codec
from station.measurement import WriteResult
from station.profile import DeviceBinding

REFRESH_SHARE = 1.0 / 3.0
"""The share of a lease after which a setpoint is repeated in any case."""


class Thrift:
    """The rules of one device's setpoint: of the points that carry it."""

    def __init__(self, binding: DeviceBinding) -> None:
        points = [binding.profile.points[name] for name in binding.profile.carriers]
        rules = [(point, point.write) for point in points if point.write is not None]
        self._min_interval_s = max((rule.min_interval_s for _, rule in rules), default=0.0)
        least_kw_per_a = min(binding.kw_per_a.values(), default=0.0)
        self._deadband_kw = max(
            (
                codec.to_canonical(point, rule.deadband, least_kw_per_a)
                for point, rule in rules
                if rule.deadband > 0.0
            ),
            default=0.0,
        )

    def spared(
        self, last: WriteResult | None, setpoint_kw: float, sent_s: float, lease_s: float | None
    ) -> WriteResult | None:
        """Return what stands for the write where none is made; None where it must be made.

        A value that the device holds is confirmed by its last write. One that asks for little more is not confirmed:
        the last one stays booked. What asks for less power, or the other direction, is always written.
        """
        if last is None or not last.confirmed:
            return None
        age_s = sent_s - last.sent_s
        if setpoint_kw == last.power_kw:
            return last if age_s < self._min_interval_s else None
        more_kw = (setpoint_kw - last.power_kw) * (1.0 if setpoint_kw > 0.0 else -1.0)
        is_held_up = 0.0 < more_kw < self._deadband_kw and setpoint_kw * last.power_kw >= 0.0
        if not is_held_up or (lease_s is not None and age_s >= REFRESH_SHARE * lease_s):
            return None
        cause = f"{last.power_kw:g} kW is kept: {more_kw:.3g} kW more is within the deadband"
        return WriteResult(sent_s, setpoint_kw, confirmed=False, cause=cause)
