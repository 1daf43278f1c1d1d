/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* `myelon sub`: options, attaching, the summary. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "cli.h"
#include "fmt.h"
#include "json.h"
#include "stop.h"
#include "sub.h"

#define UNSET UINT64_MAX
#define NOT_CHOSEN UINT32_MAX
/* How long one try to attach lasts; a signal that comes just before it waits is seen after it. */
#define ATTACH_TICK_NS INT64_C(1000000000)

static struct {
	const char *id;
	uint32_t start, wait, progress, profile;
	uint64_t cpu, count;
	int64_t timeout;
	bool observe, lines, any_kind, follow, any_owner, json;
} opt = {.wait = NOT_CHOSEN,
         .profile = NOT_CHOSEN,
         .cpu = UNSET,
         .count = UNSET,
         .timeout = MYELON_FOREVER};

static const char *const starts[] = {"default", "latest", "oldest", "resume", NULL};

static const struct arg options[] = {
	{.name = "id",
         .type = ARG_STRING,
         .value = &opt.id,
         .metavar = "ID",
         .help = "consumer id; the same id goes on where it left off\n(default: ad_0, ad_1, ...)"},
	{.name = "start",
         .type = ARG_CHOICE,
         .value = &opt.start,
         .choices = starts,
         .help = "default: where ID left off, else latest"},
	{.name = "follow",
         .type = ARG_FLAG,
         .value = &opt.follow,
         .help = "when the producer dies or closes before the end of the stream,\n"
                 "wait for the next one (myelon pub NAME --open)"},
	{.name = "observe",
         .type = ARG_FLAG,
         .value = &opt.observe,
         .help = "watch only: never hold the producer up, tell what was lost"},
	{.name = "count",
         .type = ARG_NUMBER,
         .value = &opt.count,
         .metavar = "N",
         .help = "end after N messages"},
	{.name = "lines",
         .type = ARG_FLAG,
         .value = &opt.lines,
         .help = "end each message with a newline"},
	{.name = "any-kind",
         .type = ARG_FLAG,
         .value = &opt.any_kind,
         .help = "the producer is not 'myelon pub': write all messages, there is no\n"
                 "end of stream"},
	{.name = "timeout",
         .type = ARG_DURATION,
         .value = &opt.timeout,
         .metavar = "TIME",
         .help = "how long to wait for the ring to appear (default: forever)"},
	{.name = "wait",
         .type = ARG_CHOICE,
         .value = &opt.wait,
         .choices = cli_wait_names,
         .help = "how to wait for messages (default adaptive)"},
	{.name = "cpu",
         .type = ARG_NUMBER,
         .value = &opt.cpu,
         .metavar = "N",
         .max = 65535,
         .help = "run on this CPU"},
	{.name = "profile",
         .type = ARG_CHOICE,
         .value = &opt.profile,
         .choices = cli_profile_names,
         .help = "options for a deployment; others that are given win"},
	{.name = "any-owner",
         .type = ARG_FLAG,
         .value = &opt.any_owner,
         .help = "accept a ring that belongs to another user"},
	{.name = "progress",
         .type = ARG_CHOICE,
         .value = &opt.progress,
         .choices = progress_modes,
         .help = "progress line on stderr (default: if it is a terminal)"},
	{.name = "json",
         .type = ARG_FLAG,
         .value = &opt.json,
         .help = "at the end, a summary in JSON on stderr"},
	{0},
};

static const struct args_spec spec = {
	.command = "sub",
	.usage = "NAME [options] > data",
	.about = "Write everything that comes over the framed ring NAME to stdout, until the end "
		 "of\n"
		 "the stream. Waits for the ring to appear. A signal ends it in order: what was\n"
		 "written is released, and the same --id goes on exactly behind it.",
	.options = options,
	.min_operands = 1,
	.max_operands = 1,
	.operand = "the ring's NAME",
};

static int attach_once(struct sub *sub, int64_t timeout)
{
	struct myelon_attach_opts o =
		MYELON_ATTACH_OPTS(.id = opt.id, .start = opt.start, .timeout_ns = timeout,
	                           .pin = opt.cpu == UNSET ? 0 : MYELON_PIN(opt.cpu),
	                           .flags = MYELON_F_EINTR |
	                                    (opt.any_owner ? MYELON_F_ANY_OWNER : 0),
	                           .hugetlb_dir = cli_common.hugetlb_dir,
	                           .shm_dir = cli_common.shm_dir);

	if (opt.profile != NOT_CHOSEN)
		myelon_preset_attach(cli_profile(opt.profile), &o);
	if (opt.wait != NOT_CHOSEN)
		o.wait = opt.wait;
	sub->wait = o.wait;
	if (opt.observe)
		return myelon_frame_observer_attach(&sub->fo, sub->name, &o);
	return myelon_frame_consumer_attach(&sub->fc, sub->name, &o);
}

