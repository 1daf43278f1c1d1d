/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A loop whose instructions are counted (tests/cli/hot_path.sh): the same with and without placement. */
#include <stdio.h>
#include <string.h>

#include <myelon/myelon.h>

#define MESSAGES 20000

__attribute__((noinline)) int hot_path(struct myelon_producer *p, struct myelon_consumer *c);

int hot_path(struct myelon_producer *p, struct myelon_consumer *c)
{
	for (uint64_t i = 0; i < MESSAGES; i++) {
		struct myelon_span s;
		struct myelon_view v;

		if (myelon_claim(p, 1, MYELON_FOREVER, &s) < 0)
			return 1;
		memcpy(s.base, &i, sizeof(i));
		if (myelon_publish(p, 1) < 0 || myelon_peek(c, 1, MYELON_FOREVER, &v) != 1 ||
		    memcmp(v.base, &i, sizeof(i)) != 0 || myelon_release(c, 1) < 0)
			return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct myelon_ring_opts o = MYELON_RING_OPTS(.window = 1024, .fence = MYELON_FENCE_FULL);
	struct myelon_producer *p;
	struct myelon_consumer *c;
	int rc;

	if (argc != 2)
		return 2;
	if (strcmp(argv[1], "placed") == 0) {
		o.numa = MYELON_NUMA_LOCAL;
		o.flags = MYELON_F_NUMA_STRICT;
	}
	if (myelon_producer_create(&p, "hot", &o) < 0 ||
	    myelon_consumer_attach(&c, "hot", &MYELON_ATTACH_OPTS(.id = "c")) < 0) {
		fprintf(stderr, "%s\n", myelon_last_error());
		return 77; /* strict placement cannot be had everywhere */
	}
	rc = hot_path(p, c);
	myelon_consumer_close(c);
	myelon_producer_close(p);
	return rc;
}
