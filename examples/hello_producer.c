/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Ten numbers over a raw ring, written in place. Start hello_consumer before or after it:
 *
 *     hello_producer [RING] [CONSUMERS]
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <myelon/myelon.h>

int main(int argc, char **argv)
{
	const char *ring = argc > 1 ? argv[1] : "hello";
	struct myelon_ring_opts opts = MYELON_RING_OPTS(.window = 1024);
	struct myelon_producer *p;
	struct myelon_span span;

	/* create() returns when that many consumers are attached. */
	opts.wait_for.count = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 1;
	opts.wait_timeout_ns = MYELON_FOREVER;
	if (myelon_producer_create(&p, ring, &opts) < 0) {
		fprintf(stderr, "%s\n", myelon_last_error());
		return 1;
	}
	for (uint64_t i = 0; i < 10; i++) {
		/* Waits while the slowest consumer is a whole window behind. */
		if (myelon_claim(p, 1, MYELON_FOREVER, &span) < 0) {
			fprintf(stderr, "%s\n", myelon_last_error());
			break;
		}
		*(uint64_t *)span.base = i * i;
		myelon_publish(p, 1);
	}
	/* Consumers read what is left; the last to leave removes the ring. */
	myelon_producer_close(p);
	return 0;
}
