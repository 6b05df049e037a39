#!/usr/bin/env bash
# Installs the project into .venv and runs its main job, from text to an evaluated checkpoint, on
# the Korean sample of corpus/sample. Everything made goes to out/quickstart.
#
#   bash scripts/quickstart.sh            a second run goes on where the first one stopped
#   bash scripts/quickstart.sh --fresh    removes out/quickstart first
#
# The environment variable PYTHON names the Python to use, 3.10 to 3.13.
set -euo pipefail

# shellcheck source=scripts/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

sample=corpus/sample
out=out/quickstart
max_seq_length=64
max_predictions_per_seq=10

main() {
  case $# in
    0) ;;
    1) [[ $1 == --fresh ]] || fail "Unknown argument $1. The only one is --fresh." ;;
    *) fail "Too many arguments. The only one is --fresh." ;;
  esac
  ensure_environment base
  cd "$root"
  [[ $# == 0 ]] || rm -rf "$out"
  mkdir -p "$out"
  make_records sample train
  make_records heldout heldout
  pretrain
  show_results
}

# Makes records of a text of the sample. The log goes to a file, its summary to the screen.
make_records() {
  local log=$out/$2.log status=0
  run_in_environment python bert/create_pretraining_data.py \
    --input_file="$sample/$1.txt" \
    --vocab_file="$sample/vocab.txt" \
    --do_lower_case=False \
    --max_seq_length="$max_seq_length" \
    --max_predictions_per_seq="$max_predictions_per_seq" \
    --output_file="$out/$2.tfrecord" 2>"$log" || status=$?
  if ((status)); then
    tail -n 20 "$log" >&2
    exit "$status"
  fi
  tail -n 3 "$log" | sed -E 's/^I[^]]*\] /  /'
}

pretrain() {
  local status=0
  run_in_environment python bert/run_pretraining.py \
    --bert_config_file=configs/bert_config_tiny.json \
    --input_file="$out/train.tfrecord" \
    --eval_input_file="$out/heldout.tfrecord" \
    --output_dir="$out/model" \
    --do_train=True \
    --do_eval=True \
    --max_seq_length="$max_seq_length" \
    --max_predictions_per_seq="$max_predictions_per_seq" \
    --train_batch_size=32 \
    --num_train_steps=800 \
    --num_warmup_steps=80 \
    --learning_rate=5e-4 \
    --save_checkpoints_steps=400 \
    --log_steps=100 || status=$?
  if ((status)); then
    printf 'Pre-training stopped. The same command goes on from the last checkpoint in %s;\n' \
      "$out/model" >&2
    printf 'bash scripts/quickstart.sh --fresh starts over.\n' >&2
    exit "$status"
  fi
}

show_results() {
  printf '\nMade in %s:\n' "$root/$out"
  find "$out" -type f ! -name '.*' -printf '%s %P\n' | sort -k 2 |
    awk '{ printf "%10.1f kB  %s\n", $1 / 1000, $2 }'
  printf '\nMetrics on the held-out text (%s):\n' "$out/model/eval_results.txt"
  sed 's/^/  /' "$out/model/eval_results.txt"
  awk 'END {
    printf "How to read them: masked_lm_loss is %.2f (ln %d) for a model", log(NR), NR
    printf " that knows nothing, "
    printf "6.35 for one\nthat knows how common each piece is, and lower for one that uses the "
    printf "words around the gap.\n"
  }' "$sample/vocab.txt"
  printf '\nNext: your own text. README.md, "From text to a checkpoint", goes through the stages.\n'
}

main "$@"
