/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Print the numbers of hello_producer:
 *
 *     hello_consumer [RING]
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include <myelon/myelon.h>

int main(int argc, char **argv)
{
	const char *ring = argc > 1 ? argv[1] : "hello";
	struct myelon_attach_opts opts = MYELON_ATTACH_OPTS(.timeout_ns = MYELON_FOREVER);
	struct myelon_consumer *c;
	struct myelon_view view;
	int n;

	/* The ring need not exist yet. */
	if (myelon_consumer_attach(&c, ring, &opts) < 0) {
		fprintf(stderr, "%s\n", myelon_last_error());
		return 1;
	}
	/* All there is as one array, read where the producer wrote it. */
	while ((n = myelon_peek(c, MYELON_ALL, MYELON_FOREVER, &view)) > 0) {
		for (uint32_t i = 0; i < view.count; i++) {
			const char *slot = (const char *)view.base + i * c->slot_size;

			printf("%" PRId64 ": %" PRIu64 "\n", view.seq + i,
			       *(const uint64_t *)(const void *)slot);
		}
		n = myelon_release(c, view.count);
		if (n < 0)
			break;
	}
	if (n != -EPIPE) /* the producer closed and everything was read */
		fprintf(stderr, "%s\n", myelon_last_error());
	myelon_consumer_close(c);
	return n == -EPIPE ? 0 : 1;
}
