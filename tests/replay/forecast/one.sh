#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# one.sh OUT KIND.SEED: make the trace and answer it. The trace's EVAL and STAT
# lines stay, the rest (most of 20 MB) goes.
set -eu
out=$1 name=$2
mkdir -p "$out/traces"
prefix=$out/traces/$name
"$out/forecast-gen" "${name%.*}" "${name##*.}" "$prefix"
"$out/../conntide-replay" --forecast --cost "$prefix.trace.csv" > "$prefix.answers.json" 2> "$prefix.cost"
grep -E '^#meta|,STAT,|,EVAL,' "$prefix.trace.csv" > "$prefix.kept"
mv "$prefix.kept" "$prefix.trace.csv"
