/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli.h"
#include "fmt.h"
#include "progress.h"

#define INTERVAL_NS INT64_C(100000000)

const char *const progress_modes[] = {"auto", "always", "never", NULL};

static bool on_screen;

void progress_start(struct progress *p, enum progress_mode mode)
{
	*p = (struct progress){.total = PROGRESS_UNKNOWN, .started = myelon_now()};
	p->on = mode == PROGRESS_ALWAYS ||
	        (mode == PROGRESS_AUTO && !cli_common.quiet && isatty(STDERR_FILENO));
}

bool progress_due(const struct progress *p)
{
	return p->on && myelon_now() - p->drawn >= INTERVAL_NS;
}

/* Columns that may be used: a line that fills the last one would break. */
static int columns(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
		return 79;
	return size.ws_col - 1;
}

/* As wide as @room allows, none if that is too little. */
static void draw_bar(uint64_t bytes, uint64_t total, int room)
{
	enum { LEAST = 4, WIDTH = 24, AROUND = sizeof("[] 100%  ") - 1 };
	static const char marks[WIDTH + 1] = "########################";
	double part = total == 0 || bytes >= total ? 1 : (double)bytes / (double)total;
	int width = room - AROUND < WIDTH ? room - AROUND : WIDTH;

	if (width >= LEAST)
		fprintf(stderr, "[%-*.*s] %3d%%  ", width, (int)(part * width), marks,
		        (int)(part * 100));
}

void progress_draw(struct progress *p, uint64_t bytes, int64_t lag)
{
	int64_t now = myelon_now(), since = p->drawn ? p->drawn : p->started;
	double seconds = (double)(now - since) / 1e9;
	int width = columns(), len;
	struct fmt amount, rate;
	char text[128];

	if (!p->on)
		return;
	if (seconds > 0) {
		double latest = (double)(bytes - p->bytes) / seconds;

		p->rate = p->drawn ? 0.7 * p->rate + 0.3 * latest : latest;
	}
	p->drawn = now;
	p->bytes = bytes;
	fputs("\r\033[K", stderr);
	len = snprintf(text, sizeof(text), "%s  %s  lag %" PRId64 " slots",
	               fmt_bytes(&amount, bytes), fmt_rate(&rate, p->rate), lag > 0 ? lag : 0);
	if (p->total != PROGRESS_UNKNOWN)
		draw_bar(bytes, p->total, width - len);
	fprintf(stderr, "%.*s", width, text);
	fflush(stderr);
	on_screen = true;
}

void progress_clear(void)
{
	if (!on_screen)
		return;
	fputs("\r\033[K", stderr);
	on_screen = false;
}
