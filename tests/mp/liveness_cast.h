/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A supervised producer, which is the test, and its consumers, which are processes. Consumer i reads
 * until word ALLOW + i says how many it may have read, and then waits. What it expects next is in its
 * result, so that whoever comes back under its id must go on there.
 */
#ifndef MYELON_TEST_LIVENESS_CAST_H
#define MYELON_TEST_LIVENESS_CAST_H

#include "ring_cast.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SEED 0x11feull
#define SLOT 64
#define WINDOW 8
#define READY 0  /* + index: attached */
#define ALLOW 16 /* + index */
#define COPIED 15
#define LET_GO 14 /* a word: the copy may end */
#define START 32  /* + index: attach now */
#define ALL 1000000u
#define HANG_NS 600000000000ll /* never, in a test */
#define MS 1000000ll

/* LEAVES_A_KEEPER: a copy that ends when LET_GO says so. */
enum life { READS, EXECS, EXECS_LATER, LEAVES_A_COPY, LEAVES_A_KEEPER };

struct member {
	struct kit_page *page;
	const char *name;
	const char *id;
	unsigned int index;
	uint32_t end;   /* close after so many; 0: never */
	uint32_t every; /* us between messages */
	uint32_t flags; /* MYELON_F_* */
	size_t memory;  /* bytes that it touches */
	enum life life;
	bool awaits; /* word START + index before it attaches */
	bool framed;
};

static struct cast cast;
static struct myelon_producer *ring;

/* What the hook was told, and what it does. */
static struct {
	uint32_t count;
	struct myelon_failure last;
	uint32_t set; /* this word to 1; 0: none */
	uint32_t allow;
	pid_t signal_pid;
	int signal;
} heard;

static inline void hear(void *ctx, const struct myelon_failure *alert)
{
	(void)ctx;
	heard.count++;
	heard.last = *alert;
	if (heard.set)
		kit_set(cast.page, heard.set, 1);
	if (heard.allow)
		kit_set(cast.page, heard.allow, ALL);
	if (heard.signal)
		kill(heard.signal_pid, heard.signal);
}

static inline int member_fail(const struct member *m, const char *what, int rc)
{
	kit_violation(&m->page->result[m->index], "%s: %d: %s", what, rc, myelon_last_error());
	return 1;
}

static inline int member_read(const struct member *m, struct myelon_consumer *c)
{
	struct kit_result *r = &m->page->result[m->index];
	struct myelon_view v;
	int rc = myelon_peek(c, 1, MYELON_FOREVER, &v);

	if (rc < 0)
		return rc;
	/* value[0]: what was read last, + 1. */
	if (r->value[1] && (uint64_t)v.seq != r->value[0])
		kit_violation(r, "%s: %lld comes after %llu", m->id, (long long)v.seq,
		              (unsigned long long)r->value[0]);
	if (kit_check(v.base, SLOT, SEED, (uint64_t)v.seq) >= 0)
		kit_violation(r, "%s: content of %lld", m->id, (long long)v.seq);
	r->value[0] = (uint64_t)v.seq + 1;
	r->value[1] = 1;
	rc = myelon_release(c, 1);
	r->count++;
	return rc;
}

static inline void member_rest(uint32_t us)
{
	const struct timespec t = {.tv_nsec = (long)us * 1000};

	nanosleep(&t, NULL);
}

/* A child that the library knows nothing of, and which holds everything that is open for a while longer. */
static inline void member_leave_copy(const struct member *m)
{
	pid_t parent = getpid();

	if (syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) != 0)
		return;
	kit_set(m->page, COPIED, 1);
	while (m->life == LEAVES_A_COPY && getppid() == parent)
		member_rest(500);
	if (m->life == LEAVES_A_COPY)
		member_rest(100000);
	else
		kit_await(m->page, LET_GO, 1, 60);
	_exit(0);
}

/* Once it has read what it may. */
static inline void member_idle(const struct member *m, bool *copied)
{
	if (m->life == EXECS_LATER)
		member_rest(60000);
	if (m->life == EXECS || m->life == EXECS_LATER)
		execlp("sleep", "sleep", "1000", (char *)NULL);
	if ((m->life == LEAVES_A_COPY || m->life == LEAVES_A_KEEPER) && !*copied)
		member_leave_copy(m);
	*copied = true;
	member_rest(500);
}

