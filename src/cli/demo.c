/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* `myelon demo`: a file from one process to four, each with its own way of waiting. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "args.h"
#include "cli.h"
#include "demo.h"
#include "progress.h"
#include "stop.h"
#include "stream.h"

/* How long a wait lasts before the consumer processes are looked at. */
#define TICK_NS INT64_C(200000000)
#define ATTACH_NS (30 * INT64_C(1000000000))

static const char *const backings[] = {"auto", "hugetlb", "shm", "shm+thp", NULL};
static const char *const huges[] = {"try", "require", "off", NULL};
static uint32_t backing, huge, progress_mode;
static uint64_t repeat = 1, chunk = 65536, ring_bytes = UINT64_C(4) << 20;
static bool as_json;

static const struct arg options[] = {
	{.name = "repeat",
         .type = ARG_NUMBER,
         .value = &repeat,
         .metavar = "N",
         .min = 1,
         .max = 1000000,
         .help = "send the file N times (default 1)"},
	{.name = "chunk",
         .type = ARG_NUMBER,
         .value = &chunk,
         .metavar = "BYTES",
         .min = 1,
         .max = 256 << 20,
         .help = "bytes per message (default 64K)"},
	{.name = "ring",
         .type = ARG_NUMBER,
         .value = &ring_bytes,
         .metavar = "BYTES",
         .min = 4096,
         .max = UINT64_C(1) << 34,
         .help = "size of the ring (default 4M)"},
	{.name = "backing",
         .type = ARG_CHOICE,
         .value = &backing,
         .choices = backings,
         .help = "where the ring lies (default auto)"},
	{.name = "huge",
         .type = ARG_CHOICE,
         .value = &huge,
         .choices = huges,
         .help = "huge pages (default try)"},
	{.name = "progress",
         .type = ARG_CHOICE,
         .value = &progress_mode,
         .choices = progress_modes,
         .help = "progress line on stderr (default: if it is a terminal)"},
	{.name = "json", .type = ARG_FLAG, .value = &as_json, .help = "as JSON"},
	{0},
};

static const struct args_spec spec = {
	.command = "demo",
	.usage = "[FILE] [options]",
	.about =
		"Broadcast FILE (default: a large file of this system) to four consumer processes\n"
		"that wait in four different ways, hash what they get in place, and compare: all\n"
		"four SHA-256 sums must equal the file's own.",
	.options = options,
	.max_operands = 1,
};

struct sender {
	struct demo *demo;
	struct myelon_frame_producer *fp;
	struct myelon_producer *ring;
	struct progress progress;
	struct stream_tally sent;
};

/* A wait ended without success. @return CLI_OK: go on waiting, or an exit code after a message. */
static int after_tick(struct sender *s, int rc)
{
	if (stop_signal())
		return stop_exit_code();
	if (rc != -ETIMEDOUT)
		return cli_library_error(rc);
	if (demo_crew_lost_one(s->demo))
		return cli_error(CLI_FAILURE, "a consumer process ended before the file did");
	return CLI_OK;
}

static int wait_for_crew(struct sender *s)
{
	const struct myelon_wait_for crew = {.prefix = DEMO_PREFIX, .prefix_count = DEMO_CONSUMERS};
	int64_t deadline = myelon_deadline_after(ATTACH_NS);

	for (;;) {
		int rc = myelon_producer_wait_for(s->ring, &crew, myelon_deadline_after(TICK_NS));

		if (rc == 0)
			return CLI_OK;
		rc = myelon_now() < deadline ? after_tick(s, rc) : cli_library_error(rc);
		if (rc != CLI_OK)
			return rc;
	}
}

static int drain(struct sender *s)
{
	int64_t last = myelon_producer_published(s->ring);

	for (;;) {
		int rc = myelon_producer_wait_consumed(s->ring, last,
		                                       myelon_deadline_after(TICK_NS));

		if (rc == 0)
			return CLI_OK;
		/* Whoever has read all may go while others still read. */
		if (rc == -ETIMEDOUT && !stop_signal())
			demo_crew_lost_one(s->demo);
		else
			return stop_signal() ? stop_exit_code() : cli_library_error(rc);
	}
}

static int claim(struct sender *s, void **buf)
{
	for (;;) {
		int rc = myelon_frame_claim(s->fp, chunk, myelon_deadline_after(TICK_NS), buf);

		if (rc == 0)
			return CLI_OK;
		rc = after_tick(s, rc);
		if (rc != CLI_OK)
			return rc;
	}
}

/* The file once, from the page cache straight into the ring. */
static int send_file(struct sender *s, int fd)
{
	for (;;) {
		void *buf;
		ssize_t n;
		int rc = claim(s, &buf);

		if (rc != CLI_OK)
			return rc;
		n = read(fd, buf, chunk);
		if (n <= 0) {
			rc = errno;
			myelon_frame_cancel(s->fp);
			if (n == 0)
				return CLI_OK;
			return stop_signal() ? stop_exit_code()
			                     : cli_error(CLI_FAILURE, "cannot read %s: %s",
			                                 s->demo->file.path, strerror(rc));
		}
		rc = myelon_frame_commit(s->fp, (size_t)n, STREAM_DATA);
		if (rc < 0)
			return cli_library_error(rc);
		s->sent.bytes += (uint64_t)n;
		s->sent.messages++;
		if (progress_due(&s->progress))
			progress_draw(&s->progress, s->sent.bytes,
			              myelon_producer_published(s->ring) -
			                      myelon_producer_minimum(s->ring));
		if (stop_signal())
			return stop_exit_code();
	}
}

