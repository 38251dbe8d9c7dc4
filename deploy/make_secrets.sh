#!/usr/bin/env bash
# Makes every secret of deploy/compose.yaml, once: tokens, passwords, the broker's password file, a CA, a certificate.
# usage: sudo deploy/make_secrets.sh [DIRECTORY]      default: deploy/secrets, which git ignores
#
# A container sees a mounted secret with the owner and mode that it has here, so each file is 0600 and belongs to the
# user of the container that reads it; a secret that two of them need is in two files. Nothing is overwritten or printed.
set -euo pipefail
umask 077

HELIODOCK=10001 INFLUXDB=1000 GRAFANA=472 MOSQUITTO=1883      # the users in the images
DAYS=3650                                                     # an edge box is rarely visited

directory=${1:-$(dirname "$0")/secrets}
if [ -e "$directory" ]; then
    echo "refused: $directory exists already; move it away to make new secrets" >&2
    exit 2
fi
for tool in openssl python3; do
    command -v "$tool" >/dev/null || { echo "refused: $tool is not installed" >&2; exit 2; }
done

mkdir -p "$(dirname "$directory")"
final=$directory directory=$(mktemp -d "$directory.XXXXXX")   # all or nothing: moved into place at the end
trap 'rm -rf "$directory"' EXIT
owners=()

# own USER FILE MEANING
own() {
    owners+=("$1 $2")
    if [ "$(id -u)" -eq 0 ]; then chown "$1:$1" "$directory/$2"; fi
    printf '  %-28s %s\n' "$2" "$3"
}
# secret USER FILE MEANING: a new random one
secret() { openssl rand -hex 24 > "$directory/$2"; own "$@"; }
# copy FROM USER FILE MEANING: the same one for another container
copy() { cp "$directory/$1" "$directory/$3"; own "${@:2}"; }
# hashed USER FILE: a line of a Mosquitto password file (PBKDF2-SHA512, as mosquitto_passwd writes it)
hashed() {
    python3 - "$1" "$directory/$2" <<'PY'
import base64, hashlib, os, pathlib, sys
user, file = sys.argv[1:]
password = pathlib.Path(file).read_text().strip().encode()
salt, rounds = os.urandom(12), 1000
digest = hashlib.pbkdf2_hmac("sha512", password, salt, rounds)
print(f"{user}:$7${rounds}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}")
PY
}

echo "making in $final:"
secret $INFLUXDB influxdb_admin_password "sign-in to InfluxDB as 'admin'"
secret $INFLUXDB influxdb_token "InfluxDB's operator token"
copy influxdb_token $HELIODOCK heliodock_influxdb_token "the same, for heliodock"
secret $INFLUXDB influxdb_grafana_password "InfluxDB's read-only user 'grafana'"
copy influxdb_grafana_password $GRAFANA grafana_influxdb_password "the same, for Grafana"
secret $GRAFANA grafana_admin_password "sign-in to Grafana as 'admin'"
secret $HELIODOCK heliodock_mqtt_password "MQTT user 'heliodock'"
secret 0 operator_mqtt_password "MQTT user 'operator', for people and their tools"
{ hashed heliodock heliodock_mqtt_password; hashed operator operator_mqtt_password; } > "$directory/mosquitto_passwords"
own $MOSQUITTO mosquitto_passwords "the broker's password file (hashes)"

key() { openssl ecparam -name prime256v1 -genkey -noout -out "$directory/$1"; }
key ca.key
openssl req -x509 -new -key "$directory/ca.key" -sha256 -days $DAYS -subj "/CN=heliodock station CA" \
    -addext "basicConstraints=critical,CA:TRUE,pathlen:0" -addext "keyUsage=critical,keyCertSign,cRLSign" \
    -out "$directory/ca.crt"
key mosquitto.key
openssl req -new -key "$directory/mosquitto.key" -subj "/CN=mosquitto" -out "$directory/mosquitto.csr"
openssl x509 -req -in "$directory/mosquitto.csr" -CA "$directory/ca.crt" -CAkey "$directory/ca.key" -CAcreateserial \
    -sha256 -days $DAYS -out "$directory/mosquitto.crt" 2>/dev/null -extfile <(
        echo "subjectAltName=DNS:mosquitto,DNS:localhost,DNS:$(hostname),IP:127.0.0.1"
        echo "basicConstraints=critical,CA:FALSE"; echo "extendedKeyUsage=serverAuth"
    )
rm -f "$directory/mosquitto.csr" "$directory/ca.srl"
chmod 0644 "$directory/ca.crt" "$directory/mosquitto.crt"     # certificates are public
own 0 ca.key "signs certificates; keep it off this box if you can"
own 0 ca.crt "clients of the broker trust it"
own $MOSQUITTO mosquitto.key "the broker's key"
own 0 mosquitto.crt "the broker's certificate, for mosquitto, localhost, $(hostname) and 127.0.0.1"

mv "$directory" "$final"
trap - EXIT
if [ "$(id -u)" -ne 0 ]; then
    echo "You are not root, so all files are yours and the containers cannot read them. As root, in $final:"
    for entry in "${owners[@]}"; do echo "  chown ${entry% *}:${entry% *} ${entry#* }"; done
fi
