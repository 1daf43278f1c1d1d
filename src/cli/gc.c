/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* `myelon gc`: remove what no live process owns. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "cli.h"
#include "fmt.h"
#include "json.h"

static bool as_json, any_owner, dry_run;

static const struct arg options[] = {
	{.name = "dry-run",
         .type = ARG_FLAG,
         .value = &dry_run,
         .help = "remove nothing; say what would be removed, and why the rest is not"},
	{.name = "any-owner",
         .type = ARG_FLAG,
         .value = &any_owner,
         .help = "also files of other users"},
	{.name = "json", .type = ARG_FLAG, .value = &as_json, .help = "as JSON"},
	{0},
};

static const struct args_spec spec = {
	.command = "gc",
	.usage = "[options]",
	.about = "Remove the files of rings whose processes were all killed, from the shm and the\n"
		 "hugetlbfs directories. Rings in use, plain-file rings and those created with\n"
		 "--keep stay.",
	.options = options,
};

struct sweep {
	struct json json;
	uint64_t removed, bytes, failed, kept, in_use;
};

/* What the library says, without the path that is printed before it. */
static const char *reason_of(const struct myelon_gc_item *item)
{
	const char *reason = cli_words(item->reason);
	size_t n = strlen(item->path);

	return strncmp(reason, item->path, n) == 0 && reason[n] == ' ' ? reason + n + 1 : reason;
}

static int on_item(void *ctx, const struct myelon_gc_item *item)
{
	struct sweep *s = ctx;

	if (item->error == 0) {
		s->removed++;
		s->bytes += item->bytes;
	} else if (item->error == -EBUSY) {
		s->in_use++;
	} else if (item->error == -EPERM) {
		/* Kept by intention, or not ours. */
		s->kept++;
	} else {
		s->failed++;
	}
	if (as_json) {
		json_object(&s->json, NULL);
		json_string(&s->json, "path", item->path);
		json_bool(&s->json, "removed", item->error == 0 && !dry_run);
		json_bool(&s->json, "removable", item->error == 0);
		json_uint(&s->json, "bytes", item->bytes);
		json_string(&s->json, "error", item->error ? myelon_strerror(item->error) : NULL);
		json_string(&s->json, "reason", reason_of(item));
		json_object_end(&s->json);
	} else if (item->error == 0) {
		struct fmt bytes;

		printf("%s %s (%s): %s\n", dry_run ? "would remove" : "removed", item->path,
		       fmt_bytes(&bytes, item->bytes), item->reason);
	} else if (item->error != -EBUSY || dry_run) {
		printf("%s %s: %s\n",
		       item->error == -EPERM || item->error == -EBUSY ? "kept" : "failed",
		       item->path, reason_of(item));
	}
	return 0;
}

static void print_total(struct sweep *s)
{
	struct fmt bytes;

	if (as_json) {
		json_array_end(&s->json);
		json_bool(&s->json, "dry_run", dry_run);
		json_uint(&s->json, "removed", dry_run ? 0 : s->removed);
		json_uint(&s->json, "removable", s->removed);
		json_uint(&s->json, "bytes", s->bytes);
		json_uint(&s->json, "in_use", s->in_use);
		json_uint(&s->json, "kept", s->kept);
		json_uint(&s->json, "failed", s->failed);
		json_object_end(&s->json);
		json_end(&s->json);
	} else if (!cli_common.quiet) {
		printf("%llu files %s, %s; %llu in use, %llu kept, %llu failed\n",
		       (unsigned long long)s->removed, dry_run ? "would be removed" : "removed",
		       fmt_bytes(&bytes, s->bytes), (unsigned long long)s->in_use,
		       (unsigned long long)s->kept, (unsigned long long)s->failed);
	}
}

int cmd_gc(int argc, char **argv)
{
	struct sweep s = {0};
	struct myelon_dir_opts o;
	char **operands;
	int rc;

	rc = args_parse(&spec, argc, argv, &operands);
	if (rc != ARGS_RUN)
		return rc;
	o = MYELON_DIR_OPTS(.flags = (any_owner ? MYELON_F_ANY_OWNER : 0) |
	                             (dry_run ? MYELON_F_DRY_RUN : 0),
	                    .hugetlb_dir = cli_common.hugetlb_dir, .shm_dir = cli_common.shm_dir);
	if (as_json) {
		json_begin(&s.json, stdout, false);
		json_object(&s.json, NULL);
		json_array(&s.json, "files");
	}
	rc = myelon_gc(&o, on_item, &s);
	print_total(&s);
	if (rc < 0)
		return cli_finish(cli_library_error(rc));
	return cli_finish(s.failed ? CLI_FAILURE : CLI_OK);
}
