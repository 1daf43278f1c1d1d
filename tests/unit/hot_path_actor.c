/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A loop whose instructions are counted (tests/cli/hot_path.sh): the same with and without placement, and
 * with and without supervision.
 */
#include <stdbool.h>
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

__attribute__((noinline)) int hot_path_managed(struct myelon_producer *p);

/* Managed claims, line by line as above. */
int hot_path_managed(struct myelon_producer *p)
{
	for (uint64_t i = 0; i < MESSAGES; i++) {
		struct myelon_span s;

		if (myelon_claim_managed(p, 1, MYELON_FOREVER, &s) < 0)
			return 1;
		memcpy(s.base, &i, sizeof(i));
		if (myelon_publish(p, 1) < 0)
			return 1;
	}
	return 0;
}

/* Steady state: there is room for all of it, so that no slow path is counted. */
static int make_room(struct myelon_producer *p, bool managed)
{
	struct myelon_span s;
	int rc = managed ? myelon_claim_managed(p, MESSAGES, MYELON_TRY, &s)
	                 : myelon_claim(p, MESSAGES, MYELON_TRY, &s);

	return rc < 0 ? rc : myelon_cancel(p);
}

/* "unsupervised": plain claims; "required": the same behind require; "managed": managed ones. */
static int run_supervised(struct myelon_producer *p, const char *how)
{
	bool managed = strcmp(how, "managed") == 0;

	if (strcmp(how, "unsupervised") != 0 && myelon_producer_require(p, NULL) < 0)
		return 1;
	if (make_room(p, managed) < 0)
		return 1;
	return managed ? hot_path_managed(p) : hot_path(p);
}

int main(int argc, char **argv)
{
	struct myelon_ring_opts o =
		MYELON_RING_OPTS(.window = 1024, .unattended = MYELON_UNATTENDED_OVERWRITE);
	struct myelon_producer *p;
	int rc;

	if (argc != 2)
		return 2;
	if (strcmp(argv[1], "plain") != 0 && strcmp(argv[1], "placed") != 0)
		o.window = 2 * MESSAGES;
	if (strcmp(argv[1], "placed") == 0) {
		o.numa = MYELON_NUMA_LOCAL;
		o.flags = MYELON_F_NUMA_STRICT;
	}
	if (myelon_producer_create(&p, "hot", &o) < 0) {
		fprintf(stderr, "%s\n", myelon_last_error());
		return 77; /* strict placement cannot be had everywhere */
	}
	rc = o.window > MESSAGES ? run_supervised(p, argv[1]) : hot_path(p);
	myelon_producer_close(p);
	return rc;
}
