/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* `myelon rm`: remove rings nobody uses. */
#include <limits.h>
#include <stdio.h>

#include "args.h"
#include "cli.h"
#include "json.h"

static bool force, as_json, any_owner;

static const struct arg options[] = {
	{.name = "force",
         .type = ARG_FLAG,
         .value = &force,
         .help = "take the name away although the ring is used: those who use it\n"
                 "go on, nobody new finds it"},
	{.name = "any-owner",
         .type = ARG_FLAG,
         .value = &any_owner,
         .help = "also a ring of another user"},
	{.name = "json", .type = ARG_FLAG, .value = &as_json, .help = "what was done, as JSON"},
	{0},
};

static const struct args_spec spec = {
	.command = "rm",
	.usage = "NAME... [options]",
	.about = "Remove rings that nobody uses, also plain-file rings by their path. Refuses for "
		 "a\n"
		 "ring in use and says who uses it.",
	.options = options,
	.min_operands = 1,
	.max_operands = INT_MAX,
	.operand = "a ring's NAME",
};

int cmd_rm(int argc, char **argv)
{
	struct myelon_dir_opts o;
	char **names;
	struct json j;
	int code = CLI_OK, rc;

	rc = args_parse(&spec, argc, argv, &names);
	if (rc != ARGS_RUN)
		return rc;
	o = MYELON_DIR_OPTS(.flags = (force ? MYELON_F_FORCE : 0) |
	                             (any_owner ? MYELON_F_ANY_OWNER : 0),
	                    .hugetlb_dir = cli_common.hugetlb_dir, .shm_dir = cli_common.shm_dir);
	if (as_json) {
		json_begin(&j, stdout, false);
		json_object(&j, NULL);
		json_array(&j, "rings");
	}
	for (; *names; names++) {
		rc = myelon_ring_remove(*names, &o);
		if (rc < 0)
			code = cli_library_error(rc);
		if (!as_json)
			continue;
		json_object(&j, NULL);
		json_string(&j, "name", *names);
		json_bool(&j, "removed", rc == 0);
		json_string(&j, "error", rc < 0 ? cli_words(myelon_last_error()) : NULL);
		json_object_end(&j);
	}
	if (as_json) {
		json_array_end(&j);
		json_object_end(&j);
		json_end(&j);
	}
	return cli_finish(code);
}
