// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The terminal: the only user of ncurses. A canvas goes out, keys come in.
 *
 * screen_open() takes over the terminal; screen_close() restores it, and so do exit and a signal
 * that ends the process, be it SIGTERM or a crash.
 *
 * Colours only where the terminal has them and NO_COLOR is not set (no-color.org); otherwise
 * bold, dim and reverse stand for them. Threads: one. One screen per process.
 */
#ifndef CONNTIDE_CLI_TOP_SCREEN_H
#define CONNTIDE_CLI_TOP_SCREEN_H

#include <stdbool.h>

#include "exporters/cli/top/canvas.h"

/* 0; -ENOTTY when standard output is no terminal; -EINVAL when its kind is not known (TERM). */
int screen_open(void);
void screen_close(void);

/* Its size now. */
void screen_size(int *ret_width, int *ret_height);

/* Can it show sparklines? */
bool screen_is_unicode(void);

void screen_show(const struct canvas *canvas);

/* Waits for a key up to `wait_ms`: a character, an enum top_key, or -1: none came, the
 * terminal has another size, or a signal came. */
int screen_key(int wait_ms);

/* A signal has asked the process to end. */
bool screen_ended(void);

#endif
