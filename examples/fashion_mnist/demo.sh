#!/usr/bin/env bash
# Optimize the model in this folder with the command `dwindle`: look at it, simplify it, quantize
# it to int8, and compare the result with the original. `make demo` runs this.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=examples/fashion_mnist
out=build/demo
mkdir -p "$out"
export PATH="$PWD/.venv/bin:$PATH"

step() {
  printf '\n$ %s\n' "$*"
  "$@"
}

step dwindle inspect $here/model.onnx
step dwindle simplify $here/model.onnx $out/simple.onnx
step dwindle quantize $out/simple.onnx $out/int8.onnx --calib $here/calib.npz

printf '\nSize, top-1 accuracy on 500 test images, latency: before and after\n'
step dwindle compare $here/model.onnx $out/simple.onnx $out/int8.onnx \
  --data $here/eval.npz --labels label
if python -c 'import onnxruntime' 2>/dev/null; then
  printf '\nThe same models in ONNX Runtime, one thread, one image at a time\n'
  step python $here/latency.py $here/eval.npz \
    $here/model.onnx $out/simple.onnx $out/int8.onnx
fi
