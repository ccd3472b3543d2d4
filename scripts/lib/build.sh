# SPDX-License-Identifier: GPL-3.0-or-later
# Sourced by the scripts: how they build, and how they say so. The caller is in the repository root.

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
  bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' plain=$'\e[0m'
else
  bold='' dim='' red='' plain=''
fi

stage() { printf '%s==> %s%s\n' "$bold" "$*" "$plain"; }

# With ccache, clones share what they compile, whose reports then name files by their place in either.
export CCACHE_NOHASHDIR=1

# configure DIR MESON_OPTION…: sets a build directory up unless it is one already.
configure() {
  local dir=$1
  shift
  if [[ -f $dir/build.ninja ]]; then return; fi
  if ! meson setup "$dir" --wrap-mode=nodownload "$@" >"$dir.log" 2>&1; then
    cat "$dir.log" >&2
    rm -f "$dir.log"
    return 1
  fi
  rm -f "$dir.log"
}

# use_clang: what configure compiles with from here on, and what names the places of its reports. Clang 14,
# which is Debian's, fails at some coroutines and ranges, and its ThreadSanitizer does not start on kernels
# that place programs with 32 random bits.
use_clang() {
  local launcher symbolizer
  launcher=$(command -v ccache || true)
  symbolizer=$(command -v llvm-symbolizer-19 || command -v llvm-symbolizer || true)
  export CC="${launcher:+$launcher }clang-19" CXX="${launcher:+$launcher }clang++-19"
  export ASAN_SYMBOLIZER_PATH=$symbolizer TSAN_SYMBOLIZER_PATH=$symbolizer
}

# build DIR TARGET…: compiles, shows the compiler's output only when something is wrong.
build() {
  local dir=$1 log
  shift
  log=$(mktemp)
  if [[ -t 1 ]]; then
    ninja -C "$dir" "$@" || { rm -f "$log"; return 1; }
  elif ! ninja -C "$dir" "$@" >"$log" 2>&1; then
    grep -vE '^\[[0-9]+/[0-9]+\] ' "$log" >&2 || true
    rm -f "$log"
    return 1
  fi
  rm -f "$log"
}

# run_tests DIR PATTERN…: runs the tests whose names match, and what they need is built first.
# Prints the summary as the last line; fails when a test does or when there is none. test_options is
# what Meson is told besides, and test_log what its logs in DIR/meson-logs are called.
test_options=()
test_log=testlog
run_tests() {
  local dir=$1 pattern name names=() verdict=0
  shift
  while read -r name; do
    for pattern in "$@"; do
      # shellcheck disable=SC2053  # the right side is a pattern
      if [[ $name == $pattern ]]; then names+=("$name"); break; fi
    done
  done < <(meson test -C "$dir" --list 2>/dev/null | sed 's/^.* \/ //' | grep -E '^[a-z0-9_]+$')
  stage "${#names[@]} test programs"
  if ((${#names[@]} == 0)); then
    echo "0 passed, 1 failed"
    return 1
  fi
  rm -f "$dir/meson-logs/$test_log.json"
  # Real processes wait for each other half of the time: one more at a time than there are processors.
  meson test -C "$dir" --num-processes $(($(nproc) + 1)) --print-errorlogs --logbase "$test_log" \
    "${test_options[@]}" "${names[@]}" || verdict=$?
  /usr/bin/env python3 -B scripts/lib/summary.py "$dir/meson-logs/$test_log.json" || verdict=1
  return "$verdict"
}
