#!/usr/bin/env bash
# Raw files to text: a sentence a line, a blank line between documents, and a report of what was
# removed and changed. The same command goes on where a stopped run left off, and does nothing where
# all is done.
#
#   bash scripts/clean_corpus.sh
#   SOURCES=corpus/sample/raw/sources.json CORPUS=text bash scripts/clean_corpus.sh --near_dedup=0.8
#
# Arguments go to clean_corpus.py and win over the flags below. Look before you clean:
# bash scripts/clean_corpus.sh --dry_run shows some documents before and after.
set -euo pipefail

# shellcheck source=scripts/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

# Change these two, here or in the environment.
sources=${SOURCES:-/data/raw/sources.json}  # what there is to clean, and how; see README.md
corpus=${CORPUS:-/data/corpus}              # the folder that gets train-*.txt and heldout.txt

# The held-out text has a name that train-*.txt, which the next stages read, does not match.
# --decontaminate=FILES keeps the sentences of evaluation tasks out.
run_in_environment python "$root/corpus/clean_corpus.py" \
  --manifest_file="$sources" \
  --output_file="$corpus/train-@####.txt" \
  --heldout_file="$corpus/heldout.txt" \
  --heldout_fraction=0.005 \
  "$@"
