#!/usr/bin/env bash
# The default model on one GPU of the H100 class that is lent for a quarter of an hour and bare: the whole base trained on in 4 bits.
# What travels there is at most 64 MiB a call, what comes back at most 64 MiB a call in files of 16 MiB.
#
#   training/recipe-gpu.sh pack BASE.gguf CORPUS FOLDER   here: FOLDER/1 and FOLDER/2, what two calls bring; needs pip for gguf
#   training/recipe-gpu.sh bring FOLDER/N WORK            there: keeps what was brought in WORK; the second time all is there
#   training/recipe-gpu.sh train WORK MINUTES             there: starts training in a session of its own, which outlives the call
#   training/recipe-gpu.sh collect WORK OUT SECONDS       there: waits for the end of training, at most SECONDS; the newest weights into OUT
#   training/recipe-gpu.sh join OUT FILE                  here: OUT's pieces → weights.safetensors, what bundle.py takes
#
# So a machine that is taken away early leaves what was collected before. The learning rate follows the clock and ends at nothing
# after MINUTES. Takes 27 GB of the GPU. The default model was made so: two calls of one and four minutes, a third of six to
# the end, each begun within 30 s of the last, or the machine is gone. EXTRA: more options of train.py. There: Python 3.11 or newer with a CUDA build of torch, numpy,
# safetensors and tokenizers.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
fail() { echo "recipe-gpu.sh: $1" >&2; exit 2; }
first=58000000 # bytes of the base in the first call
case "${1:-}" in
pack)
  [ $# -eq 4 ] || fail "pack wants BASE.gguf CORPUS FOLDER"
  mkdir -p "$4/1" "$4/2"
  echo "Packing the base, in two parts, and the corpus."
  head -c "$first" "$2" >"$4/1/base.0"
  tail -c "+$((first + 1))" "$2" >"$4/2/base.1"
  head -n 400 "$3/valid.jsonl" | xz -T0 -6 >"$4/1/valid.jsonl.xz"
  xz -T0 -9 -c "$3/train.jsonl" >"$4/2/train.jsonl.xz"
  pip install --quiet --no-deps --target "$4/1/site" "$(grep gguf "$here/requirements.txt")"
  du -sh "$4/1" "$4/2"
  ;;
bring)
  [ $# -eq 3 ] || fail "bring wants FOLDER/N WORK"
  mkdir -p "$3/corpus"
  cp -r "$2/." "$3"
  for packed in "$3"/*.jsonl.xz; do
    name=$(basename "$packed" .xz)
    python3 -c 'import lzma, shutil, sys; shutil.copyfileobj(lzma.open(sys.argv[1]), open(sys.argv[2], "wb"))' "$packed" "$3/corpus/$name"
  done
  [ ! -f "$3/base.0" ] || [ ! -f "$3/base.1" ] || cat "$3/base.0" "$3/base.1" >"$3/base.gguf"
  ;;
train)
  [ $# -eq 3 ] || fail "train wants WORK MINUTES"
  [ -f "$2/base.gguf" ] || fail "$2/base.gguf is not there; bring both parts first"
  export PYTHONPATH="$2/site" PYTHONUNBUFFERED=1
  extra=${EXTRA:-}
  [ "${DEVICE:-cuda}" = cpu ] || extra="--compile $extra"
  # shellcheck disable=SC2086 # extra is several words
  rm -f "$2/train.done"
  WORK=$2 setsid nohup bash -c '"$@"; touch "$WORK/train.done"' - python3 "$here/train.py" "$2/base.gguf" "$2/corpus" "$2/run" --device "${DEVICE:-cuda}" --rank 0 --minutes "$3" \
    --batch "${BATCH:-16}" --workers "${WORKERS:-10}" --lr 5e-4 --warm-up 100 --decay 0.8 --chunk 512 --own 64 --no-checkpoint \
    --weights python=4,typescript=3,javascript=3,rust=.8,go=.8,c=.8,lua=.8,elisp=.8,shell=.8 \
    --whole-lines 0.2 --span 0.1 --block 0.1 --two-holes 0.05 --valid-every 2 --valid-steps 96 $extra >"$2/train.log" 2>&1 &
  ;;
collect)
  [ $# -eq 4 ] || fail "collect wants WORK OUT SECONDS"
  until [ -f "$2/train.done" ] || [ "$SECONDS" -ge "$4" ]; do sleep 1; done
  mkdir -p "$3"
  grep -v Warning "$2/train.log" | tail -n 12
  cp "$2/train.log" "$3"
  if [ -f "$2/run/weights.safetensors" ]; then
    split -b 16000000 -d "$2/run/weights.safetensors" "$3/weights.part"
    cp "$2/run/log.jsonl" "$3"
  fi
  [ -f "$2/train.done" ] && echo "training is over" || echo "still training"
  ;;
join)
  [ $# -eq 3 ] || fail "join wants OUT FILE"
  cat "$2"/weights.part* >"$3"
  sha256sum "$3"
  ;;
*) sed -n '2,$s/^# \{0,1\}//p' "$0" | sed -n 1,14p >&2; exit 2 ;;
esac
