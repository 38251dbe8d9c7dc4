"""Makes Grafana's dashboards and alert rules: ``python -m deploy.grafana.generate``; the results are committed.

``boards`` says what is shown, ``look`` how things look, ``panels`` and ``page`` speak Grafana's language through
grafana-foundation-sdk, ``influxql`` the database's.
"""
