#!/usr/bin/env bash
# The speed of pre-training on a GPU, as a table and as JSON, unattended and in less than 8 minutes.
#
#   bash tests/benchmarks/gpu.sh                        # writes gpu_pretraining.json
#   PYTHON=/opt/tf/bin/python bash tests/benchmarks/gpu.sh --output_file=h200.json
#   bash tests/benchmarks/gpu.sh --smoke                # tiny sizes, on a CPU
#
# For a machine that has TensorFlow with GPUs: nothing is installed, and the checkout need not be.
# Arguments go to gpu_pretraining.py.
set -euo pipefail

root=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
python=${PYTHON:-python}
if [[ -z ${PYTHON:-} ]] && ! command -v python >/dev/null; then
  python=python3
fi

"$python" - <<'CHECK'
import importlib.util
import sys

if sys.version_info < (3, 10):
    sys.exit(f"ERROR: {sys.executable} is Python {sys.version.split()[0]}; expected 3.10 or later. "
             "Name another by PYTHON=...")
needed = {"tensorflow": "tensorflow[and-cuda]", "numpy": "numpy", "absl": "absl-py",
          "google_crc32c": "google-crc32c", "tqdm": "tqdm"}
missing = [package for module, package in needed.items() if not importlib.util.find_spec(module)]
if missing:
    sys.exit(f"ERROR: {sys.executable} lacks {', '.join(missing)}. Install: "
             f"{sys.executable} -m pip install {' '.join(missing)}")
CHECK

# The package is the checkout under another name; see setup.py.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
ln -s "$root" "$folder/deeq_bert"
export PYTHONPATH=$folder${PYTHONPATH:+:$PYTHONPATH}
# On a GPU newer than TensorFlow its kernels are compiled at the first start. With the usual size of
# the cache that would happen again at every one.
export CUDA_CACHE_MAXSIZE=${CUDA_CACHE_MAXSIZE:-4294967296}
"$python" "$root/tests/benchmarks/gpu_pretraining.py" "$@"