static int send_repeatedly(struct sender *s)
{
	int fd = open(s->demo->file.path, O_RDONLY | O_CLOEXEC), rc;

	if (fd < 0)
		return cli_error(CLI_FAILURE, "cannot open %s: %s", s->demo->file.path,
		                 strerror(errno));
	rc = stream_send_start(s->fp, s->progress.total) < 0 ? cli_library_error(-EIO) : CLI_OK;
	for (uint64_t i = 0; i < repeat && rc == CLI_OK; i++) {
		if (lseek(fd, 0, SEEK_SET) < 0)
			rc = cli_error(CLI_FAILURE, "cannot read %s again: %s", s->demo->file.path,
			               strerror(errno));
		else
			rc = send_file(s, fd);
	}
	close(fd);
	if (rc == CLI_OK && stream_send_end(s->fp, &s->sent) < 0)
		rc = stop_signal() ? stop_exit_code() : cli_library_error(-EIO);
	return rc;
}

static int broadcast(struct sender *s)
{
	struct demo *d = s->demo;
	int64_t began;
	int rc = demo_start_crew(d);

	if (rc == CLI_OK)
		rc = wait_for_crew(s);
	if (rc != CLI_OK)
		return rc;
	progress_start(&s->progress, progress_mode);
	s->progress.total = d->file.bytes * repeat;
	getrusage(RUSAGE_SELF, &d->before);
	began = myelon_now();
	rc = send_repeatedly(s);
	if (rc == CLI_OK)
		rc = drain(s);
	d->seconds = (double)(myelon_now() - began) / 1e9;
	getrusage(RUSAGE_SELF, &d->after);
	progress_clear();
	d->messages = s->sent.messages;
	d->bytes = s->sent.bytes;
	myelon_producer_stats(s->ring, &d->stats);
	return rc;
}

static int run_ring(struct demo *d)
{
	struct sender s = {.demo = d};
	struct myelon_ring_opts o =
		MYELON_RING_OPTS(.slot_size = 64, .window = (uint32_t)(ring_bytes / 64),
	                         .backing = backing, .huge = huge,
	                         .hugetlb_dir = cli_common.hugetlb_dir,
	                         .shm_dir = cli_common.shm_dir);
	int rc = myelon_frame_producer_create(&s.fp, d->ring, &o);

	if (rc < 0)
		return cli_library_error(rc);
	s.ring = myelon_frame_producer_ring(s.fp);
	stop_watch_producer(s.ring);
	myelon_producer_info(s.ring, &d->info);
	if (chunk > myelon_frame_producer_max_frame(s.fp))
		rc = cli_error(CLI_USAGE,
		               "demo: --chunk %llu is more than the ring holds in one piece, %zu "
		               "bytes: choose a smaller chunk or a larger --ring",
		               (unsigned long long)chunk, myelon_frame_producer_max_frame(s.fp));
	else
		rc = broadcast(&s);
	/* Last: even of consumers that were killed nothing is left then. */
	demo_end_crew(d, rc != CLI_OK);
	stop_watch_producer(NULL);
	myelon_frame_producer_close(s.fp);
	return rc;
}

static bool all_same(const struct demo *d)
{
	for (int i = 0; i < DEMO_CONSUMERS; i++) {
		const struct demo_member *m = &d->crew[i];

		if (!WIFEXITED(m->status) || WEXITSTATUS(m->status) != 0 || !m->reported ||
		    strcmp(m->result.sum, d->file.sum) != 0)
			return false;
	}
	return true;
}

static int run(struct demo *d)
{
	int rc = demo_hash_file(&d->file);

	if (rc != CLI_OK)
		return rc;
	rc = run_ring(d);
	if (rc != CLI_OK)
		return rc;
	d->same = all_same(d);
	if (as_json)
		demo_print_json(d);
	else
		demo_print(d);
	return cli_finish(d->same ? CLI_OK : CLI_DAMAGED);
}

int cmd_demo(int argc, char **argv)
{
	static struct demo d = {.info = MYELON_RING_INFO_INIT, .stats = MYELON_HANDLE_STATS_INIT};
	char **operands;
	int rc;

	rc = args_parse(&spec, argc, argv, &operands);
	if (rc != ARGS_RUN)
		return rc;
	snprintf(d.ring, sizeof(d.ring), "demo-%d", (int)getpid());
	d.file.repeat = repeat;
	if (!operands[0]) {
		rc = demo_find_file(d.file.path);
		if (rc != CLI_OK)
			return rc;
	} else if ((size_t)snprintf(d.file.path, sizeof(d.file.path), "%s", operands[0]) >=
	           sizeof(d.file.path)) {
		return cli_error(CLI_USAGE, "the file's path is too long");
	}
	stop_install();
	return run(&d);
}
