#!/usr/bin/env bash
# Text to records: one train-NAME.tf for every train-NAME.txt, one after the other.
#
#   bash scripts/make_records.sh
#   TOKENIZER=deeq CORPUS=text RECORDS=records bash scripts/make_records.sh \
#     --morpheme_cache=cache --dupe_factor=5
#
# Arguments go to create_pretraining_data.py and win over the flags below. A file of records appears
# only when it is complete, so those that exist are skipped and a run that was stopped goes on.
# After a change of the text, the vocabulary or a flag, remove the old records first.
#
# Random next sentences come from the same file here, and several files are no faster than one. For
# a large corpus, or several processes, give all files to create_pretraining_data.py --num_shards.
set -euo pipefail
shopt -s nullglob

# shellcheck source=scripts/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

# Change these four, here or in the environment.
corpus=${CORPUS:-/data/corpus}       # the folder of train-*.txt: a sentence a line, a blank line
                                     # between documents
vocab_file=${VOCAB_FILE:-vocab.txt}  # the vocabulary, a token a line
tokenizer=${TOKENIZER:-wordpiece}    # what the vocabulary was made for
records=${RECORDS:-/data/bert}       # the folder that gets train-*.tf

texts=("$corpus"/train-*.txt)
((${#texts[@]})) || fail "There is no $corpus/train-*.txt. Set CORPUS to the folder that has them."

for text in "${texts[@]}"; do
  name=$(basename "$text" .txt)
  if [[ -e $records/$name.tf ]]; then
    printf '%s exists, skipped.\n' "$records/$name.tf"
    continue
  fi
  # max_seq_length must be the same in pretrain.sh. dupe_factor=1 suits a large corpus; a small one
  # gains from 5 or 10, which mask the same sentences in other places.
  run_in_environment python "$root/bert/create_pretraining_data.py" \
    --input_file="$text" \
    --vocab_file="$vocab_file" \
    --tokenizer="$tokenizer" \
    --max_seq_length=128 \
    --do_lower_case=False \
    --dupe_factor=1 \
    --output_file="$records/$name.tf" \
    "$@"
done
