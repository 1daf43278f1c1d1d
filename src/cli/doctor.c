/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* `myelon doctor`: the list of checks and the verdict. */
#include <errno.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "cli.h"
#include "doctor.h"

#define NO_PROFILE UINT32_MAX

static bool as_json;
static uint32_t profile = NO_PROFILE;

static const struct arg options[] = {
	{.name = "profile",
         .type = ARG_CHOICE,
         .value = &profile,
         .choices = cli_profile_names,
         .help = "judge for this deployment (docs/tuning.md); default: tell what\n"
                 "there is, and fail only where no ring could be made"},
	{.name = "json", .type = ARG_FLAG, .value = &as_json, .help = "as JSON"},
	{0},
};

static const struct args_spec spec = {
	.command = "doctor",
	.usage = "[options]",
	.about = "Check what a deployment needs from this machine and this user: for each point\n"
		 "what was found, why it matters, and the command (for root) that repairs it.\n"
		 "States: ok; note (good to know); warn (works, but costs something); fail\n"
		 "(required). Nothing is changed. The exit code is 8 if a required check fails.",
	.options = options,
};

__attribute__((format(printf, 4, 0))) static void add(struct doctor *d,
                                                      const struct doctor_topic *topic,
                                                      enum doctor_state state, const char *fmt,
                                                      va_list ap)
{
	struct doctor_check *c = &d->checks[d->count];

	/* Room for some 80 nodes; what comes after that is written over the last. */
	if (d->count + 1 < DOCTOR_CHECKS)
		d->count++;
	*c = (struct doctor_check){.topic = topic, .state = state};
	snprintf(c->id, sizeof(c->id), "%s", topic->id);
	vsnprintf(c->found, sizeof(c->found), fmt, ap);
}

void doctor_good(struct doctor *d, const struct doctor_topic *topic, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(d, topic, DOCTOR_OK, fmt, ap);
	va_end(ap);
}

void doctor_note(struct doctor *d, const struct doctor_topic *topic, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(d, topic, DOCTOR_NOTE, fmt, ap);
	va_end(ap);
}

void doctor_bad(struct doctor *d, const struct doctor_topic *topic, const char *fmt, ...)
{
	enum doctor_state state = topic->required & d->profile ? DOCTOR_FAIL
	                          : topic->wanted & d->profile ? DOCTOR_WARN
	                                                       : DOCTOR_NOTE;
	va_list ap;

	va_start(ap, fmt);
	add(d, topic, state, fmt, ap);
	va_end(ap);
}

void doctor_suffix(struct doctor *d, const char *suffix)
{
	struct doctor_check *c = &d->checks[d->count - 1];

	snprintf(c->id, sizeof(c->id), "%s-%s", c->topic->id, suffix);
}

void doctor_fix(struct doctor *d, const char *fmt, ...)
{
	struct doctor_check *c = &d->checks[d->count - 1];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->fix, sizeof(c->fix), fmt, ap);
	va_end(ap);
}

#define ON_HOST "not from inside this container; on its host: "

const char *doctor_on_host(void)
{
	return doctor_in_container() && !doctor_has_cap(CAP_SYS_ADMIN) ? ON_HOST : "";
}

void doctor_fix_write(struct doctor *d, const char *path, const char *value)
{
	/* Root may write any file, but not to a read-only /proc or /sys, which containers have. */
	bool read_only = access(path, W_OK) < 0 && errno == EROFS;

	doctor_fix(d, "%secho %s > %s", read_only ? ON_HOST : "", value, path);
}

unsigned doctor_cpus_needed(const struct doctor *d)
{
	switch (d->profile) {
	case DOCTOR_PINNED:
		return 3; /* a scheduler and two workers */
	case DOCTOR_NUMA:
		return 2;
	default:
		return 1;
	}
}

int cmd_doctor(int argc, char **argv)
{
	struct doctor *d;
	char **operands;
	int rc = args_parse(&spec, argc, argv, &operands);

	if (rc != ARGS_RUN)
		return rc;
	d = calloc(1, sizeof(*d));
	if (!d)
		return cli_error(CLI_FAILURE, "out of memory");
	d->profile = profile == NO_PROFILE ? DOCTOR_ANY : 1u << cli_profile(profile);
	doctor_memory(d);
	doctor_huge(d);
	doctor_cpu(d);
	doctor_power(d);
	doctor_numa(d);
	doctor_kernel(d);
	doctor_container(d);
	if (as_json)
		doctor_print_json(d);
	else
		doctor_print(d);
	rc = cli_finish(doctor_failures(d) ? CLI_NOT_READY : CLI_OK);
	free(d);
	return rc;
}
