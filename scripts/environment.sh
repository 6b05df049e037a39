# The project's virtual environment, .venv in the repository root. Sourced by the other scripts.
#
# ensure_environment EXTRAS    makes or completes it, with those extras of setup.py, as in "deeq,vocab"
#                              ("base" for none); does nothing where nothing is missing, so that later runs need no
#                              network.
# run_in_environment COMMAND   prints a command line and runs it with .venv/bin first on PATH.
#
# shellcheck shell=bash

root=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
environment=$root/.venv
# Says that .venv is ours, so that one made by hand is never deleted.
owner_mark=$environment/made-by-deeq-bert
# There while pip is at work: an installation that was killed cannot be trusted.
unfinished_mark=$environment/installation-unfinished

fail() {
  printf 'ERROR: %s\n' "$*" >&2
  exit 1
}

is_supported_python() {
  "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

can_make_environments() {
  "$1" -c 'import ensurepip, venv' 2>/dev/null
}

# Prints the Python to make the environment with.
choose_python() {
  local candidates=("${PYTHON:-}") candidate without_venv=""
  if [[ -z ${PYTHON:-} ]]; then
    candidates=(python3 python3.13 python3.12 python3.11 python3.10)
  fi
  for candidate in "${candidates[@]}"; do
    is_supported_python "$candidate" || continue
    if can_make_environments "$candidate"; then
      printf '%s\n' "$candidate"
      return
    fi
    without_venv=${without_venv:-$candidate}
  done
  if [[ -n $without_venv ]]; then
    local version
    version=$("$without_venv" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    fail "$without_venv (Python $version) cannot make virtual environments. On Debian and" \
      "Ubuntu install what is missing: sudo apt install python$version-venv"
  fi
  if [[ -n ${PYTHON:-} ]]; then
    fail "PYTHON=$PYTHON does not run, or is not Python 3.10 to 3.13. Name another, as in" \
      "PYTHON=/usr/bin/python3.12 bash scripts/quickstart.sh"
  fi
  fail "No Python 3.10 to 3.13 was found on PATH. Install one (on Debian and Ubuntu:" \
    "sudo apt install python3 python3-venv), or name it, as in" \
    "PYTHON=/opt/python3.12/bin/python3 bash scripts/quickstart.sh"
}

# Prints what an installation depends on; a change of it makes pip run again. The folder counts,
# since both the environment and the editable install hold it as an absolute path.
installation_key() {
  local python_version
  python_version=$("$environment/bin/python" -c 'import sys; print(sys.version)' 2>/dev/null) ||
    return 1
  printf '%s\n' "$root" "$python_version"
  cat "$root/setup.py" "$root/pyproject.toml" "$root/bert/_instances.c"
}

is_installed() {
  local stamp=$environment/installed-$1
  [[ -f $stamp && ! -e $unfinished_mark ]] || return 1
  installation_key | cmp -s - "$stamp"
}

has_wanted_python() {
  [[ -n ${PYTHON:-} ]] || return 0
  local print_version='import sys; print(sys.version)'
  # Quoted on the right, where the brackets in a version would otherwise be a pattern.
  [[ $("$PYTHON" -c "$print_version") == "$("$environment/bin/python" -c "$print_version")" ]]
}

# True where pip may go on in the environment that is there.
is_usable() {
  [[ ! -e $unfinished_mark || ! -e $owner_mark ]] || return 1
  "$environment/bin/python" -m pip --version >/dev/null 2>&1 || return 1
  is_supported_python "$environment/bin/python" && has_wanted_python || return 1
  [[ ! -e $owner_mark || $(<"$owner_mark") == "$root" ]]
}

make_environment() {
  local python
  python=$(choose_python)
  if [[ -e $environment ]]; then
    [[ -e $owner_mark ]] ||
      fail "$environment is there, was not made by this script, and has no working Python 3.10" \
        "to 3.13 with pip${PYTHON:+ equal to $PYTHON}. Move it away and run again."
    rm -rf "$environment"
  fi
  mkdir "$environment"
  printf '%s\n' "$root" >"$owner_mark"
  touch "$unfinished_mark"
  printf '+ %s -m venv .venv\n' "$python"
  "$python" -m venv "$environment"
}

ensure_environment() {
  local extra=$1 requirement=.
  [[ $extra == base ]] || requirement=".[$extra]"
  if [[ -n ${PYTHON:-} ]] && ! is_supported_python "$PYTHON"; then
    choose_python >/dev/null
  fi
  if is_installed "$extra" && has_wanted_python; then
    return
  fi
  is_usable || make_environment
  touch "$unfinished_mark"
  (cd "$root" && run_in_environment python -m pip install --editable "$requirement") ||
    fail "The installation failed; see above. Run the same command again to go on."
  # An extra brings what the plain installation has, and "test" what the quickstart needs.
  installation_key >"$environment/installed-base"
  installation_key >"$environment/installed-$extra"
  [[ $extra != test ]] || installation_key >"$environment/installed-deeq,vocab"
  rm "$unfinished_mark"
}

run_in_environment() {
  printf '+'
  printf ' %q' "$@"
  printf '\n'
  PATH=$environment/bin:$PATH "$@"
}
