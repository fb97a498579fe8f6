#!/usr/bin/env bash
# The default model on one GPU of the H100 class that is there for half an hour: 25 minutes in three stages of at most 9.
#
#   training/recipe-gpu.sh pack BASE.gguf CORPUS FOLDER    here: what travels, in files of at most 30 MiB
#   training/recipe-gpu.sh stage N FOLDER OUT              there: stage 1, 2 or 3; OUT gets the results in files of at most 16 MiB
#   training/recipe-gpu.sh join OUT FOLDER                 here: the results of a stage back into FOLDER, for the next one
#
# Each stage resumes from the checkpoint in FOLDER. A stage's inputs are at most 60 MiB: the base in two parts, of which the
# machine keeps what an earlier call brought, the corpus compressed, adapter and optimizer in halves. Not yet run on a GPU:
# only its arithmetic and, with DEVICE=cpu, its three commands were tried.
#
# There: Python 3.11 or newer with a CUDA build of torch and training/requirements.txt.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
fail() { echo "recipe-gpu.sh: $1" >&2; exit 2; }
steps=${STEPS:-12000} # of the whole training
case "${1:-}" in
pack)
  [ $# -eq 4 ] || fail "pack wants BASE.gguf CORPUS FOLDER"
  mkdir -p "$4"
  echo "Packing the base (two parts of 49 MB; bring them in two calls) and the corpus."
  split -b 30m -d "$2" "$4/base.part"
  for name in train valid; do xz -T0 -6 -c "$3/$name.jsonl" >"$4/$name.jsonl.xz"; done
  split -b 30m -d "$4/train.jsonl.xz" "$4/train.part" && rm "$4/train.jsonl.xz"
  ls -l "$4"
  ;;
stage)
  [ $# -eq 4 ] || fail "stage wants N FOLDER OUT"
  echo "Stage $2 of 3: at most 9 minutes of training, on ${DEVICE:-cuda}."
  work=$3/work
  mkdir -p "$work/corpus" "$work/run" "$4"
  [ -f "$work/base.gguf" ] || cat "$3"/base.part* >"$work/base.gguf"
  [ -f "$work/corpus/train.jsonl" ] || cat "$3"/train.part* | xz -dc >"$work/corpus/train.jsonl"
  [ -f "$work/corpus/valid.jsonl" ] || xz -dc "$3/valid.jsonl.xz" >"$work/corpus/valid.jsonl"
  if compgen -G "$3/state.part*" >/dev/null; then cat "$3"/state.part* | xz -dc >"$work/run/checkpoint.pt"; fi
  resume=()
  [ -f "$work/run/checkpoint.pt" ] && resume=(--resume)
  python "$here/train.py" "$work/base.gguf" "$work/corpus" "$work/run" --device "${DEVICE:-cuda}" --rank "${RANK:-64}" --steps "$steps" \
    --stop-after "${MINUTES:-9}" --ends 32 --weights python=4,typescript=3,javascript=3 --valid-every 4 "${resume[@]}"
  xz -T0 -0 -c "$work/run/checkpoint.pt" | split -b 16m -d - "$4/state.part"
  split -b 16m -d "$work/run/adapter.safetensors" "$4/adapter.part"
  cp "$work/run/log.jsonl" "$work/run/loss.svg" "$4"
  ;;
join)
  [ $# -eq 3 ] || fail "join wants OUT FOLDER"
  cp "$2"/state.part* "$3/"
  cat "$2"/adapter.part* >"$3/adapter.safetensors"
  echo "$3/adapter.safetensors is what bundle.py takes; the next stage resumes from the state beside it."
  ;;
*) sed -n 's/^# \{0,1\}//p' "$0" | sed -n 1,12p >&2; exit 2 ;;
esac
