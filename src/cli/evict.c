/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* `myelon evict`: stop waiting for one consumer. */
#include <errno.h>
#include <stdio.h>

#include "args.h"
#include "cli.h"
#include "json.h"

static bool force, as_json, any_owner;

static const struct arg options[] = {
	{.name = "force",
         .type = ARG_FLAG,
         .value = &force,
         .help = "also one that lives: it ends with an error, and loses what it has\n"
                 "not read"},
	{.name = "any-owner",
         .type = ARG_FLAG,
         .value = &any_owner,
         .help = "also of a ring of another user"},
	{.name = "json", .type = ARG_FLAG, .value = &as_json, .help = "what was done, as JSON"},
	{0},
};

static const struct args_spec spec = {
	.command = "evict",
	.usage = "NAME ID [options]",
	.about =
		"Stop waiting for the consumer ID of the ring NAME: a dead one holds the producer\n"
		"up until it comes back or is evicted. Refuses for a living one. The same ID may\n"
		"attach again; it goes on where it left off and is told what it lost.",
	.options = options,
	.min_operands = 2,
	.max_operands = 2,
	.operand = "a ring's NAME and a consumer's ID",
};

static void print_json(const char *name, const char *id, int rc)
{
	struct json j;

	json_begin(&j, stdout, false);
	json_object(&j, NULL);
	json_string(&j, "name", name);
	json_string(&j, "id", id);
	json_bool(&j, "evicted", rc == 1);
	json_bool(&j, "lives", rc == -EBUSY);
	json_string(&j, "error", rc < 0 ? cli_words(myelon_last_error()) : NULL);
	json_object_end(&j);
	json_end(&j);
}

int cmd_evict(int argc, char **argv)
{
	struct myelon_dir_opts o;
	char **operands;
	int rc = args_parse(&spec, argc, argv, &operands), code = CLI_OK;

	if (rc != ARGS_RUN)
		return rc;
	o = MYELON_DIR_OPTS(.flags = any_owner ? MYELON_F_ANY_OWNER : 0,
	                    .hugetlb_dir = cli_common.hugetlb_dir, .shm_dir = cli_common.shm_dir);
	rc = myelon_evict(operands[0], operands[1], force ? MYELON_F_FORCE : 0, &o);
	if (rc < 0)
		code = cli_library_error(rc);
	else if (rc == 0)
		cli_note("consumer %s of ring %s has left or was evicted before: nobody waits for "
		         "it",
		         operands[1], operands[0]);
	if (as_json)
		print_json(operands[0], operands[1], rc);
	return cli_finish(code);
}
