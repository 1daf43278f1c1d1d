/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A loop whose instructions are counted (tests/cli/hot_path.sh): the same with and without placement. */
#include <stdio.h>
#include <string.h>

#include <myelon/myelon.h>

#define MESSAGES 20000

__attribute__((noinline)) int hot_path(struct myelon_producer *p);

/* Publishing: how a consumer waits and gathers goes by the clock, which counts differently each time. */
int hot_path(struct myelon_producer *p)
{
	for (uint64_t i = 0; i < MESSAGES; i++) {
		struct myelon_span s;

		if (myelon_claim(p, 1, MYELON_FOREVER, &s) < 0)
			return 1;
		memcpy(s.base, &i, sizeof(i));
		if (myelon_publish(p, 1) < 0)
			return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct myelon_ring_opts o =
		MYELON_RING_OPTS(.window = 1024, .unattended = MYELON_UNATTENDED_OVERWRITE);
	struct myelon_producer *p;
	int rc;

	if (argc != 2)
		return 2;
	if (strcmp(argv[1], "placed") == 0) {
		o.numa = MYELON_NUMA_LOCAL;
		o.flags = MYELON_F_NUMA_STRICT;
	}
	if (myelon_producer_create(&p, "hot", &o) < 0) {
		fprintf(stderr, "%s\n", myelon_last_error());
		return 77; /* strict placement cannot be had everywhere */
	}
	rc = hot_path(p);
	myelon_producer_close(p);
	return rc;
}
