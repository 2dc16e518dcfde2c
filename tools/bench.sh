#!/bin/sh
# Measures the main job beside every builder that is installed, in turn, in one run: medians of milliseconds, and ratios.
# With a folder of workloads that has a `bench.py`, those are run: `sh tools/bench.sh FOLDER`; BENCH_ARGS says which
# (`--quick`; `--workloads w1,w4 -n 5`; all take about an hour). The numbers of other machines mean nothing here.
set -eu
cd "$(dirname "$0")/.."

if [ -n "${1:-}" ] && [ -f "$1/bench.py" ]; then
    # shellcheck disable=SC2086
    exec python3 "$1/bench.py" --slipway "$PWD/target/release/slipway" ${BENCH_ARGS:-}
fi

RUNS=${RUNS:-7}
STEPS=20
BIN=$PWD/target/release/slipway
WORK=$(mktemp -d)
REGISTRY=127.0.0.1:$((20000 + $$ % 10000))
PIDS=
stop() { [ -z "$PIDS" ] || kill $PIDS 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$WORK" 2>/dev/null || true; }
trap stop EXIT
trap 'exit 1' INT TERM

now() { date +%s%N; }
# Runs a command and adds its milliseconds to a file.
timed() {
    file=$1; shift
    start=$(now)
    "$@" > "$WORK/out" 2>&1 || { cat "$WORK/out"; exit 1; }
    echo $((($(now) - start) / 100000)) >> "$file"
}
# Prints the median and the spread of a file of tenths of milliseconds.
median() { sort -n "$1" | awk '{ v[NR] = $1 / 10 } END { printf "%8.1f ms   (%.1f to %.1f)", v[int((NR + 1) / 2)], v[1], v[NR] }'; }

mkdir -p "$WORK/context"
cp "$(command -v busybox)" "$WORK/context/busybox"
printf 'FROM scratch\nCOPY busybox /bin/busybox\nRUN ["/bin/busybox", "--install", "-s", "/bin"]\nRUN true\n' > "$WORK/context/Base"
{ echo "FROM $REGISTRY/base"; for step in $(seq $STEPS); do echo "RUN echo $step > /f$step"; done; } > "$WORK/context/Steps"
# Other steps: running the first ones anew would give these new layers, which a push has to upload.
sed 's/RUN echo/RUN echo again/' "$WORK/context/Steps" > "$WORK/context/Again"

cat > "$WORK/registry.yml" <<YML
version: 0.1
log: {level: error}
http: {addr: "$REGISTRY"}
storage: {filesystem: {rootdirectory: $WORK/registry}}
YML
docker-registry serve "$WORK/registry.yml" > /dev/null 2>&1 &
PIDS=$!
sleep 0.5

slipway() { "$BIN" build --progress plain --data-dir "$WORK/slipway" "$@" "$WORK/context"; }
bud() { buildah bud -q --isolation=oci --tls-verify=false --layers "$@" "$WORK/context"; }
slipway -f "$WORK/context/Base" -t "$REGISTRY/base" --push > "$WORK/out" 2>&1 || { cat "$WORK/out"; exit 1; }
BUILDERS=slipway
if command -v buildah > /dev/null && [ "$(id -u)" = 0 ] && command -v runc > /dev/null; then
    export BUILDAH_RUNTIME=runc
    bud --format oci -f "$WORK/context/Steps" -t bench-warm > /dev/null 2>&1 && BUILDERS="$BUILDERS buildah"
fi

cold_slipway() { slipway --no-cache -f "$WORK/context/Steps"; }
cold_buildah() { bud --no-cache -f "$WORK/context/Steps" -t bench; }
again_slipway() { slipway -f "$WORK/context/Again" -t "$REGISTRY/steps:slipway" --push; }
again_buildah() { bud -f "$WORK/context/Again" -t "$REGISTRY/steps:buildah" && buildah push -q --tls-verify=false "$REGISTRY/steps:buildah"; }
for builder in $BUILDERS; do "cold_$builder" > /dev/null 2>&1; "again_$builder" > /dev/null 2>&1; done
for _ in $(seq "$RUNS"); do
    for builder in $BUILDERS; do
        timed "$WORK/cold.$builder" "cold_$builder"
        timed "$WORK/again.$builder" "again_$builder"
    done
done
echo "$STEPS trivial RUN steps, nothing cached, not pushed; then the same with everything cached, pushed ($RUNS runs each)"
for builder in $BUILDERS; do
    printf '  %-8s  cold %s   cached %s\n' "$builder" "$(median "$WORK/cold.$builder")" "$(median "$WORK/again.$builder")"
done

printf '[server]\nlisten = "127.0.0.1:0"\nregistry_listen = "127.0.0.1:0"\n' > "$WORK/slipway.toml"
"$BIN" serve --data-dir "$WORK/serve" --config "$WORK/slipway.toml" 2> /dev/null &
SERVER=$!
PIDS="$PIDS $SERVER"
sleep 3
WORKER=$(pgrep -P "$SERVER" | head -n 1)
rss() { awk '/^Rss:/ { r = $2 } /^Pss:/ { p = $2 } END { printf "%.1f MB resident, %.1f MB its share", r / 1024, p / 1024 }' "/proc/$1/smaps_rollup"; }
echo "idle: server $(rss "$SERVER"); worker $(rss "$WORKER")"
