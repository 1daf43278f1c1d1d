/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Receive the messages of framed_producer, in place where they are in one piece:
 *
 *     framed_consumer [RING] [ID]
 *
 * With an ID it goes on where that id left off when it is started again.
 */
#include <errno.h>
#include <stdio.h>

#include <myelon/myelon.h>

int main(int argc, char **argv)
{
	struct myelon_attach_opts opts = MYELON_ATTACH_OPTS(.timeout_ns = MYELON_FOREVER);
	struct myelon_frame_consumer *fc;
	struct myelon_message m;
	int rc;

	opts.id = argc > 2 ? argv[2] : NULL;
	if (myelon_frame_consumer_attach(&fc, argc > 1 ? argv[1] : "framed", &opts) < 0) {
		fprintf(stderr, "%s\n", myelon_last_error());
		return 1;
	}
	while ((rc = myelon_frame_peek(fc, MYELON_FOREVER, &m)) > 0) {
		printf("message %u, kind %u, %zu bytes, %s\n", m.id, m.kind, m.len,
		       m.borrowed ? "in the ring" : "put together from fragments");
		/* m.data is valid until here. */
		rc = myelon_frame_release(fc, 1);
		if (rc < 0)
			break;
	}
	if (rc != -EPIPE)
		fprintf(stderr, "%s\n", myelon_last_error());
	myelon_frame_consumer_close(fc);
	return rc == -EPIPE ? 0 : 1;
}