static int member_consume(const struct member *m)
{
	bool copied = false;
	struct kit_result *r = &m->page->result[m->index];
	struct myelon_attach_opts o =
		MYELON_ATTACH_OPTS(.id = m->id, .wait = MYELON_WAIT_PARK, .flags = m->flags);
	struct myelon_consumer *c;
	int rc;

	if (m->memory && mmap(NULL, m->memory, PROT_READ | PROT_WRITE,
	                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0) == MAP_FAILED)
		return member_fail(m, "mmap", -errno);
	if (m->awaits && !kit_await(m->page, START + m->index, 1, 60))
		return 2;
	/* Who comes in place of one that is dying waits until its lock is free. */
	while ((rc = myelon_consumer_attach(&c, m->name, &o)) == -EBUSY && m->awaits)
		member_rest(1000);
	if (rc < 0)
		return member_fail(m, "attach", rc);
	kit_set(m->page, READY + m->index, 1);
	while (!m->end || r->count < m->end) {
		if (r->count >= m->page->word[ALLOW + m->index]) {
			member_idle(m, &copied);
			continue;
		}
		rc = member_read(m, c);
		if (rc == -EPIPE)
			break;
		if (rc < 0)
			return member_fail(m, "read", rc);
		if (m->every)
			member_rest(m->every);
	}
	myelon_consumer_close(c);
	return 0;
}

/* In a pid namespace of its own, where no pidfd of it can be had; result 9 has the pid as it is here. */
static inline int member_consume_elsewhere(void *arg)
{
	struct member *m = arg;
	int status;
	pid_t pid;

	if (unshare(CLONE_NEWPID) < 0)
		return 77;
	pid = fork();
	if (pid == 0)
		_exit(member_consume(m));
	m->page->result[9].value[0] = (uint64_t)pid;
	kit_set(m->page, COPIED, 1);
	return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) ? 0 : 1;
}

static inline int member_run(void *arg)
{
	return member_consume(arg);
}

static inline void member_start(unsigned int actor, const struct member *model)
{
	static struct member m[CAST];

	m[actor] = *model;
	m[actor].page = cast.page;
	m[actor].name = cast.name;
	cr_assert_eq(kit_fork(&cast.actor[actor], member_run, &m[actor]), 0);
}

/* Actor @p i as consumer @p id, which reads @p allow and waits. Attached when it returns. */
static inline void member_join(unsigned int i, const char *id, uint32_t allow)
{
	kit_set(cast.page, READY + i, 0);
	kit_set(cast.page, ALLOW + i, allow);
	member_start(i, &(struct member){.id = id, .index = i});
	cr_assert(kit_await(cast.page, READY + i, 1, 30), "%s does not come", id);
}

static inline struct kit_result *member_of(unsigned int i)
{
	return &cast.page->result[i];
}

/* Something happens to a process while the producer is blocked. */
struct blow {
	pid_t pid;
	int signal;
};

static inline int strike(void *arg)
{
	const struct blow *b = arg;

	cast_rest(30);
	return kill(b->pid, b->signal) < 0;
}

static inline void strike_later(unsigned int actor, pid_t pid, int signal)
{
	static struct blow b[CAST];

	b[actor] = (struct blow){.pid = pid, .signal = signal};
	cr_assert_eq(kit_fork(&cast.actor[actor], strike, &b[actor]), 0);
}

static inline void begin_ring(uint32_t wait)
{
	cast_begin(&cast);
	memset(&heard, 0, sizeof(heard));
	cr_assert_eq(myelon_producer_create(&ring, cast.name,
	                                    &MYELON_RING_OPTS(.slot_size = SLOT, .window = WINDOW,
	                                                      .wait = wait,
	                                                      .backing = MYELON_BACKING_SHM,
	                                                      .huge = MYELON_HUGE_OFF)),
	             0, "%s", myelon_last_error());
}

static inline void end_ring(void)
{
	myelon_producer_close(ring);
	ring = NULL;
	cast_end(&cast, true);
}

#define REQUIRE(...)                                                                               \
	cr_assert_eq(                                                                              \
		myelon_producer_require(ring, &MYELON_LIVENESS_OPTS(.hook = hear, __VA_ARGS__)),   \
		0, "%s", myelon_last_error())

static inline int send_until(int64_t deadline)
{
	unsigned char slot[SLOT];

	kit_fill(slot, sizeof(slot), SEED, (uint64_t)myelon_producer_published(ring) + 1);
	return myelon_publish_copy_managed(ring, slot, 1, deadline);
}

static inline int send_plain(void)
{
	unsigned char slot[SLOT];

	kit_fill(slot, sizeof(slot), SEED, (uint64_t)myelon_producer_published(ring) + 1);
	return myelon_publish_copy(ring, slot, 1, kit_deadline(30));
}

static inline int send(void)
{
	return send_until(kit_deadline(60));
}

/* Send until it fails. @return why. */
static inline int send_all(uint32_t most)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < most; i++)
		rc = send();
	return rc;
}

static inline struct myelon_failure failure(void)
{
	struct myelon_failure f = MYELON_FAILURE_INIT;

	cr_assert_geq(myelon_producer_failure(ring, &f), 0);
	return f;
}

static inline void expect_failure(enum myelon_cause cause, const char *id, int64_t last)
{
	struct myelon_failure f = failure();

	cr_assert_eq(f.cause, cause, "%s: %s", myelon_cause_name(f.cause), myelon_last_error());
	cr_assert_str_eq(f.id, id);
	cr_assert_eq(f.last_seq, last, "last is %lld", (long long)f.last_seq);
	cr_assert_geq(f.stalled_ns, 0);
}

#endif