static bool ring_exists(const struct sub *sub)
{
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;
	struct myelon_dir_opts o = MYELON_DIR_OPTS(.hugetlb_dir = cli_common.hugetlb_dir,
	                                           .shm_dir = cli_common.shm_dir);

	return myelon_ring_describe(sub->name, &o, &info) != -ENOENT;
}

/* @return CLI_OK or an exit code after a message. */
static int attach(struct sub *sub)
{
	int64_t deadline =
		opt.timeout == MYELON_FOREVER ? MYELON_FOREVER : myelon_deadline_after(opt.timeout);
	bool told = !isatty(STDERR_FILENO);
	int rc;

	for (;;) {
		int64_t left = deadline == MYELON_FOREVER ? INT64_MAX : deadline - myelon_now();
		int64_t tick = left < 0 ? 0 : left < ATTACH_TICK_NS ? left : ATTACH_TICK_NS;

		rc = attach_once(sub, tick);
		if (rc == 0)
			return CLI_OK;
		if (stop_signal())
			return stop_exit_code();
		if (rc == -EINTR)
			continue;
		/* -ENOENT is also the answer to resuming an id that the ring does not know. */
		if (rc != -ENOENT || left <= 0 || ring_exists(sub))
			return cli_library_error(rc);
		if (!told)
			cli_note("waiting for the ring '%s' to appear", sub->name);
		told = true;
	}
}

static void report_json(const struct sub *sub, double seconds)
{
	struct json j;

	json_begin(&j, stderr, true);
	json_object(&j, NULL);
	json_string(&j, "ring", sub->name);
	json_string(&j, "id",
	            sub->fc ? myelon_consumer_id(myelon_frame_consumer_ring(sub->fc)) : NULL);
	json_uint(&j, "bytes", sub->bytes);
	json_uint(&j, "messages", sub->messages);
	json_double(&j, "seconds", seconds);
	json_double(&j, "bytes_per_s", seconds > 0 ? (double)sub->bytes / seconds : 0);
	json_double(&j, "messages_per_s", seconds > 0 ? (double)sub->messages / seconds : 0);
	json_uint(&j, "lost", sub->lost);
	if (sub->verified == SUB_UNKNOWN)
		json_null(&j, "verified");
	else
		json_bool(&j, "verified", sub->verified == SUB_VERIFIED);
	json_string(&j, "end", sub->ended);
	json_int(&j, "exit", sub->code);
	json_object_end(&j);
	json_end(&j);
}

static void report(const struct sub *sub, double seconds)
{
	struct fmt bytes, rate, count;

	progress_clear();
	if (opt.json)
		report_json(sub, seconds);
	else if (sub->progress.on)
		cli_note("%s in %s messages, %.3f s, %s%s", fmt_bytes(&bytes, sub->bytes),
		         fmt_count(&count, sub->messages), seconds,
		         fmt_rate(&rate, seconds > 0 ? (double)sub->bytes / seconds : 0),
		         sub->verified == SUB_VERIFIED ? ", verified" : "");
}

static void run(struct sub *sub)
{
	int64_t began = myelon_now();

	progress_start(&sub->progress, opt.progress);
	sub_wait_open(sub);
	if (sub->fo)
		sub_observe(sub);
	else
		sub_consume(sub);
	sub_wait_close(sub);
	if (sub->code == CLI_OK && sub->lost > 0) {
		cli_error(0, "%s: lost %llu messages or slots of '%s'", spec.command,
		          (unsigned long long)sub->lost, sub->name);
		sub->code = CLI_DAMAGED;
	}
	report(sub, (double)(myelon_now() - began) / 1e9);
}

int cmd_sub(int argc, char **argv)
{
	struct sub sub = {.code = SUB_GO_ON, .ended = ""};
	char **operands;
	int rc;

	rc = args_parse(&spec, argc, argv, &operands);
	if (rc != ARGS_RUN)
		return rc;
	if (opt.observe && (opt.id || opt.follow))
		return cli_error(CLI_USAGE, "sub: --observe goes neither with --id nor with "
		                            "--follow: an observer leaves no trace in the ring");
	if (opt.start == MYELON_START_RESUME && !opt.id)
		return cli_error(CLI_USAGE, "sub: --start resume needs --id: name the consumer "
		                            "that is to go on");
	sub.name = operands[0];
	sub.lines = opt.lines;
	sub.any_kind = opt.any_kind;
	sub.follow = opt.follow;
	sub.left = opt.count;
	stop_install();
	rc = attach(&sub);
	if (rc != CLI_OK)
		return rc;
	if (sub.fc)
		stop_watch_consumer(myelon_frame_consumer_ring(sub.fc));
	else
		stop_watch_observer(myelon_frame_observer_ring(sub.fo));
	run(&sub);
	stop_watch_consumer(NULL);
	stop_watch_observer(NULL);
	if (sub.fc)
		myelon_frame_consumer_close(sub.fc);
	else
		myelon_frame_observer_close(sub.fo);
	return sub.code;
}
