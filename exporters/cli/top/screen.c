// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/cli/top/screen.h"

#include <curses.h>
#include <errno.h>
#include <langinfo.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "exporters/cli/top/state.h"

static volatile sig_atomic_t ended;
static bool open_now;
static bool colours;

/* What a signal handler needs to restore the terminal: prepared here, because ncurses is not safe
 * there. */
static struct termios before;
static char goodbye[256];

static void restore(void)
{
	ssize_t n = write(STDOUT_FILENO, goodbye, strlen(goodbye));

	(void)n;
	tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

static void on_end(int signal)
{
	(void)signal;
	ended = 1;
}

static void on_crash(int signal)
{
	restore();
	/* SA_RESETHAND: then do what it would have done without us. */
	raise(signal);
}

static void add_capability(const char *name)
{
	const char *text = tigetstr(name);

	if (text && text != (const char *)-1 && strlen(goodbye) + strlen(text) < sizeof(goodbye))
		strcat(goodbye, text);
}

static void install_signals(void)
{
	static const int ends[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
	static const int crashes[] = {SIGSEGV, SIGABRT, SIGFPE, SIGILL};
	struct sigaction end = {.sa_handler = on_end};
	struct sigaction crash = {.sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND};

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		sigaction(ends[i], &end, NULL);
	for (size_t i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++)
		sigaction(crashes[i], &crash, NULL);
}

static void init_colours(void)
{
	const char *no_color = getenv("NO_COLOR");

	colours = has_colors() && !(no_color && *no_color);
	if (!colours)
		return;
	start_color();
	/* The terminal's own background, so that it is right on light and on dark. */
	use_default_colors();
	init_pair(STYLE_OK, COLOR_GREEN, -1);
	init_pair(STYLE_HIGH, COLOR_YELLOW, -1);
	init_pair(STYLE_CRITICAL, COLOR_RED, -1);
	init_pair(STYLE_FULL, COLOR_WHITE, COLOR_RED);
	init_pair(STYLE_UNKNOWN, COLOR_MAGENTA, -1);
}

int screen_open(void)
{
	if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO))
		return -ENOTTY;
	tcgetattr(STDIN_FILENO, &before);
	/* newterm() returns where initscr() would end the process. */
	if (!newterm(NULL, stdout, stdin))
		return -EINVAL;
	open_now = true;
	atexit(screen_close);
	add_capability("sgr0");
	add_capability("cnorm");
	add_capability("rmcup");
	add_capability("rmkx");
	install_signals();
	set_escdelay(25);
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	curs_set(0);
	init_colours();
	return 0;
}

void screen_close(void)
{
	if (!open_now)
		return;
	open_now = false;
	endwin();
}

void screen_size(int *ret_width, int *ret_height)
{
	getmaxyx(stdscr, *ret_height, *ret_width);
}

bool screen_is_unicode(void)
{
	return !strcmp(nl_langinfo(CODESET), "UTF-8");
}

static attr_t attributes(uint8_t style)
{
	static const attr_t plain[STYLE_COUNT] = {
		[STYLE_STRONG] = A_BOLD,     [STYLE_DIM] = A_DIM,
		[STYLE_HEADING] = A_REVERSE, [STYLE_SELECTED] = A_REVERSE,
		[STYLE_OK] = A_BOLD,	     [STYLE_HIGH] = A_BOLD,
		[STYLE_CRITICAL] = A_BOLD,   [STYLE_FULL] = A_BOLD | A_REVERSE,
		[STYLE_UNKNOWN] = A_BOLD,
	};

	/* Red and white is reverse already. */
	if (colours && style == STYLE_FULL)
		return A_BOLD;
	return style < STYLE_COUNT ? plain[style] : A_NORMAL;
}

void screen_show(const struct canvas *canvas)
{
	erase();
	for (int y = 0; y < canvas->height; y++) {
		for (int x = 0; x < canvas->width; x++) {
			const struct canvas_cell *cell = &canvas->cells[y * canvas->width + x];
			wchar_t text[2] = {cell->c, L'\0'};
			short pair = colours && cell->style >= STYLE_OK ? (short)cell->style : 0;
			cchar_t c;

			setcchar(&c, text, attributes(cell->style), pair, NULL);
			mvadd_wch(y, x, &c);
		}
	}
	refresh();
}

static int translate(wint_t key)
{
	switch (key) {
	case KEY_UP:
		return TOP_KEY_UP;
	case KEY_DOWN:
		return TOP_KEY_DOWN;
	case KEY_PPAGE:
		return TOP_KEY_PAGE_UP;
	case KEY_NPAGE:
		return TOP_KEY_PAGE_DOWN;
	case KEY_HOME:
		return TOP_KEY_HOME;
	case KEY_END:
		return TOP_KEY_END;
	case KEY_F(1):
		return TOP_KEY_F1;
	case KEY_F(6):
		return TOP_KEY_F6;
	case KEY_F(10):
		return TOP_KEY_F10;
	case KEY_BACKSPACE:
		return TOP_KEY_BACKSPACE;
	case KEY_ENTER:
		return TOP_KEY_ENTER;
	default:
		return -1;
	}
}

int screen_key(int wait_ms)
{
	wint_t key;
	int kind;

	timeout(wait_ms);
	kind = get_wch(&key);
	if (kind == ERR)
		return -1;
	return kind == KEY_CODE_YES ? translate(key) : (int)key;
}

bool screen_ended(void)
{
	return ended;
}
