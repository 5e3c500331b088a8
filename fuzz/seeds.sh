#!/usr/bin/env bash
# Puts inputs that stand elsewhere in the repository into a folder, in the form that a target takes: fuzz/seeds.sh TARGET FOLDER.
set -euo pipefail
cd "$(dirname "$0")"
target=$1 folder=$2

if [ "$target" = open ] || [ "$target" = recover ]; then
    # The first byte says whether checksums count.
    for vector in ../spec/vectors/*/*.esdb; do
        for checks in 0 1; do
            { printf "\\$checks"; cat "$vector"; } >"$folder/$(basename "$vector").$checks"
        done
    done
fi
