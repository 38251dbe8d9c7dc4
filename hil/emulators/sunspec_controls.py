"""What an emulated SunSpec device does with its control registers: act when they are written, revert when time is up.

This is the device's side of the standard, written apart from the driver's: a timer starts when an enabled control is
written, and once it has run out the reversion takes the place of the setting.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from hil.emulators.sunspec_image import Image, Place


@dataclass(frozen=True, slots=True)
class Wiring:
    """Which registers of a model act together.

    ``percent``: the value is a share of the rating. ``opposite``: the register that must hold the negative of the
    value. Without a reversion the control is switched off when its time is up.
    """

    value: str
    enable: str
    timer: str
    enabled: float = 1.0
    percent: bool = False
    opposite: str = ""
    remaining: str = ""
    reversion: str = ""
    reversion_enable: str = ""


WIRINGS: Mapping[tuple[int, str], Wiring] = {
    (123, "limit"): Wiring("WMaxLimPct", "WMaxLim_Ena", "WMaxLimPct_RvrtTms", percent=True),
    (124, "set"): Wiring(
        "OutWRte", "StorCtl_Mod", "InOutWRte_RvrtTms", enabled=3.0, percent=True, opposite="InWRte"
    ),
    (704, "limit"): Wiring(
        "WMaxLimPct",
        "WMaxLimPctEna",
        "WMaxLimPctRvrtTms",
        percent=True,
        remaining="WMaxLimPctRvrtRem",
        reversion="WMaxLimPctRvrt",
        reversion_enable="WMaxLimPctEnaRvrt",
    ),
    (704, "set"): Wiring(
        "WSet",
        "WSetEna",
        "WSetRvrtTms",
        remaining="WSetRvrtRem",
        reversion="WSetRvrt",
        reversion_enable="WSetEnaRvrt",
    ),
}


@dataclass(frozen=True, slots=True)
class Order:
    """What the registers tell the plant, in W as SunSpec counts them. A lease of 0 s has no end."""

    power_w: float
    lease_s: float
    fallback_w: float


class EmulatedControl:
    """One control of one connector. ``free_w`` is what the device does while the control is off."""

    def __init__(
        self, image: Image, key: tuple[int, str], connector: int, rating_w: float, free_w: float
    ) -> None:
        self.connector = connector
        self._image = image
        self._model_id, self._wiring = key[0], WIRINGS[key]
        self._rating_w = rating_w
        self._free_w = free_w
        self._started_s: float | None = None
        self._prepare()

    def written(self, places: list[Place], now_s: float) -> Order | None:
        """Return what the plant is told after these points were written; None where nothing changes for it."""
        wiring = self._wiring
        own = {path for model_id, path in places if model_id == self._model_id}
        acting = {
            wiring.value,
            wiring.opposite,
            wiring.enable,
            wiring.timer,
            wiring.reversion,
            wiring.reversion_enable,
        }
        if not own & acting - {""}:
            return None
        if not self._is_enabled():
            was_running, self._started_s = self._started_s is not None, None
            return Order(self._free_w, 0.0, self._free_w) if was_running or wiring.enable in own else None
        lease_s = self._number(wiring.timer)
        self._started_s = now_s if lease_s else None
        return Order(self._power_w(wiring.value), lease_s, self._fallback_w())

    def tick(self, now_s: float) -> None:
        """Count the timer down; when its time is up, show what is in force from now on."""
        lease_s = self._number(self._wiring.timer)
        left_s = max(0.0, self._started_s + lease_s - now_s) if self._started_s is not None else 0.0
        if self._wiring.remaining:
            self._put(self._wiring.remaining, float(round(left_s)))
        if self._started_s is not None and left_s == 0.0:
            self._started_s = None
            self._revert()

    def _revert(self) -> None:
        wiring = self._wiring
        if wiring.reversion and self._number(wiring.reversion_enable) == 1.0:
            self._put(wiring.value, self._number(wiring.reversion))
        else:
            self._put(wiring.enable, 0.0)

    def _is_enabled(self) -> bool:
        return self._number(self._wiring.enable) == self._wiring.enabled

    def _power_w(self, path: str) -> float:
        value = self._number(path)
        return value * self._rating_w / 100.0 if self._wiring.percent else value

    def _fallback_w(self) -> float:
        wiring = self._wiring
        if wiring.reversion and self._number(wiring.reversion_enable) == 1.0:
            return self._power_w(wiring.reversion)
        return self._free_w

    def _prepare(self) -> None:
        """Show the control as a device does that nobody has commanded yet."""
        wiring = self._wiring
        for path in (wiring.enable, wiring.timer, wiring.remaining, wiring.reversion_enable):
            self._put(path, 0.0)
        for path in (wiring.value, wiring.opposite, wiring.reversion):
            self._put(path, 100.0 if wiring.percent else 0.0)
        if (self._model_id, wiring.value) == (704, "WSet"):
            self._put("WSetMod", 1.0)

    def _number(self, path: str) -> float:
        return self._image.number((self._model_id, path)) or 0.0

    def _put(self, path: str, value: float) -> None:
        if path:
            self._image.put((self._model_id, path), value)
