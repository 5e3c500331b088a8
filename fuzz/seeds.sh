#!/usr/bin/env bash
# Puts inputs that stand elsewhere in the repository into a folder, in the form that a target takes: fuzz/seeds.sh TARGET FOLDER.
set -euo pipefail
cd "$(dirname "$0")"
target=$1 folder=$2

if [ "$target" = open ] || [ "$target" = recover ]; then
    # The first byte says whether checksums count. Of large files the good ones will do: they take their time.
    for vector in $(find ../spec/vectors -name '*.esdb' \( -size -16 -o -path '*/good/*' \)); do
        for checks in 0 1; do
            { printf "\\$checks"; cat "$vector"; } >"$folder/$(basename "$vector").$checks"
        done
    done
fi

if [ "$target" = block ]; then
    # Heads of blocks, behind the byte that says so.
    for vector in $(find ../spec/vectors/good ../spec/vectors/bad -name '*.esdb' -size -16); do
        for offset in $( (LC_ALL=C grep -abo -P '\x89ESDBB\r' "$vector" || true) | cut -d: -f1); do
            { printf '\377'; head -c "$((offset + 60))" "$vector" | tail -c 60; } >"$folder/$(basename "$vector").$offset"
        done
    done
fi
