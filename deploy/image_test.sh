#!/usr/bin/env bash
# Builds the image without a container engine and runs it as an engine would: its user, a read-only root, no network.
# usage: make image-test, or deploy/image_test.sh [CACHE_DIRECTORY]      as root on Debian or Ubuntu; about two minutes
#
# The base is not python:3.11-slim-bookworm itself but a stand-in of that name, made of the same distribution's packages.
# What is not there is installed where root may; else the test says in one line that it was skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

LARGEST_MB=700
tag=localhost/heliodock:test base=docker.io/library/python:3.11-slim-bookworm
skip() { echo "skipped: $*"; exit 0; }

[ "$(id -u)" -eq 0 ] || skip "the image is built and run in namespaces, which needs root"
missing=()
for pair in buildah:buildah mmdebstrap:mmdebstrap fuse-overlayfs:fuse-overlayfs newuidmap:uidmap ip:iproute2 openssl:openssl; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
    command -v apt-get >/dev/null || skip "${missing[*]} not installed (no apt-get here)"
    export DEBIAN_FRONTEND=noninteractive
    install() { timeout 300 apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null 2>&1; }
    install || { timeout 120 apt-get update -qq >/dev/null 2>&1 && install; } || skip "${missing[*]} not installed (apt-get failed)"
fi

cache=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/heliodock-image}
mkdir -p "$cache"
cache=$(realpath "$cache") work=$(mktemp -d)
# The settings are in a file because this version of buildah does not heed STORAGE_DRIVER.
printf '[storage]\ndriver = "overlay"\ngraphroot = "%s/store"\nrunroot = "%s/run"\n' "$cache" "$cache" > "$cache/storage.conf"
export BUILDAH_ISOLATION=chroot CONTAINERS_STORAGE_CONF=$cache/storage.conf
container=
clean_up() {
    [ -z "$container" ] || { buildah umount "$container"; buildah rm "$container"; } >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap clean_up EXIT
step() { echo "== $* (${SECONDS} s)"; }

if ! buildah images -q "$base" >/dev/null 2>&1; then
    step "base: Debian's Python under the name of the official image"
    without=()  # slim images carry no manuals and translations either
    for place in man doc locale; do without+=("--dpkgopt=path-exclude=/usr/share/$place/*"); done
    [ -f "$cache/base.tar" ] || timeout 600 mmdebstrap --quiet --variant=minbase "${without[@]}" \
        --include=python3,python3-venv,python3-pip,ca-certificates,tzdata bookworm "$cache/base.tar"
    container=$(buildah from scratch)
    buildah add -q "$container" "$cache/base.tar" / >/dev/null
    # a network with a proxy of its own needs the host's certificates
    buildah copy -q "$container" /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt >/dev/null
    buildah run "$container" -- sh -c 'for name in python python3; do ln -sf /usr/bin/python3.11 /usr/local/bin/$name; done
        ln -sf /usr/bin/pip3 /usr/local/bin/pip; rm -f /usr/lib/python3.11/EXTERNALLY-MANAGED'
    buildah config --env PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin --env LANG=C.UTF-8 \
        --env PIP_CERT=/etc/ssl/certs/ca-certificates.crt "$container"
    buildah commit -q --rm "$container" "$base" >/dev/null
    container=
fi

step "build"
timeout 1200 buildah bud --pull-never --network=host --format docker -t "$tag" . > "$work/build.log" 2>&1 \
    || { tail -30 "$work/build.log"; echo "== FAILED: the image does not build"; exit 1; }
size=$(buildah images --format '{{.Size}}' "$tag" | head -1)
step "the image has $size"
case $size in
    *GB) is_small=false ;;
    *) is_small=$(awk -v size="${size% *}" -v most=$LARGEST_MB 'BEGIN { print size <= most ? "true" : "false" }') ;;
esac
$is_small || { echo "== FAILED: larger than $LARGEST_MB MB"; exit 1; }

container=$(buildah from --pull-never "$tag")
root=$(buildah mount "$container")
buildah inspect --type image "$tag" > "$work/image.json"
deploy/make_secrets.sh "$work/secrets" >/dev/null
step "run"
timeout 400 unshare --net --pid --mount --uts --ipc --fork \
    python3 deploy/image_run.py "$root" "$work/image.json" deploy/site.yaml "$work/secrets" \
    || { echo "== FAILED: see above"; exit 1; }
step "passed"
