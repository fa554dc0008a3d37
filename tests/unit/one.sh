#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: one.sh PROGRAM
# Runs a program; shows its output in one piece, for others run beside it, and its time.
began=$(date +%s%N)
output=$("$1" 2>&1)
status=$?
took=$((($(date +%s%N) - began) / 10000000))
printf '%s\n%d.%02ds call     %s\n' "$output" $((took / 100)) $((took % 100)) "$1"
exit $status
