#!/usr/bin/env bash
# Pre-trains on several machines at once. All of them need this checkout, its .venv, the records and
# the output folder under the same paths. The same command goes on where a stopped run left off.
#
# With Slurm, a file for sbatch:
#
#   #!/bin/bash
#   #SBATCH --nodes=4 --ntasks-per-node=1 --gpus-per-node=8 --exclusive
#   #SBATCH --time=7-00:00:00 --signal=B:TERM@600
#   #SBATCH --output=pretrain-%j.log
#   export RECORDS=/shared/records OUTPUT_DIR=/shared/out/bert
#   exec bash scripts/pretrain_multinode.sh --gpus=all --train_batch_size=4096
#
# Without, from a machine that reaches the others by ssh, and with keys rather than passwords:
#
#   HOSTS="gpu1 gpu2 gpu3" RECORDS=/shared/records OUTPUT_DIR=/shared/out/bert \
#     bash scripts/pretrain_multinode.sh --gpus=all --train_batch_size=3072
#
# Arguments go to run_pretraining.py and win over the flags below. A machine runs one worker, with a
# log in LOGS, the folder logs in OUTPUT_DIR. The first one is the chief, which writes the
# checkpoints. Ctrl-C or SIGTERM stops all with a checkpoint; a second one does not wait for that.
#
# When a worker ends by a signal, or with exit code 4 since another one is gone, or its machine no
# longer answers, all are ended and started again, up to MAX_RESTARTS times. Any other exit code
# ends the whole, and is its exit code. Under `srun bash scripts/pretrain_multinode.sh`, a task on
# each node, nothing is started again: that is left to the job.
#
# DRY_RUN=1 prints the commands and runs nothing.
set -euo pipefail

# shellcheck source=scripts/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

# Change these, here or in the environment.
bert_config=${BERT_CONFIG:-bert_config.json}  # sizes of the model; see configs/
records=${RECORDS:-/data/bert}                # the folder of train*.tf
output_dir=${OUTPUT_DIR:-/data/out/bert}      # the folder for checkpoints and results
port=${PORT:-12345}                           # where the workers reach each other; HOSTS may name
                                              # another one for a machine, as in gpu1:23456
max_restarts=${MAX_RESTARTS:-3}               # how often all may be started again
grace_seconds=${GRACE_SECONDS:-300}           # how long a worker that stops may take to save

# How long machines that do not answer before a restart are waited for, in seconds.
absence_seconds=900

# The number of a worker is the place of its machine here.
machines=()   # what ssh or srun calls them
addresses=()  # host:port of each
script=$root/bert/run_pretraining.py

main() {
  if [[ ${1:-} == as-worker ]]; then
    shift
    be_worker "$@"
  fi
  check_number PORT "$port" 1 65535
  check_number MAX_RESTARTS "$max_restarts" 0 1000000
  check_number GRACE_SECONDS "$grace_seconds" 0 1000000
  # train_batch_size is the batch over all GPUs of all machines, and a multiple of their number.
  # max_seq_length must be that of make_records.sh. To evaluate on text that is not
  # trained on, add --eval_input_file with records of it.
  local flags=(
    --bert_config_file="$bert_config"
    --input_file="$records/train*.tf"
    --output_dir="$output_dir"
    --do_train=True
    --do_eval=True
    --max_seq_length=128
    --train_batch_size=1024
    --num_train_steps=125000
    --gpus=all
    "$@"
  )
  [[ -z ${HOSTS:-} || -z ${SLURM_JOB_NODELIST:-} ]] ||
    fail "HOSTS is set inside a Slurm job, which has machines of its own. Unset HOSTS."
  if [[ -n ${SLURM_JOB_NODELIST:-} ]]; then
    read_slurm_nodes
    if is_slurm_task; then
      be_slurm_task
    fi
  elif [[ -n ${HOSTS:-} ]]; then
    read_hosts
  else
    fail "No machines to train on. Set HOSTS=\"gpu1 gpu2\", or run this in a Slurm job. For this" \
      "machine alone there is scripts/pretrain.sh."
  fi
  if [[ -n ${DRY_RUN:-} ]]; then
    print_commands
  else
    supervise
  fi
}

