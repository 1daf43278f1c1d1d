/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A worker is killed in the middle of a stream. The producer is told, starts another one under the same
 * id, which goes on after the last message that was finished: nothing is lost. The second time nobody
 * comes back, and after the grace the producer gets an error that says who, where and why.
 *
 *     worker_dies [RING]
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <myelon/myelon.h>

#define TASKS 100
#define DIES_AT 40 /* is killed before it has finished this one */

static const char *ring;
static pid_t worker;

/* Works until the stream ends, or until it is to die. */
static _Noreturn void work(int64_t until)
{
	struct myelon_consumer *c;
	struct myelon_view v;
	int64_t last = -1;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (myelon_consumer_attach(&c, ring, &MYELON_ATTACH_OPTS(.id = "worker")) < 0) {
		fprintf(stderr, "worker: %s\n", myelon_last_error());
		_exit(1);
	}
	/* One at a time: what is released is finished. */
	while (myelon_peek(c, 1, MYELON_FOREVER, &v) > 0) {
		if (last < 0)
			printf("worker begins at task %" PRId64 "\n", v.seq);
		fflush(stdout);
		if (v.seq == until)
			raise(SIGKILL);
		last = v.seq;
		if (*(const int64_t *)v.base != v.seq * v.seq || myelon_release(c, 1) < 0)
			_exit(1);
	}
	printf("worker finished task %" PRId64 ", the last one\n", last);
	fflush(stdout);
	myelon_consumer_close(c);
	_exit(0);
}

static void start_worker(int64_t until)
{
	fflush(stdout);
	worker = fork();
	if (worker == 0)
		work(until);
}

static void on_alert(void *ctx, const struct myelon_failure *alert)
{
	const bool *help = ctx;

	printf("%s is %s after task %" PRId64 "\n", alert->id,
	       myelon_cause_name((enum myelon_cause)alert->cause), alert->last_seq);
	waitpid(worker, NULL, 0);
	if (*help)
		start_worker(-1);
}

static int send_tasks(struct myelon_producer *p)
{
	for (int i = 0; i < TASKS; i++) {
		struct myelon_span s;
		int rc = myelon_claim_managed(p, 1, MYELON_FOREVER, &s);

		if (rc < 0)
			return rc;
		*(int64_t *)s.base = s.seq * s.seq;
		myelon_publish(p, 1);
	}
	return 0;
}

/* One stream. @return 0, or what a managed claim failed with. */
static int stream(bool help)
{
	struct myelon_failure f = MYELON_FAILURE_INIT;
	const char *ids[] = {"worker"};
	struct myelon_producer *p;
	int rc;

	if (myelon_producer_create(
		    &p, ring, &MYELON_RING_OPTS(.slot_size = sizeof(int64_t), .window = 16)) < 0)
		return -1;
	start_worker(DIES_AT);
	rc = myelon_producer_require(
		p, &MYELON_LIVENESS_OPTS(.required = {.ids = ids, .id_count = 1},
	                                 .startup_ns = 30000000000, .progress_ns = 10000000000,
	                                 .grace_ns = help ? 30000000000 : 200000000,
	                                 .hook = on_alert, .ctx = &help));
	if (rc == 0)
		rc = send_tasks(p);
	if (rc < 0 && myelon_producer_failure(p, &f) == 1)
		printf("given up: %s is %s, its last task is %" PRId64 "\n", f.id,
		       myelon_cause_name((enum myelon_cause)f.cause), f.last_seq);
	else if (rc < 0)
		fprintf(stderr, "%s\n", myelon_last_error());
	fflush(stdout);
	myelon_producer_close(p);
	if (help)
		waitpid(worker, NULL, 0);
	return rc;
}

int main(int argc, char **argv)
{
	ring = argc > 1 ? argv[1] : "tasks";
	if (stream(true) < 0) {
		fprintf(stderr, "%s\n", myelon_last_error());
		return 1;
	}
	puts("-- and now nobody helps");
	return stream(false) < 0 ? 0 : 1;
}
