#!/usr/bin/env bash
# Writes all vectors and fixtures anew, as today's writer makes them. After a merge in which they conflict: take either side, run this.
# Only while their version is not released. ESDB_PYTHON: a Python with requirements.txt, by default that of .ci/run.
set -euo pipefail
cd "$(dirname "$0")/../.."
ESDB_UPDATE_VECTORS=1 cargo test -p esdb-cli --test vectors --test fixtures todays_writer
"${ESDB_PYTHON:-target/venv/bin/python}" spec/vectors/make.py
