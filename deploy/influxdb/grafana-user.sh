#!/bin/bash
# InfluxDB runs this once, after it has set itself up: a user for Grafana that may read heliodock's bucket, nothing else.
# InfluxQL finds the bucket under its own name (InfluxDB 2.7 maps database and retention policy by itself).
set -euo pipefail
influx v1 auth create --org "$DOCKER_INFLUXDB_INIT_ORG" --read-bucket "$DOCKER_INFLUXDB_INIT_BUCKET_ID" \
    --username grafana --password "$(cat /run/secrets/influxdb_grafana_password)" --description "Grafana" > /dev/null
