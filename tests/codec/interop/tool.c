/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "tool.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <myelon/myelon.h>

#include "zoo.h"

#define MAX_ARGS 8

const struct subject subjects[3] = {
	{"zoo", &zoo_type},
	{"batch", &batch_type},
	{"node", &zoo_node},
};

const char *tool_path(const char *name, bool made, const char *what, const char *packages)
{
	static char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char why[256], *slash;

	cr_assert(n > 0);
	path[n] = '\0';
	slash = strrchr(path, '/');
	snprintf(slash + 1, sizeof(path) - (size_t)(slash + 1 - path), "%s", name);
	if (access(path, X_OK) == 0)
		return path;
	cr_assert(!made, "%s was not built; building it said why", path);
	snprintf(why, sizeof(why), "install %s and configure again", packages);
	row_skip(what, why);
}

struct exec {
	int in, out;
	const char *args[MAX_ARGS];
};

/* The actor's own output is for what goes wrong; the answers go through a pipe. */
static int run(void *arg)
{
	struct exec *e = arg;

	if (dup2(e->in, STDIN_FILENO) < 0 || dup2(e->out, STDOUT_FILENO) < 0)
		return 126;
	/* execv() does not write to its arguments; its type is older than const. */
	execv(e->args[0], (char *const *)(uintptr_t)e->args);
	dprintf(STDERR_FILENO, "cannot execute %s: %s\n", e->args[0], strerror(errno));
	return 127;
}

void tool_start(struct tool *t, const char *path, ...)
{
	struct exec e = {.args = {path}};
	int in[2], out[2];
	va_list ap;

	/* A tool that died is a failed write, with what it said, and not the end of the test. */
	signal(SIGPIPE, SIG_IGN);
	va_start(ap, path);
	for (size_t n = 1; n < MAX_ARGS - 1 && (e.args[n] = va_arg(ap, const char *));)
		n++;
	va_end(ap);
	cr_assert(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
	e.in = in[0];
	e.out = out[1];
	memset(t, 0, sizeof(*t));
	cr_assert_eq(kit_fork(&t->actor, run, &e), 0);
	close(in[0]);
	close(out[1]);
	t->to = in[1];
	t->from = out[0];
}

static bool write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static bool read_all(int fd, void *data, size_t len)
{
	char *p = data;

	while (len > 0) {
		ssize_t n = read(fd, p, len);

		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

bool tool_ask(struct tool *t, const void *bytes, size_t len)
{
	uint32_t n = (uint32_t)len;
	unsigned char status = 0;
	bool answered = write_all(t->to, &n, sizeof(n)) && write_all(t->to, bytes, len) &&
	                read_all(t->from, &status, 1) && read_all(t->from, &n, sizeof(n));

	free(t->answer);
	t->answer = answered ? malloc((size_t)n + 1) : NULL;
	answered = t->answer && read_all(t->from, t->answer, n);
	if (!answered)
		kit_wait(&t->actor, 10);
	cr_assert(answered, "the tool gave no answer to %zu bytes: %s", len, t->actor.output);
	t->answer[n] = '\0';
	t->len = n;
	return status == 0;
}

void tool_end(struct tool *t)
{
	close(t->to);
	cr_assert_eq(kit_wait(&t->actor, 30), 0, "%s", t->actor.output);
	close(t->from);
	free(t->answer);
}

struct bytes bytes_encode(const struct myelon_codec *c, const void *object)
{
	int64_t bound = myelon_codec_bound(c, object);
	struct bytes b;

	cr_assert(bound >= 0, "%s", myelon_last_error());
	b.data = aligned_alloc(16, ((size_t)bound + 16) & ~(size_t)15);
	cr_assert(b.data);
	bound = myelon_codec_encode(c, object, b.data, (size_t)bound);
	cr_assert(bound >= 0, "%s", myelon_last_error());
	b.len = (size_t)bound;
	return b;
}

bool bytes_spoil(struct bytes *b, bool small, uint64_t k)
{
	static const unsigned char set[] = {0, 1, 2, 0x7f, 0x80, 0xff};
	static const signed char add[] = {1, -1, 4, -4, 8, -8, 16, -16};
	struct object_rng r = {.state = k ^ 0xbad};
	uint64_t ways = sizeof(set) + sizeof(add), changes = small ? b->len * ways : 0;
	uint64_t way = k % ways;

	if (k >= changes) {
		b->len = object_mangle(&r, b->data, b->len);
		return k < changes + SPOILED_AT_RANDOM;
	}
	if (way < sizeof(set))
		b->data[k / ways] = set[way];
	else
		b->data[k / ways] += (unsigned char)add[way - sizeof(set)];
	return true;
}

void subject_fill(const struct subject *s, union object *object, uint64_t i,
                  struct myelon_arena *arena)
{
	struct object_rng r = {.state = i * 7919,
	                       .most = 1 + (uint32_t)(i % 5),
	                       .depth = 1 + (uint32_t)(i / 5 % 5)};

	cr_assert(s->type->size <= sizeof(*object));
	object_fill(s->type, object, &r, arena);
}

void verdict_add(struct verdicts *v, bool ours, bool theirs, const char *their_sentence)
{
	unsigned int n = v->ours + v->theirs;

	if (ours && theirs)
		v->both++;
	else if (!ours && !theirs)
		v->none++;
	else if (ours && v->ours++ == 0)
		snprintf(v->example, sizeof(v->example), "%s", their_sentence);
	else if (theirs)
		v->theirs++;
	if (ours != theirs && n < 10)
		printf("taken by %s alone: %s\n", ours ? "us" : "the tool",
		       ours ? their_sentence : myelon_last_error());
}
