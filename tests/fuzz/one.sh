#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: one.sh DIR SECONDS TARGET
# Runs a fuzz target that long on its corpus and on what it found before.
set -eu
dir=$1 seconds=$2 target=$3
mkdir -p "$dir/found/$target"
# Requests are short.
[ "$target" = fuzz_http ] && most=-max_len=2048 || most=
if "$dir/$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=1500 $most \
	-print_final_stats=1 -verbosity=0 -close_fd_mask=0 -artifact_prefix="$dir/$target-" \
	"$dir/found/$target" "$dir/corpus/$target" 2>"$dir/$target.log"; then
	inputs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$dir/$target.log")
	printf '%s: ok, %s inputs in %s s\n1 passed, 0 failed\n' "$target" "$inputs" "$seconds"
else
	cat "$dir/$target.log"
	printf '%s: FAILED\n0 passed, 1 failed\n' "$target"
	exit 1
fi
