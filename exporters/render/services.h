// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Names of well-known ports and of protocols, from the system's databases. Read once at
 * start, before privileges are dropped; after that a look-up touches no file.
 * An empty or missing one is no error: names are then unknown.
 */
#ifndef CONNTIDE_RENDER_SERVICES_H
#define CONNTIDE_RENDER_SERVICES_H

#include <stdint.h>

struct services;

/* NULL only when memory runs out; every function accepts NULL. */
struct services *services_load(void);
void services_free(struct services *services);

/* "https" for tcp 443, "esp" for other 50; "" when it has no name. */
const char *services_name(const struct services *services, unsigned int l4proto, uint16_t port);

#endif
