/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Threads at the kit's barrier: also the proof that race programs build and run in the tsan preset. */
#include "kit.h"

#include <pthread.h>
#include <stdio.h>

#define THREADS 3
#define ROUNDS 200

static struct kit_page *page;
static unsigned int
	plain[THREADS]; /* each written before a barrier and read by the others after it */

static void *run(void *arg)
{
	unsigned int me = *(unsigned int *)arg;

	for (unsigned int round = 1; round <= ROUNDS; round++) {
		plain[me] = round;
		if (!kit_barrier(page, 0, THREADS, 20))
			kit_violation(&page->result[me], "no barrier in round %u", round);
		for (unsigned int i = 0; i < THREADS; i++)
			if (plain[i] != round)
				kit_violation(&page->result[me], "thread %u at %u, not %u", i,
				              plain[i], round);
		if (!kit_barrier(page, 1, THREADS, 20))
			kit_violation(&page->result[me], "no barrier in round %u", round);
	}
	return NULL;
}

int main(void)
{
	pthread_t thread[THREADS];
	unsigned int index[THREADS];
	int failed = 0;

	page = kit_page_create();
	if (!page)
		return 1;
	for (unsigned int i = 0; i < THREADS; i++) {
		index[i] = i;
		if (pthread_create(&thread[i], NULL, run, &index[i]) != 0)
			return 1;
	}
	for (unsigned int i = 0; i < THREADS; i++) {
		pthread_join(thread[i], NULL);
		if (page->result[i].violations > 0) {
			printf("thread %u: %s\n", i, page->result[i].text);
			failed = 1;
		}
	}
	return failed;
}
