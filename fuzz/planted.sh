#!/usr/bin/env bash
# Does fuzzing find anything? Plants the bug of planted/TARGET.patch in a copy of the last commit, runs the target for at most so many
# seconds, and demands a finding: fuzz/planted.sh 120; fuzz/planted.sh 120 open import. Says how long each took.
set -euo pipefail
cd "$(dirname "$0")/.."
most=${1:-120}
shift || true
targets=${*:-$(basename -s .patch fuzz/planted/*.patch)}
copy=$PWD/target/planted
export RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$PWD/fuzz/target
git worktree add --force --detach --quiet "$copy" HEAD
trap 'git worktree remove --force "$copy"' EXIT
failed=0
for target in $targets; do
    git -C "$copy" apply "$PWD/fuzz/planted/$target.patch"
    (cd "$copy/fuzz" && cargo fuzz build -s none --no-trace-compares "$target" 2>"$copy/build.log") || { cat "$copy/build.log"; exit 2; }
    start=$SECONDS
    if "$copy/fuzz/run.sh" "$most" "$target" >"$copy/run.log" 2>&1; then
        echo "$target: nothing found in $most s"
        failed=1
    elif grep -q "found something" "$copy/run.log"; then
        echo "$target: found in $((SECONDS - start)) s: $(grep -a -m 1 -A 1 -E "panicked at|ERROR: libFuzzer" "$copy/run.log" | tail -n 1)"
    else
        cat "$copy/run.log"
        exit 2
    fi
    git -C "$copy" checkout --quiet .
done
exit $failed
