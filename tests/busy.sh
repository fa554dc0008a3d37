#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: [BUSY=n] tests/busy.sh COMMAND...
# Runs the command beside n (2) processes for each CPU that do nothing but compute.
set -eu
spinners=
trap 'kill $spinners 2>/dev/null || true' EXIT
trap 'exit 130' INT TERM
for _ in $(seq $((${BUSY:-2} * $(nproc)))); do
	sh -c 'while :; do :; done' &
	spinners="$spinners $!"
done
"$@"
