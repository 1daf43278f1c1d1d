/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* One line on a terminal that says how far a stream is. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#define PROGRESS_UNKNOWN UINT64_MAX

enum progress_mode { PROGRESS_AUTO, PROGRESS_ALWAYS, PROGRESS_NEVER };
extern const char *const progress_modes[]; /* for ARG_CHOICE */

struct progress {
	bool on;
	uint64_t total; /* bytes expected, PROGRESS_UNKNOWN */
	int64_t started;
	int64_t drawn;  /* when, 0: never */
	uint64_t bytes; /* at that time */
	double rate;    /* smoothed, bytes/s */
};

void progress_start(struct progress *p, enum progress_mode mode);

/* True at most ten times a second, and never if there is no progress line. */
bool progress_due(const struct progress *p);

/* @lag: slots published and not read by the slowest. */
void progress_draw(struct progress *p, uint64_t bytes, int64_t lag);

/* Take the line away, so that a message may be printed; it is drawn again at the next update. */
void progress_clear(void);

#endif
