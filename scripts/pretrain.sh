#!/usr/bin/env bash
# Records to a pre-trained checkpoint. The same command goes on where a stopped run left off.
#
#   bash scripts/pretrain.sh
#   RECORDS=records OUTPUT_DIR=out/bert bash scripts/pretrain.sh --gpus=all
#
# Arguments go to run_pretraining.py and win over the flags below. Before a long run:
#
#   bash scripts/pretrain.sh --gpus=all --plan                        says what it would take
#   bash scripts/pretrain.sh --gpus=all --dtype=bfloat16 --use_xla    fast, on GPUs from A100 on
#
# For several machines there is scripts/pretrain_multinode.sh.
set -euo pipefail

# shellcheck source=scripts/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

# Change these three, here or in the environment.
bert_config=${BERT_CONFIG:-bert_config.json}  # sizes of the model; see configs/
records=${RECORDS:-/data/bert}                # the folder of train*.tf
output_dir=${OUTPUT_DIR:-/data/out/bert}      # the folder for checkpoints and results

# train_batch_size is the batch over all GPUs: as large as their memory takes, and a multiple of
# their number. max_seq_length must be that of make_records.sh. To evaluate on text that
# is not trained on, add --eval_input_file with records of it.
run_in_environment python "$root/bert/run_pretraining.py" \
  --bert_config_file="$bert_config" \
  --input_file="$records/train*.tf" \
  --output_dir="$output_dir" \
  --do_train=True \
  --do_eval=True \
  --max_seq_length=128 \
  --train_batch_size=124 \
  --num_train_steps=1000000 \
  --gpus=1 \
  "$@"
