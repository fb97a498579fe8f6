#!/usr/bin/env bash
# Real files to measure quality on: test/bench/fetchFiles.sh FOLDER
#
# Fetches pinned packages from PyPI and npm (network) and lays their Python, TypeScript and JavaScript files into
# FOLDER/fit (to fit thresholds and weights on) and FOLDER/test (to report figures of): no package is in both. Nothing of
# it is committed. All are MIT, BSD, ISC or Apache-2.0. Whether the base model has seen them is not known.
set -euo pipefail
[ $# -eq 1 ] || { sed -n 's/^# Real/usage: Real/p' "$0" >&2; exit 2; }
mkdir -p "$1"/fit "$1"/test
target=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fit_pypi="httpx==0.28.1 rich==14.0.0 tornado==6.5 pluggy==1.6.0 starlette==0.46.2 tqdm==4.67.1"
test_pypi="attrs==25.3.0 werkzeug==3.1.3 poetry-core==2.1.3 aiohttp==3.12.0 pendulum==3.1.0 marshmallow==4.0.0"
fit_npm="@noble/curves@1.9.1 rxjs@7.8.2 @trpc/server@11.1.2 express@5.1.0 mocha@11.5.0 undici@7.10.0"
test_npm="@noble/hashes@1.8.0 effect@3.16.0 ts-pattern@5.7.1 @scure/base@1.2.6 koa@3.0.0 fastify@5.3.3 ws@8.18.2 eslint@9.27.0 commander@14.0.0"

unpack() { # ARCHIVE FOLDER
  mkdir -p "$2" && tar -xzf "$1" -C "$2" --strip-components=1
}
for split in fit test; do
  pypi=${split}_pypi npm=${split}_npm
  for package in ${!pypi}; do
    (cd "$work" && rm -rf one && pip download --quiet --no-deps --only-binary :all: -d one "$package" 2>/dev/null)
    python3 -m zipfile -e "$work"/one/*.whl "$work/$split/${package%%==*}"
  done
  for package in ${!npm}; do
    archive=$(cd "$work" && npm pack --silent "$package" 2>/dev/null | tail -n 1)
    name=${package%@*}
    unpack "$work/$archive" "$work/$split/${name//\//_}"
  done
  # Sources alone: no tests, no types without code, nothing generated or minified, no twin of a file in another module format.
  (cd "$work/$split" && find . -type f \( -name '*.py' -o -name '*.ts' -o -name '*.js' -o -name '*.mjs' \) -size +2k -size -120k \
    -not -name '*.d.ts' -not -name '*.min.js' -not -path '*/test*/*' -not -path '*/dist*/*' -not -path '*/esm/*' \
    -not -path '*/cjs/*' -not -path '*/vendor/*' -not -path '*/docs/*' -not -path '*/examples/*' -not -path './@*/*.js' \
    -not -path './effect/*.js' -not -path './rxjs/*.js' -print0 | sort -z) |
    while IFS= read -r -d '' file; do
      mkdir -p "$target/$split/$(dirname "$file")"
      cp "$work/$split/$file" "$target/$split/$file"
    done
done
for split in fit test; do
  for ending in py ts js; do
    echo "$split $ending: $(find "$target/$split" -name "*.$ending" | wc -l) files"
  done
done
