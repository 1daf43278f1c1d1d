/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The state of `myelon pub` and the part that moves the bytes (pub_send.c). */
#ifndef CLI_PUB_H
#define CLI_PUB_H

#include <stdbool.h>
#include <stddef.h>

#include <myelon/myelon.h>

#include "progress.h"
#include "stream.h"

/* How long one wait lasts before the state is looked at. */
#define PUB_TICK_NS INT64_C(1000000000)

struct pub {
	const char *name;
	struct myelon_frame_producer *fp;
	struct myelon_producer *ring;
	size_t chunk;
	bool lines;
	bool lossy;     /* nobody attached: it went on */
	bool anonymous; /* somebody with an automatic id, which cannot resume, saw the stream end */
	int64_t stall_timeout;
	int64_t warned; /* when a stall was last mentioned, 0: never */
	struct stream_tally sent;
	struct progress progress;
};

/* The whole of stdin with its marks. @return CLI_OK or an exit code after a message. */
int pub_send_stdin(struct pub *pub);

/* Slots published and not read by the slowest consumer. */
int64_t pub_lag(struct pub *pub);

/* Error: @what after @waited_ns, and who is behind. */
void pub_complain(struct pub *pub, const char *what, int64_t waited_ns);

/* The same as a remark. */
void pub_note_slowest(struct pub *pub, const char *what);

/* The same now and then, when it has gone on for some seconds since @began. */
void pub_warn_if_stalled(struct pub *pub, const char *what, int64_t began);

/* pub_name.c: the name leads to this ring no more; nobody can attach or resume. */
bool pub_name_gone(struct pub *pub);
/* ... and the consumer that sets the pace, if there is one, is dead: it stays as it is for ever. */
bool pub_stuck(struct pub *pub);
/* As myelon_producer_wait_for(); -ENOENT: the name is gone. */
int pub_wait_for(struct pub *pub, const struct myelon_wait_for *whom, int64_t deadline);

#endif
