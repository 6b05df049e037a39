#!/usr/bin/env bash
# Installs the project into .venv and goes the whole way on the raw Korean files of
# corpus/sample/raw: cleans them into text, some of it held out; makes two vocabularies, one of
# WordPieces and one of morphemes; with each of them records, and a tiny model that is pre-trained
# and evaluated; a table of what both models score on a made-up task, fine-tuned; and what one of
# them expects in the place of a word. Everything made goes to out/quickstart.
#
#   bash scripts/quickstart.sh            a second run goes on where the first one stopped
#   bash scripts/quickstart.sh --fresh    removes out/quickstart first
#
# The environment variable PYTHON names the Python to use, 3.10 to 3.13.
set -euo pipefail

# shellcheck source=scripts/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

out=out/quickstart
max_seq_length=64
max_predictions_per_seq=10

main() {
  case $# in
    0) ;;
    1) [[ $1 == --fresh ]] || fail "Unknown argument $1. The only one is --fresh." ;;
    *) fail "Too many arguments. The only one is --fresh." ;;
  esac
  ensure_environment deeq,vocab
  cd "$root"
  [[ $# == 0 ]] || rm -rf "$out"
  local tokenizer
  clean_corpus
  # The sizes are what so small a text has to give, and so is what counts as a rare character.
  build_vocabulary wordpiece 1500 2
  build_vocabulary deeq 1300 1
  run_in_environment python tokenizers/show_tokens.py --text="그는 책을 읽었다고 했다." \
    --vocab_file="$out/wordpiece/vocab.txt,$out/deeq/vocab.txt"
  for tokenizer in wordpiece deeq; do
    make_records "$tokenizer" train train
    make_records "$tokenizer" heldout-train heldout
    pretrain "$tokenizer"
  done
  score
  show_results
}

clean_corpus() {
  logged "$out/corpus.log" 18 python corpus/clean_corpus.py \
    --manifest_file=corpus/sample/raw/sources.json \
    --output_file="$out/corpus/train.txt" \
    --heldout_fraction=0.15
}

build_vocabulary() {
  logged "$out/$1/vocab.log" 2 python tokenizers/build_vocab.py \
    --tokenizer="$1" \
    --input_file="$out/corpus/train.txt" \
    --vocab_size="$2" \
    --min_char_frequency="$3" \
    --output_file="$out/$1/vocab.txt"
}

make_records() {
  logged "$out/$1/$3.log" 3 python bert/create_pretraining_data.py \
    --tokenizer="$1" \
    --input_file="$out/corpus/$2.txt" \
    --vocab_file="$out/$1/vocab.txt" \
    --do_lower_case=False \
    --max_seq_length="$max_seq_length" \
    --max_predictions_per_seq="$max_predictions_per_seq" \
    --output_file="$out/$1/$3.tfrecord"
}

# logged FILE LINES COMMAND runs a command, its log to a file, and its last lines to the screen.
logged() {
  local log=$1 lines=$2 status=0
  shift 2
  mkdir -p "$(dirname "$log")"
  run_in_environment "$@" 2>"$log" || status=$?
  if ((status)); then
    tail -n 20 "$log" >&2
    printf 'bash scripts/quickstart.sh --fresh starts over.\n' >&2
    exit "$status"
  fi
  tail -n "$lines" "$log" | sed -E 's/^I[^]]*\] /  /'
}

pretrain() {
  local status=0
  run_in_environment python bert/run_pretraining.py \
    --bert_config_file=configs/bert_config_tiny.json \
    --input_file="$out/$1/train.tfrecord" \
    --eval_input_file="$out/$1/heldout.tfrecord" \
    --output_dir="$out/$1/model" \
    --do_train=True \
    --do_eval=True \
    --max_seq_length="$max_seq_length" \
    --max_predictions_per_seq="$max_predictions_per_seq" \
    --train_batch_size=32 \
    --num_train_steps=500 \
    --num_warmup_steps=50 \
    --learning_rate=5e-4 \
    --save_checkpoints_steps=250 \
    --log_steps=100 || status=$?
  if ((status)); then
    printf 'Pre-training stopped. The same command goes on from the last checkpoint in %s;\n' \
      "$out/$1/model" >&2
    printf 'bash scripts/quickstart.sh --fresh starts over.\n' >&2
    exit "$status"
  fi
}

score() {
  printf '\nFine-tuning both models on the reviews in corpus/sample/tasks/nsmc; log: %s\n' \
    "$out/scores.log"
  # The models and the task are so small that they need other settings than configs/tasks has.
  logged "$out/scores.log" 0 python bert/evaluate_checkpoints.py \
    --model=wordpiece="$out/wordpiece/model" \
    --model=deeq="$out/deeq/model" \
    --steps=last \
    --data_dir=corpus/sample/tasks \
    --tasks=nsmc \
    --num_seeds=1 \
    --set=max_seq_length="$max_seq_length" \
    --set=train_batch_size=16 \
    --set=num_train_epochs=20 \
    --set=learning_rate=3e-4 \
    --plot=False \
    --jobs=2 \
    --output_dir="$out/scores"
}

show_results() {
  local tokenizer
  printf '\nMade in %s:\n' "$root/$out"
  find "$out" -path "$out/scores/*/*" -prune -o -type f ! -name '.*' -printf '%s %P\n' | sort -k 2 |
    awk '{ printf "%10.1f kB  %s\n", $1 / 1000, $2 }'
  for tokenizer in wordpiece deeq; do
    printf '\nMetrics of %s on the held-out text (%s):\n' \
      "$tokenizer" "$out/$tokenizer/model/eval_results.txt"
    sed 's/^/  /' "$out/$tokenizer/model/eval_results.txt"
    awk 'END {
      printf "  (masked_lm_loss is %.2f, ln %d, for a model that knows nothing)\n", log(NR), NR
    }' "$out/$tokenizer/vocab.txt"
  done
  printf '\nThe losses of the two do not compare: a morpheme is another thing to guess than a piece'
  printf '\nof a word. What a tokenizer is worth shows in tasks, here in one that is made up:\n\n'
  cat "$out/scores/scores.md"
  printf 'Models so small learn little: the scores say that all works, not which is better.\n\n'
  logged "$out/fill_mask.log" 0 python bert/fill_mask.py \
    --model_dir="$out/deeq/model" --text="오늘 날씨가 [MASK] 좋다."
  printf 'Next: your own text. README.md, "Clean the corpus" and on, goes through the stages.\n'
}

main "$@"
