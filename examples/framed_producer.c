/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Messages of any length over a framed ring, in the three ways to send one:
 *
 *     framed_producer [RING]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <myelon/myelon.h>

enum { KIND_TEXT = 1, KIND_NUMBERS = 2 };

static int send_all(struct myelon_frame_producer *fp)
{
	static char greeting[] = "a copy", first[] = "from ", second[] = "two pieces";
	struct iovec pieces[] = {{first, strlen(first)}, {second, strlen(second)}};
	const size_t large = 3000000;
	char *text;
	void *room;
	int rc;

	rc = myelon_frame_send(fp, greeting, strlen(greeting), KIND_TEXT, MYELON_FOREVER);
	if (rc < 0)
		return rc;
	rc = myelon_frame_sendv(fp, pieces, 2, KIND_TEXT, MYELON_FOREVER);
	if (rc < 0)
		return rc;

	/* Built where the consumers read it; it may turn out shorter than claimed. */
	rc = myelon_frame_claim(fp, 4096, MYELON_FOREVER, &room);
	if (rc < 0)
		return rc;
	for (int i = 0; i < 100; i++)
		((int *)room)[i] = i;
	rc = myelon_frame_commit(fp, 100 * sizeof(int), KIND_NUMBERS);
	if (rc < 0)
		return rc;

	/* Longer than the whole ring: sent in fragments, received in one piece. */
	text = malloc(large);
	if (!text)
		return -1;
	memset(text, 'x', large);
	rc = myelon_frame_send(fp, text, large, KIND_TEXT, MYELON_FOREVER);
	free(text);
	return rc;
}

int main(int argc, char **argv)
{
	struct myelon_ring_opts opts = MYELON_RING_OPTS(.slot_size = 64, .window = 16384);
	struct myelon_frame_producer *fp;
	int rc;

	opts.wait_for.count = 1;
	opts.wait_timeout_ns = MYELON_FOREVER;
	if (myelon_frame_producer_create(&fp, argc > 1 ? argv[1] : "framed", &opts) < 0) {
		fprintf(stderr, "%s\n", myelon_last_error());
		return 1;
	}
	rc = send_all(fp);
	if (rc < 0)
		fprintf(stderr, "%s\n", myelon_last_error());
	myelon_frame_producer_close(fp);
	return rc < 0 ? 1 : 0;
}
