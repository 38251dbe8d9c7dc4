"""How fast and how late the devices are."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PlantParams:
    """Times in seconds. The defaults are ordinary devices, on the slow side; scenarios make them worse.

    - ``meter_lag_s``: a power meter averages over about a second and its gateway adds to that. The meter doesn't tell
      its lag, and the one declared in ``GridMeter.lag_s`` is only what the controller was told.
    - ``pcs_dead_s``, ``pcs_tau_s``: a power conversion system acts on a new Modbus setpoint after its own control
      cycle, then reaches 63 % within a few hundred ms. The ramp is the battery's ``ramp_kw_per_s``.
    - ``pv_tau_s``: an inverter ramps to a new limit within seconds. Sunlight is followed at once.
    - ``ac_delay_s``: IEC 61851-1 gives a car 5 s to follow a new pilot duty cycle; most need 1 to 4 s.
    - ``dc_dead_s``: a DC charger passes a new limit to the car within a cycle or two of their communication.
    - ``ac_wake_s``, ``dc_wake_s``: from power being offered to a paused car until it draws (contactor, pre-charge).
    - ``bms_taper_soc``: the BMS reduces its limits over this share of SoC before a hard edge. The hard edges
      ``soc_hard_min`` and ``soc_hard_max`` and the taper lie outside the planning window ``soc_min .. soc_max``;
      where the window itself goes beyond, its end is the edge and there is no taper.
    - ``coarse_s``: a step at least this long resolves none of these: every response is instantaneous and a step's
      power is the mean that gives its exact energy.
    """

    meter_lag_s: float = 1.0
    pcs_dead_s: float = 0.5
    pcs_tau_s: float = 0.3
    pv_tau_s: float = 1.0
    ac_delay_s: float = 5.0
    dc_dead_s: float = 1.0
    ac_wake_s: float = 5.0
    dc_wake_s: float = 10.0
    bms_taper_soc: float = 0.03
    soc_hard_min: float = 0.02
    soc_hard_max: float = 0.98
    coarse_s: float = 5.0
