#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# conntide check in node-problem-detector's words: 0 fine, 1 a problem, 2 unknown; one line of at
# most 80 bytes. CONNTIDE and CONNTIDE_ARGS say how to call it.
said=$("${CONNTIDE:-conntide}" check ${CONNTIDE_ARGS:-} 2>/dev/null)
case $? in
0) status=0 ;;
1 | 2) status=1 ;;
*) status=2 ;;
esac
said=${said%% | *}
printf '%.80s\n' "${said:-UNKNOWN - conntide does not run here}"
exit $status
