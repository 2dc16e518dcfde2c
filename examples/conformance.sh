#!/bin/sh
# Compares what slipway builds with what BuildKit built, if the recorded builds are there: examples/conformance.sh DIRECTORY
set -eu
[ -f "$1/run.py" ] || { echo "no recorded builds in $1: set CONFORMANCE"; exit 1; }
CASES=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
BIN=$PWD/target/release/slipway
WORK=$(mktemp -d)
REGISTRY=127.0.0.1:$((20000 + $$ % 10000))
trap 'kill "$PID" 2>/dev/null || true; rm -rf "$WORK" 2>/dev/null || true' EXIT
printf 'version: 0.1\nlog: {level: error}\nhttp: {addr: "%s"}\nstorage: {filesystem: {rootdirectory: %s/registry}}\n' "$REGISTRY" "$WORK" > "$WORK/registry.yml"
docker-registry serve "$WORK/registry.yml" > /dev/null 2>&1 &
PID=$!
sleep 0.5
shift
SLIPWAY_DATA_DIR=$WORK/data python3 "$CASES/run.py" --registry "$REGISTRY" --tier rootfs \
    --builder "$BIN build {args} -f {dockerfile} -t {ref} --push {context}" "$@"
