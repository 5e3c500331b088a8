#!/usr/bin/env bash
# Runs fuzz targets for some seconds each, all of them or those that are named: fuzz/run.sh 15; fuzz/run.sh 36000 open import.
# Prints executions and rate of each. See README.md.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-60}
shift || true
# The instrumentation is a feature of nightly toolchains; stable ones have it too when asked like this.
export RUSTC_BOOTSTRAP=1
# Files that are written and read again need no disk.
[ -w /dev/shm ] && export TMPDIR=/dev/shm
# Tracing comparisons takes half of the time; what a target compares with stands in its corpus or dictionary.
flags=(-s none --no-trace-compares)
if [ $# -eq 0 ]; then
    cargo fuzz build "${flags[@]}"
else
    for target in "$@"; do cargo fuzz build "${flags[@]}" "$target"; done
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for target in ${*:-$(cargo fuzz list)}; do
    mkdir "$work/$target"
    ./seeds.sh "$target" "$work/$target"
    options=(-max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10)
    [ -f "dict/$target" ] && options+=(-dict="dict/$target")
    if ! cargo fuzz run "${flags[@]}" "$target" "$work/$target" "corpus/$target" -- "${options[@]}" >"$work/log" 2>&1; then
        grep -a -A 20 -m 1 -E "panicked at|ERROR: libFuzzer" "$work/log" || tail -n 60 "$work/log"
        echo "$target: found something, see fuzz/artifacts/$target"
        exit 1
    fi
    awk -v target="$target" '/^Done/ { printf "%s: %d executions in %d s, %d/s\n", target, $2, $5, $2 / ($5 ? $5 : 1) }' "$work/log"
    rm -rf "${work:?}/$target"
done
