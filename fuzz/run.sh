#!/bin/sh
# Runs one fuzz target: sh fuzz/run.sh TARGET SECONDS
set -eu
cd "$(dirname "$0")"
target=$1
mkdir -p "corpus/$target"
options="-max_total_time=$2 -timeout=20 -rss_limit_mb=2048 -print_final_stats=1"
[ ! -f "dictionaries/$target" ] || options="$options -dict=dictionaries/$target"
# Overflows and failed assertions are found without a sanitiser: only the crate `runtime` has unsafe code, and none runs here.
# shellcheck disable=SC2086
cargo +nightly fuzz run --fuzz-dir . --sanitizer none "$target" "corpus/$target" "seeds/$target" -- $options
