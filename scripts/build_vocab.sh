#!/usr/bin/env bash
# Text to a vocabulary, with the tokenizer_config.json that later stages hold on to beside it.
#
#   bash scripts/build_vocab.sh
#   TOKENIZER=deeq-wordpiece CORPUS=text VOCAB_FILE=deeq/vocab.txt bash scripts/build_vocab.sh
#
# Arguments go to build_vocab.py and win over the flags below.
set -euo pipefail

# shellcheck source=scripts/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

# Change these three, here or in the environment.
corpus=${CORPUS:-/data/corpus}       # the folder of train-*.txt: a sentence a line
vocab_file=${VOCAB_FILE:-vocab.txt}  # the vocabulary to write
tokenizer=${TOKENIZER:-deeq}         # wordpiece, deeq or deeq-wordpiece

# vocab_size must be the same in the bert_config.json. With --morpheme_cache=DIR, the analyses made
# here need not be made again for the records.
run_in_environment python "$root/tokenizers/build_vocab.py" \
  --tokenizer="$tokenizer" \
  --input_file="$corpus/train-*.txt" \
  --vocab_size=32000 \
  --output_file="$vocab_file" \
  "$@"
