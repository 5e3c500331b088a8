#!/usr/bin/env bash
# Runs every fuzz target for some seconds each: fuzz/run.sh 15. New inputs stay out of the committed corpus.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-60}
# The instrumentation is a feature of nightly toolchains; stable ones have it too when asked like this.
export RUSTC_BOOTSTRAP=1
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for target in $(cargo fuzz list); do
    work=$(mktemp -d)
    if ! cargo fuzz run -s none "$target" "$work" "corpus/$target" -- \
        -max_total_time="$seconds" -rss_limit_mb=2048 >"$log" 2>&1; then
        tail -n 60 "$log"
        echo "$target: found something, see fuzz/artifacts/$target"
        exit 1
    fi
    echo "$target: $(sed -n 's/^Done \(.*\)/\1/p' "$log")"
    rm -rf "$work"
done
