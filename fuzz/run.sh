#!/usr/bin/env bash
# Runs every fuzz target for some seconds each: fuzz/run.sh 15; fuzz/run.sh 36000 over a night. Prints executions and rate of each.
# New inputs stay out of the committed corpus; `open` begins with all vectors of the spec.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-60}
# The instrumentation is a feature of nightly toolchains; stable ones have it too when asked like this.
export RUSTC_BOOTSTRAP=1
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for target in $(cargo fuzz list); do
    work=$(mktemp -d)
    if [ "$target" = open ]; then
        # The first byte says whether checksums count.
        for vector in ../spec/vectors/*/*.esdb; do
            for checks in 0 1; do
                { printf "\\$checks"; cat "$vector"; } >"$work/$(basename "$vector").$checks"
            done
        done
    fi
    if ! cargo fuzz run -s none "$target" "$work" "corpus/$target" -- \
        -max_total_time="$seconds" -rss_limit_mb=2048 >"$log" 2>&1; then
        tail -n 60 "$log"
        echo "$target: found something, see fuzz/artifacts/$target"
        exit 1
    fi
    awk -v target="$target" '/^Done/ { printf "%s: %d executions in %d s, %d/s\n", target, $2, $5, $2 / ($5 ? $5 : 1) }' "$log"
    rm -rf "$work"
done
