// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/base/build_info.h"

const char build_version[] = CONNTIDE_VERSION;
const char build_revision[] = CONNTIDE_REVISION;
