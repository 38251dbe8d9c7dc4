#!/usr/bin/env bash
# The foreign peers of the tests come from the distribution: mbpoll (a Modbus master), libmodbus (a slave, compiled by
# gcc), InfluxDB, VictoriaMetrics, the MQTT broker and node, for which npm fetches node-opcua as the lock file in
# tests/wire/node_peer says. Install them where that is possible; say so where it is not. The tests that need them are
# skipped with a reason, so this script never fails.
set -uo pipefail
cd "$(dirname "$0")"

# A cache outside the source tree; it is made anew when the lock file changes.
node_opcua() {
    local cache="${XDG_CACHE_HOME:-$HOME/.cache}/heliodock/node-opcua" ours=wire/node_peer
    if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
        echo "skipped: node-opcua not fetched (no node or npm)"
    elif cmp -s "$ours/package-lock.json" "$cache/package-lock.json" && [ -e "$cache/node_modules/.package-lock.json" ]; then
        return
    elif mkdir -p "$cache" && rm -rf "$cache/node_modules" && cp "$ours"/package*.json "$cache" \
        && timeout 300 npm ci --prefix "$cache" --fetch-retries 1 --fetch-timeout 30000 --ignore-scripts --no-audit --no-fund >/dev/null 2>&1; then
        echo "fetched for the tests: node-opcua"
    else
        echo "skipped: node-opcua not fetched (npm ci failed)"
    fi
}
trap node_opcua EXIT

missing=()
command -v mbpoll >/dev/null || missing+=(mbpoll)
command -v gcc >/dev/null || missing+=(gcc libc6-dev)
[ -e /usr/include/modbus/modbus.h ] || missing+=(libmodbus-dev)
command -v influxd >/dev/null || missing+=(influxdb)
command -v victoria-metrics >/dev/null || missing+=(victoria-metrics)
command -v mosquitto_pub >/dev/null && [ -x /usr/sbin/mosquitto ] || missing+=(mosquitto mosquitto-clients)
command -v node >/dev/null || missing+=(nodejs)
command -v npm >/dev/null || missing+=(npm)

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
