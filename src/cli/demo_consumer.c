/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* `myelon demo`: what each consumer process does: hash in place and report. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "args.h"
#include "cli.h"
#include "demo.h"
#include "stop.h"
#include "stream.h"

enum { BATCH = 64 };

/* The ring appears when the parent has made it. */
#define ATTACH_NS (30 * INT64_C(1000000000))

static const char *id;
static uint32_t wait_strategy;

static const struct arg options[] = {
	{.name = "id", .type = ARG_STRING, .value = &id, .metavar = "ID", .help = "consumer id"},
	{.name = "wait",
         .type = ARG_CHOICE,
         .value = &wait_strategy,
         .choices = cli_wait_names,
         .help = "how to wait"},
	{0},
};

static const struct args_spec spec = {
	.command = "demo-consumer",
	.usage = "RING --id ID --wait STRATEGY",
	.about = "One consumer process of 'myelon demo'.",
	.options = options,
	.min_operands = 1,
	.max_operands = 1,
	.operand = "the ring",
};

struct reader {
	struct sha256 hash;
	struct stream_tally got;
	bool ended;
};

static int end_of_stream(struct reader *r, const struct myelon_message *m)
{
	uint64_t bytes, messages;

	stream_read_mark(m, &bytes, &messages);
	r->ended = true;
	if (bytes == r->got.bytes && messages == r->got.messages && r->got.from_start)
		return CLI_OK;
	return cli_error(CLI_DAMAGED, "consumer %s got %" PRIu64 " of %" PRIu64 " bytes", id,
	                 r->got.bytes, bytes);
}

static int take(struct reader *r, const struct myelon_message *m)
{
	switch (stream_kind_of(m)) {
	case STREAM_START:
		r->got.from_start = true;
		return CLI_OK;
	case STREAM_END:
		return end_of_stream(r, m);
	case STREAM_DATA:
		break;
	}
	sha256_update(&r->hash, m->data, m->len);
	r->got.bytes += m->len;
	r->got.messages++;
	return CLI_OK;
}

static int read_all(struct myelon_frame_consumer *fc, struct reader *r)
{
	struct myelon_message msgs[BATCH];
	int rc = CLI_OK;

	while (!r->ended && rc == CLI_OK) {
		int n = myelon_frame_peek_batch(fc, msgs, BATCH, MYELON_FOREVER);

		if (stop_signal())
			return stop_exit_code();
		if (n < 0)
			return cli_library_error(n);
		for (int i = 0; i < n && rc == CLI_OK; i++) {
			rc = take(r, &msgs[i]);
			/* One by one: the producer may go on while the rest is hashed. */
			if (myelon_frame_release(fc, 1) < 0)
				rc = cli_library_error(-ESTALE);
		}
	}
	return rc;
}

int cmd_demo_consumer(int argc, char **argv)
{
	struct myelon_handle_stats stats = MYELON_HANDLE_STATS_INIT;
	struct myelon_frame_consumer *fc;
	struct myelon_attach_opts o;
	struct reader r = {0};
	struct demo_result result = {0};
	char **operands;
	int rc;

	rc = args_parse(&spec, argc, argv, &operands);
	if (rc != ARGS_RUN)
		return rc;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	o = MYELON_ATTACH_OPTS(.id = id, .wait = wait_strategy, .timeout_ns = ATTACH_NS,
	                       .hugetlb_dir = cli_common.hugetlb_dir,
	                       .shm_dir = cli_common.shm_dir);
	rc = myelon_frame_consumer_attach(&fc, operands[0], &o);
	if (rc < 0)
		return cli_library_error(rc);
	stop_install();
	stop_watch_consumer(myelon_frame_consumer_ring(fc));
	sha256_init(&r.hash);
	rc = read_all(fc, &r);
	myelon_consumer_stats(myelon_frame_consumer_ring(fc), &stats);
	stop_watch_consumer(NULL);
	myelon_frame_consumer_close(fc);
	result.messages = r.got.messages;
	result.bytes = r.got.bytes;
	result.parks = stats.parks;
	sha256_final_hex(&r.hash, result.sum);
	fwrite(&result, sizeof(result), 1, stdout);
	return cli_finish(rc);
}