# check_number NAME VALUE LOWEST HIGHEST
check_number() {
  local digits='^[0-9]{1,7}$'
  if [[ ! $2 =~ $digits ]] || ((10#$2 < $3 || 10#$2 > $4)); then
    fail "$1=$2 is not a whole number from $3 to $4."
  fi
}

read_hosts() {
  local entries entry host
  local form='^([A-Za-z0-9_][A-Za-z0-9_.-]*@)?[A-Za-z0-9_][A-Za-z0-9_.-]*(:[0-9]+)?$'
  read -r -d '' -a entries <<<"$HOSTS" || true
  ((${#entries[@]})) || fail "HOSTS names no machine. Expected something like HOSTS=\"gpu1 gpu2\"."
  for entry in "${entries[@]}"; do
    [[ $entry =~ $form ]] ||
      fail "HOSTS has \"$entry\". Expected names with blanks between them, each as in gpu1," \
        "gpu1:23456 or user@gpu1."
    host=${entry%%:*}
    machines+=("$host")
    if [[ $entry == *:* ]]; then
      check_number "The port of $host in HOSTS" "${entry##*:}" 1 65535
      addresses+=("${host#*@}:${entry##*:}")
    else
      addresses+=("${host#*@}:$port")
    fi
  done
  local twice
  twice=$(printf '%s\n' "${addresses[@]}" | sort | uniq -d | head -n 1)
  [[ -z $twice ]] || fail "HOSTS names $twice twice. A machine has one worker, for all its GPUs."
}

read_slurm_nodes() {
  local names name
  names=$(scontrol show hostnames "${SLURM_STEP_NODELIST:-$SLURM_JOB_NODELIST}") ||
    fail "scontrol cannot say which machines this Slurm job has."
  [[ -n $names ]] || fail "scontrol names no machine for this Slurm job."
  while read -r name; do
    machines+=("$name")
    addresses+=("$name:$port")
  done <<<"$names"
}

# Whether srun started this; a batch file and salloc's shell have SLURM_PROCID as well.
is_slurm_task() {
  local interactive_step=4294967290
  [[ -n ${SLURM_STEP_NODELIST:-} && -n ${SLURM_PROCID:-} ]] &&
    ((${SLURM_STEP_ID:-0} < interactive_step))
}

be_slurm_task() {
  [[ ${SLURM_STEP_NUM_TASKS:-${#machines[@]}} == "${#machines[@]}" ]] ||
    fail "srun started $SLURM_STEP_NUM_TASKS tasks on ${#machines[@]} nodes. A node has one" \
      "worker, for all its GPUs: give --ntasks-per-node=1."
  TF_CONFIG=$(tf_config "$SLURM_PROCID")
  export TF_CONFIG
  if [[ -n ${DRY_RUN:-} ]]; then
    print_command env "TF_CONFIG=$TF_CONFIG" python "$script" "${flags[@]}"
    exit
  fi
  # In place of the shell, so that the signals of the job come to the worker, and once.
  run_in_environment exec python "$script" "${flags[@]}"
}

# Prints TF_CONFIG for the worker of this number.
tf_config() {
  local list
  printf -v list '"%s", ' "${addresses[@]}"
  printf '{"cluster": {"worker": [%s]}, "task": {"type": "worker", "index": %d}}' \
    "${list%, }" "$1"
}

# Prints the line that the shell of a machine is given to be the worker of this number.
worker_line() {
  local words=(env "TF_CONFIG=$(tf_config "$1")" "GRACE_SECONDS=$grace_seconds") name
  while read -r name; do
    # ssh does not pass on what tunes the network and the compiler.
    words+=("$name=${!name}")
  done < <(compgen -e | grep -E '^(NCCL|XLA|TF_(CPP|GPU|XLA))_' || true)
  words+=(bash "$root/scripts/pretrain_multinode.sh" as-worker "${flags[@]}")
  printf 'cd %q && exec' "$PWD"
  printf ' %q' "${words[@]}"
}

# Sets `command` to what starts the worker of this number from here.
choose_command() {
  command=("${remote_shell[@]}")
  if [[ -n ${HOSTS:-} ]]; then
    command+=("${machines[$1]}" "$(worker_line "$1")")
  else
    command+=(--nodelist="${machines[$1]}" bash -c "$(worker_line "$1")")
  fi
}

choose_remote_shell() {
  if [[ -n ${HOSTS:-} ]]; then
    # A machine that does not answer for a minute is gone. A question would never be answered.
    remote_shell=(ssh -T -o BatchMode=yes -o ConnectTimeout=15 -o ServerAliveInterval=15
      -o ServerAliveCountMax=4)
  else
    # The worker has all that the job has on the node.
    remote_shell=(srun --nodes=1 --ntasks=1 --cpu-bind=none)
  fi
}

print_command() {
  local line
  printf -v line ' %q' "$@"
  printf '%s\n' "${line# }"
}

print_commands() {
  local remote_shell command number
  choose_remote_shell
  for number in "${!machines[@]}"; do
    choose_command "$number"
    print_command "${command[@]}"
  done
}

# be_worker FLAGS: what runs on each machine. Ends the worker when its standard input ends, which it
# does when this is to stop, and also when the connection or the script at its other end is gone.
be_worker() {
  local status=0 worker watcher end
  # Whoever signals all processes of a session or job has signalled the worker too, and a second
  # signal would stop it without a checkpoint.
  trap : TERM INT HUP
  exec 3<&0
  run_in_environment exec python "$script" "$@" </dev/null 3<&- &
  worker=$!
  (
    while read -r _ <&3; do :; done
    exec 3<&-
    kill -TERM "$worker"
    end=$((SECONDS + grace_seconds))
    while ((SECONDS < end)); do
      kill -0 "$worker" || exit
      sleep 1
    done
    kill -KILL "$worker"
  ) >/dev/null 2>&1 &
  watcher=$!
  exec 3<&-
  # A signal ends `wait` as well.
  while true; do
    status=0
    wait "$worker" || status=$?
    kill -0 "$worker" 2>/dev/null || break
  done
  kill "$watcher" 2>/dev/null || true
  exit "$status"
}

# Starts the workers, and again when they were lost; leaves with the exit code of the whole.
supervise() {
  local remote_shell logs patience=0 restarts=0 stop_code=0 outcome
  choose_remote_shell
  choose_logs
  make_results_pipe
  trap 'request_stop 129' HUP
  trap 'request_stop 130' INT
  trap 'request_stop 143' TERM
  while true; do
    reach_machines "$patience"
    leave_if_stopped
    ((!restarts)) || say "Starting all workers again: restart $restarts of at most $max_restarts."
    run_workers
    leave_if_stopped
    [[ $outcome == lost ]] || exit "$outcome"
    if ((restarts == max_restarts)); then
      printf 'ERROR: Workers were lost, and MAX_RESTARTS=%d. See %s; the same command goes on.\n' \
        "$max_restarts" "$logs" >&2
      exit 4
    fi
    restarts=$((restarts + 1))
    patience=$absence_seconds
  done
}

leave_if_stopped() {
  ((!stop_code)) || exit "$stop_code"
}

say() {
  printf '%(%F %T)T %s\n' -1 "$*"
}

choose_logs() {
  local word
  for word in "${flags[@]}"; do
    [[ $word != --output_dir=* ]] || output_dir=${word#*=}
  done
  logs=${LOGS:-$output_dir/logs}
  mkdir -p "$logs" || fail "The folder for logs, $logs, cannot be made. Name another with LOGS."
}

# Opens 7, from which the script reads which workers have ended.
make_results_pipe() {
  local folder
  folder=$(mktemp -d)
  mkfifo "$folder/pipe"
  exec 7<>"$folder/pipe"
  rm -r "$folder"
}

# Opens 8, the standard input of all workers, and 9, whose closing ends it.
make_control_pipe() {
  local folder
  folder=$(mktemp -d)
  mkfifo "$folder/pipe"
  exec 9<>"$folder/pipe"
  exec 8<"$folder/pipe"
  rm -r "$folder"
}

request_stop() {
  stop_code=$1
  # The second signal has its usual effect.
  trap - HUP INT TERM
  say "Stopping all workers, with a checkpoint. Once more does not wait for them."
  exec 9>&-
}

# Waits up to so many seconds until every machine answers.
reach_machines() {
  local end=$((SECONDS + $1)) machine said
  [[ -n ${HOSTS:-} ]] || return 0
  for machine in "${machines[@]}"; do
    until said=$("${remote_shell[@]}" "$machine" true </dev/null 2>&1); do
      ((!stop_code)) || return 0
      ((SECONDS < end)) ||
        fail "$machine cannot be reached: \`ssh $machine true\` says: ${said:-nothing}." \
          "It must work without a password or a question."
      say "Waiting for $machine to answer."
      sleep 10
    done
  done
}

# Runs all workers until all have ended. Sets `outcome` to an exit code, or to "lost".
run_workers() {
  local number status running=${#machines[@]} ending="" lost="" stopped="" failed="" log
  outcome=0
  make_control_pipe
  for number in "${!machines[@]}"; do
    start_worker "$number"
  done
  exec 8<&-
  # The signal may have come before there was a pipe to close.
  ((!stop_code)) || exec 9>&-
  while ((running)); do
    # The pause lets signals in.
    read -r -t 1 -u 7 number status || continue
    running=$((running - 1))
    choose_log "$number"
    ((status == 0)) ||
      say "Worker $number on ${machines[$number]} has ended with exit code $status; see $log."
    case $status in
      0) ;;
      # Asked to stop. All workers stop at the same step, and a signal on top of that would cost
      # the checkpoint.
      130 | 143) [[ -n $ending ]] || stopped=${stopped:-$status} ;;
      4 | 129 | 1[3-9]? | 2??) lost=yes ending=yes ;;
      *)
        [[ -n $failed ]] || show_end_of_log
        failed=${failed:-$status} ending=yes
        ;;
    esac
    # Without one of them the others can only wait.
    [[ -z $ending ]] || exec 9>&-
  done
  exec 9>&-
  if [[ -n $failed ]]; then
    outcome=$failed
  elif [[ -n $lost ]]; then
    outcome=lost
  elif [[ -n $stopped ]]; then
    outcome=$stopped
  fi
}

choose_log() {
  log=$logs/worker$1-${machines[$1]}.log
}

show_end_of_log() {
  tail -n 20 "$log" >&2
}

start_worker() {
  local command log
  choose_command "$1"
  choose_log "$1"
  say "Worker $1 on ${machines[$1]}: the log is $log."
  # In a process group of its own, which Ctrl-C does not reach: the connection has to last until the
  # worker has ended.
  set -m
  (
    exec 9>&-
    status=0
    "${command[@]}" <&8 >>"$log" 2>&1 7>&- 8<&- || status=$?
    printf '%d %d\n' "$1" "$status" >&7
  ) &
  set +m
}

main "$@"
