#!/usr/bin/env bash
# The default model on one GPU of the H100 class that is lent for a quarter of an hour and bare: the whole base trained on in 4 bits.
# What travels there is at most 64 MiB a call, what comes back at most 64 MiB a call in files of 16 MiB.
#
#   training/recipe-gpu.sh pack BASE.gguf CORPUS FOLDER [WEIGHTS]  here: FOLDER/0 and FOLDER/1, what two calls bring; needs pip for gguf.
#                                                         WEIGHTS: begin from them, not from the bare base (unbundle.py)
#   training/recipe-gpu.sh bring FOLDER/N WORK            there: keeps what was brought in WORK; the second time all is there
#   training/recipe-gpu.sh train WORK MINUTES             there: starts training in a session of its own, which outlives the call
#   training/recipe-gpu.sh collect WORK OUT SECONDS       there: waits for the end of training, at most SECONDS; the newest weights into OUT
#   training/recipe-gpu.sh join OUT FILE                  here: OUT's pieces → weights.safetensors, what bundle.py takes
#
# So a machine that is taken away early leaves what was collected before. The learning rate follows the clock and ends at nothing
# after MINUTES. Each call must begin within 30 s of the last, or the machine is gone. EXTRA: more options of train.py; SPEED: what
# makes it fast on a GPU (default: --compile --record). There: Python 3.11 or newer with a CUDA build of torch, numpy, safetensors
# and tokenizers. Takes some 30 GB of the GPU.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
fail() { echo "recipe-gpu.sh: $1" >&2; exit 2; }
part=62200000 # bytes a call brings
case "${1:-}" in
pack)
  [ $# -ge 4 ] && [ $# -le 5 ] || fail "pack wants BASE.gguf CORPUS FOLDER [WEIGHTS]"
  mkdir -p "$4/all" "$4/0" "$4/1"
  echo "Packing the base, the corpus${5:+ and $5}: some minutes."
  pip install --quiet --no-deps --target "$4/0/site" "$(grep gguf "$here/requirements.txt")"
  cp "$2" "$4/all/base.gguf"
  if [ -n "${5:-}" ]; then
    cp "$5" "$4/all/weights.safetensors"
    # Its matrices will be replaced: as zeros they cost nothing to bring.
    PYTHONPATH="$4/0/site" python3 -c 'import gguf, sys
base = gguf.GGUFReader(sys.argv[1], "r+")
for t in base.tensors:
    if t.name.startswith("blk."):
        t.data[:] = 0
base.data.flush()' "$4/all/base.gguf"
    xz -T0 -f "$4/all/base.gguf" "$4/all/weights.safetensors"
  fi
  head -n 400 "$3/valid.jsonl" | xz -T0 >"$4/all/valid.jsonl.xz"
  xz -T0 -9 -c "$3/train.jsonl" >"$4/all/train.jsonl.xz"
  tar -C "$4/all" -c . | split -b "$part" -d -a 1 - "$4/part."
  [ ! -f "$4/part.2" ] || fail "$(du -cb "$4"/part.* | tail -n 1 | cut -f 1) bytes are more than two calls bring; take a smaller corpus"
  mv "$4/part.0" "$4/0" && mv "$4/part.1" "$4/1" && rm -r "$4/all"
  du -sb "$4/0" "$4/1"
  ;;
bring)
  [ $# -eq 3 ] || fail "bring wants FOLDER/N WORK"
  mkdir -p "$3/corpus"
  cp -r "$2/." "$3"
  [ -f "$3/part.0" ] && [ -f "$3/part.1" ] || exit 0
  cat "$3/part.0" "$3/part.1" | tar -C "$3/corpus" -x
  python3 - "$3/corpus" <<'UNPACK'
import concurrent.futures, lzma, pathlib, shutil, sys
def unpack(path):
    with lzma.open(path) as packed, open(path.with_suffix(""), "wb") as plain:
        shutil.copyfileobj(packed, plain, 1 << 22)
with concurrent.futures.ProcessPoolExecutor() as pool:
    list(pool.map(unpack, pathlib.Path(sys.argv[1]).glob("*.xz")))
UNPACK
  mv "$3/corpus/base.gguf" "$3"
  [ ! -f "$3/corpus/weights.safetensors" ] || mv "$3/corpus/weights.safetensors" "$3"
  ;;
train)
  [ $# -eq 3 ] || fail "train wants WORK MINUTES"
  [ -f "$2/base.gguf" ] || fail "$2/base.gguf is not there; bring both parts first"
  export PYTHONPATH="$2/site" PYTHONUNBUFFERED=1
  extra=${EXTRA:-}
  [ "${DEVICE:-cuda}" = cpu ] || extra="${SPEED---compile --record} $extra"
  [ ! -f "$2/weights.safetensors" ] || extra="--init $2/weights.safetensors $extra"
  # shellcheck disable=SC2086 # extra is several words
  rm -f "$2/train.done"
  WORK=$2 setsid nohup bash -c '"$@"; touch "$WORK/train.done"' - python3 "$here/train.py" "$2/base.gguf" "$2/corpus" "$2/run" --device "${DEVICE:-cuda}" --rank 0 --minutes "$3" \
    --batch "${BATCH:-16}" --workers "${WORKERS:-10}" --lr "${RATE:-5e-4}" --warm-up 100 --decay 0.8 --chunk "${CHUNK:-640}" --own 64 --no-checkpoint \
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
*) sed -n '2,$s/^# \{0,1\}//p' "$0" | sed -n 1,17p >&2; exit 2 ;;
esac
