#!/usr/bin/env bash
# Pre-trained checkpoints to one table of fine-tuned scores. The same command goes on where a stopped
# run left off, and does what has come since.
#
#   bash scripts/evaluate_checkpoints.sh
#   MODELS="wordpiece=out/wordpiece deeq=out/deeq" TASKS=nsmc,korsts bash scripts/evaluate_checkpoints.sh
#
# Arguments go to evaluate_checkpoints.py and win over the flags below. Of use:
#
#   --watch             scores checkpoints as a run that goes on writes them
#   --steps=last        scores the last checkpoint of each model only
#   --set nsmc.max_train_examples=10000    trains on a sample, and says so under the table
set -euo pipefail

# shellcheck source=scripts/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

# Change these four, here or in the environment.
models=${MODELS:-/data/out/bert}           # folders of pretrain.sh, NAME=FOLDER or FOLDER, with blanks between
data_dir=${TASK_DATA:-/data/tasks}         # a folder for each task, with its files
output_dir=${OUTPUT_DIR:-/data/out/scores} # the folder for the table and all results
tasks=${TASKS:-nsmc,korsts,kornli,hate_speech,question_pair}

read -ra models <<<"$models"

# The settings of the tasks are in configs/tasks.
run_in_environment python "$root/bert/evaluate_checkpoints.py" \
  "${models[@]/#/--model=}" \
  --data_dir="$data_dir" \
  --output_dir="$output_dir" \
  --tasks="$tasks" \
  --num_seeds=3 \
  --random_floor=True \
  --gpus=all \
  "$@"
