"""The dashboards, in the order in which they are linked."""

from deploy.grafana.generate.boards import (
    battery,
    carbon,
    cost,
    decisions,
    devices,
    live,
    plan,
    sessions,
)

MODULES = (live, plan, sessions, decisions, devices, cost, battery, carbon)
PAGES = tuple(module.PAGE for module in MODULES)
