#!/usr/bin/env bash
# The foreign peers of the tests come from the distribution: mbpoll (a Modbus master), libmodbus (a slave, compiled by
# gcc), InfluxDB, VictoriaMetrics and the MQTT broker. Install them where that is possible; say so where it is not. The tests
# that need them are skipped with a reason, so this script never fails.
set -uo pipefail

missing=()
command -v mbpoll >/dev/null || missing+=(mbpoll)
command -v gcc >/dev/null || missing+=(gcc libc6-dev)
[ -e /usr/include/modbus/modbus.h ] || missing+=(libmodbus-dev)
command -v influxd >/dev/null || missing+=(influxdb)
command -v victoria-metrics >/dev/null || missing+=(victoria-metrics)
command -v mosquitto_pub >/dev/null && [ -x /usr/sbin/mosquitto ] || missing+=(mosquitto mosquitto-clients)

if [ ${#missing[@]} -eq 0 ]; then
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    echo "skipped: ${missing[*]} not installed (no apt-get here)"
    exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "skipped: ${missing[*]} not installed (needs root)"
    exit 0
fi

export DEBIAN_FRONTEND=noninteractive
install() { timeout 300 apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null 2>&1; }
if install || { timeout 120 apt-get update -qq >/dev/null 2>&1 && install; }; then
    echo "installed for the tests: ${missing[*]}"
else
    echo "skipped: ${missing[*]} not installed (apt-get failed)"
fi
exit 0
