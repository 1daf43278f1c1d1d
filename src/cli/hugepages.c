/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* `myelon hugepages`: what huge pages there are; add some, mount them. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "cli.h"
#include "fmt.h"
#include "hugepages.h"

static bool as_json;
static uint64_t size, pages;
static int node = -1;

static const char *parse_node(const char *text, void *value)
{
	uint64_t n;
	const char *wrong = args_number(text, &n);

	if (wrong || n > INT32_MAX)
		return "is not the number of a node";
	*(int *)value = (int)n;
	return NULL;
}

static const struct arg options[] = {
	{.name = "size",
         .type = ARG_NUMBER,
         .value = &size,
         .metavar = "BYTES",
         .help = "page size: 2M, 1G, ... (default: the smallest)",
         .min = 1},
	{.name = "pages",
         .type = ARG_NUMBER,
         .value = &pages,
         .metavar = "N",
         .help = "reserve: how many pages must be free",
         .min = 1},
	{.name = "node",
         .type = ARG_PARSE,
         .value = &node,
         .metavar = "N",
         .help = "reserve: on this NUMA node (default: anywhere)",
         .parse = parse_node},
	{.name = "json", .type = ARG_FLAG, .value = &as_json, .help = "as JSON"},
	{0},
};

static const struct args_spec spec = {
	.command = "hugepages",
	.usage = "show | reserve --pages N | mount DIR [options]",
	.about =
		"Huge pages of this machine.\n"
		"  show     the pools of each page size and node, the mounts, the limits\n"
		"  reserve  make sure that N pages are free, by adding to the pool; what is added\n"
		"           stays until the next boot, or until it is taken back by hand\n"
		"  mount    mount a file system of huge pages at DIR, which is made if it is "
		"missing\n"
		"The last two need root; without it, the message has the command for root.",
	.options = options,
	.min_operands = 1,
	.max_operands = 2,
	.operand = "show, reserve or mount",
};

/* -ENOENT and the like are about directories here, not about rings. */
static int failed(int rc)
{
	int code = rc == -EINVAL || rc == -ENAMETOOLONG ? CLI_USAGE : CLI_FAILURE;

	return cli_error(code, "%s", cli_words(myelon_last_error()));
}

static int first_size(void *ctx, const struct myelon_hugepage_pool *pool)
{
	*(uint64_t *)ctx = pool->page_size;
	return 1;
}

/* @return CLI_OK with a page size, or an exit code after a message. */
static int default_size(void)
{
	if (!size && !myelon_hugepage_pools(first_size, &size))
		return cli_error(CLI_FAILURE, "this kernel has no huge pages");
	return CLI_OK;
}

static int free_pages(void *ctx, const struct myelon_hugepage_pool *pool)
{
	uint64_t *spare = ctx;

	if (pool->page_size == size && pool->node < 0)
		*spare = pool->free > pool->reserved ? pool->free - pool->reserved : 0;
	else if (pool->page_size == size && pool->node == node && pool->free < *spare)
		*spare = pool->free;
	return 0;
}

static void reserve_json(uint64_t before, uint64_t got)
{
	struct json j;

	json_begin(&j, stdout, false);
	json_object(&j, NULL);
	json_uint(&j, "page_size", size);
	if (node < 0)
		json_null(&j, "node");
	else
		json_int(&j, "node", node);
	json_uint(&j, "free_before", before);
	json_uint(&j, "free", got);
	json_object_end(&j);
	json_end(&j);
}

static int reserve(char **operands)
{
	uint64_t before = 0, got;
	char where[32] = "";
	struct fmt bytes;
	int rc;

	if (operands[1])
		return cli_error(CLI_USAGE, "hugepages reserve: '%s' is one argument too many",
		                 operands[1]);
	if (!pages)
		return cli_error(CLI_USAGE, "hugepages reserve: --pages is missing: say how many "
		                            "pages must be free");
	rc = default_size();
	if (rc != CLI_OK)
		return rc;
	myelon_hugepage_pools(free_pages, &before);
	rc = myelon_hugepage_reserve(size, node, pages, &got);
	if (rc)
		return failed(rc);
	if (as_json) {
		reserve_json(before, got);
		return cli_finish(CLI_OK);
	}
	if (node >= 0)
		snprintf(where, sizeof(where), " on node %d", node);
	printf("%" PRIu64 " pages of %s are free%s (%" PRIu64 " before)\n", got,
	       fmt_bytes(&bytes, size), where, before);
	return cli_finish(CLI_OK);
}

static int mount_it(char **operands)
{
	struct fmt bytes;
	int rc;

	if (!operands[1])
		return cli_error(CLI_USAGE, "hugepages mount: DIR is missing: say where");
	if (pages || node >= 0)
		return cli_error(CLI_USAGE, "hugepages mount: --pages and --node are for reserve");
	rc = default_size();
	if (rc != CLI_OK)
		return rc;
	rc = myelon_hugepage_mount(operands[1], size);
	if (rc)
		return failed(rc);
	if (as_json) {
		struct json j;

		json_begin(&j, stdout, false);
		json_object(&j, NULL);
		json_string(&j, "dir", operands[1]);
		json_uint(&j, "page_size", size);
		json_object_end(&j);
		json_end(&j);
	} else {
		printf("pages of %s are mounted at %s\n", fmt_bytes(&bytes, size), operands[1]);
	}
	return cli_finish(CLI_OK);
}

int cmd_hugepages(int argc, char **argv)
{
	char **operands;
	int rc = args_parse(&spec, argc, argv, &operands);

	if (rc != ARGS_RUN)
		return rc;
	if (strcmp(operands[0], "reserve") == 0)
		return reserve(operands);
	if (strcmp(operands[0], "mount") == 0)
		return mount_it(operands);
	if (strcmp(operands[0], "show") != 0)
		return cli_error(CLI_USAGE,
		                 "hugepages: '%s' is none of show, reserve, mount: see 'myelon "
		                 "hugepages --help'",
		                 operands[0]);
	if (operands[1])
		return cli_error(CLI_USAGE, "hugepages show: '%s' is one argument too many",
		                 operands[1]);
	if (pages || node >= 0)
		return cli_error(CLI_USAGE, "hugepages show: --pages and --node are for reserve");
	rc = as_json ? hugepages_json(size) : hugepages_table(size);
	return rc ? failed(rc) : cli_finish(CLI_OK);
}
