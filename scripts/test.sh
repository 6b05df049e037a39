#!/usr/bin/env bash
# Checks the code: ruff, then pytest. Arguments go to pytest, as in: bash scripts/test.sh -m slow
#
# Makes or completes .venv first. The exit code is that of the first check that failed.
set -euo pipefail

# shellcheck source=scripts/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

ensure_environment test
cd "$root"
run_in_environment ruff check .
run_in_environment ruff format --check .
# A process a core, and each test file in one of them: what its tests share is made once. As
# they are collected the longest comes first.
run_in_environment python -m pytest --numprocesses=auto --maxprocesses=8 --dist=loadfile \
  --no-loadscope-reorder "$@"
