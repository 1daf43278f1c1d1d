/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Watch a raw ring without ever holding its producer up, and tell what was missed:
 *
 *     observer [RING]
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <myelon/myelon.h>

enum { BATCH = 64 };

static int watch(struct myelon_observer *o, unsigned char *slots)
{
	uint64_t lost, seen = 0, missed = 0;
	int64_t seq;
	int n;

	do {
		/* An observer gets copies: what it looks at may be overwritten meanwhile. */
		n = myelon_observe(o, slots, BATCH, MYELON_FOREVER, &seq, &lost);
		missed += lost;
		if (n > 0) {
			seen += (uint64_t)n;
			printf("%" PRId64 " .. %" PRId64 "\n", seq, seq + n - 1);
		}
	} while (n > 0);
	printf("seen %" PRIu64 ", lost %" PRIu64 "\n", seen, missed);
	return n;
}

int main(int argc, char **argv)
{
	struct myelon_attach_opts opts =
		MYELON_ATTACH_OPTS(.timeout_ns = MYELON_FOREVER, .start = MYELON_START_OLDEST);
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;
	struct myelon_observer *o;
	unsigned char *slots;
	int rc = -ENOMEM;

	if (myelon_observer_attach(&o, argc > 1 ? argv[1] : "hello", &opts) < 0) {
		fprintf(stderr, "%s\n", myelon_last_error());
		return 1;
	}
	myelon_observer_info(o, &info);
	slots = malloc((size_t)BATCH * info.slot_size);
	if (slots)
		rc = watch(o, slots);
	if (rc != -EPIPE)
		fprintf(stderr, "%s\n", myelon_strerror(rc));
	free(slots);
	myelon_observer_close(o);
	return rc == -EPIPE ? 0 : 1;
}
