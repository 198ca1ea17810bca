#!/bin/sh
# Time cladec on the accelerator of this machine with TensorFlow and with JAX: ten minutes.
#
#   benchmarks/gpu.sh                                  all of it, into benchmarks/gpu.csv
#   benchmarks/gpu.sh --parts explainers               options of benchmarks/gpu.py
#   PYTHON=python3.12 BACKENDS=jax benchmarks/gpu.sh
#
# An environment with CUDA is made in build/gpu once, where there is a GPU of NVIDIA. For another
# accelerator, install its TensorFlow or JAX and cladec yourself, and say INSTALLED=1: then PYTHON
# is used as it is.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}

if [ -z "${INSTALLED:-}" ]; then
  environment=build/gpu/venv
  if [ ! -e "$environment/ready" ]; then
    "$python" -m venv "$environment"
    "$environment/bin/python" -m pip install --quiet -r requirements.txt
    if command -v nvidia-smi > /dev/null; then
      tensorflow=$(sed -n 's/^tensorflow==\([^ ]*\).*/\1/p' requirements.txt)
      "$environment/bin/python" -m pip install --quiet \
        "tensorflow[and-cuda]==$tensorflow" "jax[cuda12]>=0.6"
    else
      echo "No GPU of NVIDIA was found: the times will be those of the processor." >&2
      "$environment/bin/python" -m pip install --quiet "jax>=0.6"
    fi
    "$environment/bin/python" -m pip install --quiet --no-deps --editable .
    touch "$environment/ready"
  fi
  python=$environment/bin/python
fi

# One process would take all of the GPU's memory, and the other that it starts would find none.
export TF_FORCE_GPU_ALLOW_GROWTH=true XLA_PYTHON_CLIENT_PREALLOCATE=false
for backend in ${BACKENDS:-tensorflow jax}; do
  KERAS_BACKEND=$backend "$python" benchmarks/gpu.py "$@"
done
