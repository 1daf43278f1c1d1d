/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The keeper's thread and its loop, or the application's calls in its place.
 *
 * After each sleep the loop listens again before anything that came is handled: what changes from
 * then on is another event, what changed before is covered by the handling.
 */
#include "wait/keeper.h"

#include <myelon/keeper.h>

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/epoll.h>

#include "base/error.h"
#include "base/handle.h"
#include "base/opts.h"
#include "sys/sys.h"
#include "wait/loop.h"

#define BATCH 16

struct call {
	int (*fn)(void *arg);
	void *arg;
	int rc;
	bool done;
	struct call *next;
};

struct keeper {
	pthread_mutex_t lock; /* holds, start, end */
	unsigned int holds;
	bool driven;
	bool running; /* the thread below */
	pthread_t thread;
	struct mye_loop *loop;

	/* Calls of others to the thread. Zeroed by fork, as all of this, they are what their
	   initialisers make them. */
	pthread_mutex_t queue_lock;
	pthread_cond_t queue_done;
	struct call *first, **last;
	bool stop;

	/* Driven by the application: who is inside, and who wants to be. */
	pthread_mutex_t inside;
	pthread_cond_t let_in;
	uint32_t wanted;

	/* Only on the keeper's thread. */
	struct mye_task *tasks;
	struct mye_loop_event batch[BATCH];
	int batch_at, batch_count;

	struct mye_task alarm; /* driven: the next deadline makes the descriptor readable */
	int alarm_fd;

	uint32_t tid;        /* of the thread */
	uint32_t inside_tid; /* driven: who services */
	struct mye_keeper_counts counts;
};

static struct keeper *keeper; /* in wiped pages: a forked child finds it as new */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void allocate(void)
{
	keeper = mye_handle_alloc(sizeof(*keeper));
}

static struct keeper *get(void)
{
	pthread_once(&once, allocate);
	return keeper;
}

struct mye_keeper_counts *mye_keeper_counts(void)
{
	static struct mye_keeper_counts nowhere;
	struct keeper *k = get();

	return k ? &k->counts : &nowhere;
}

/* Tasks. */

static void link_task(struct mye_task *t)
{
	struct keeper *k = keeper;

	t->linked = true;
	t->prev = NULL;
	t->next = k->tasks;
	if (t->next)
		t->next->prev = t;
	k->tasks = t;
}

static uint64_t tag_of(const struct mye_task *t)
{
	return (uint64_t)(uintptr_t)t;
}

static int begun(struct mye_task *t, int rc)
{
	if (rc < 0)
		return rc;
	t->tag = tag_of(t);
	link_task(t);
	return 0;
}

int mye_task_bell(struct mye_task *t, const uint32_t *word, int eventfd)
{
	return begun(t, mye_loop_add_bell(keeper->loop, word, eventfd, &keeper->counts.wakes,
	                                  tag_of(t)));
}

int mye_task_word(struct mye_task *t, const uint32_t *word)
{
	return begun(t, mye_loop_add_word(keeper->loop, word, tag_of(t)));
}

int mye_task_fd(struct mye_task *t, int fd, uint32_t events)
{
	return begun(t, mye_loop_add_fd(keeper->loop, fd, events, tag_of(t)));
}

void mye_task_timer(struct mye_task *t)
{
	t->tag = 0;
	link_task(t);
}

void mye_task_end(struct mye_task *t)
{
	struct keeper *k = keeper;
	int i;

	if (!t->linked)
		return;
	if (t->tag) {
		mye_loop_remove(k->loop, t->tag);
		for (i = k->batch_at; i < k->batch_count; i++)
			if (k->batch[i].tag == t->tag)
				k->batch[i].tag = 0;
	}
	if (t->next)
		t->next->prev = t->prev;
	if (t->prev)
		t->prev->next = t->next;
	else
		k->tasks = t->next;
	t->tag = 0;
	t->linked = false;
	t->next = t->prev = NULL;
}

static int64_t next_deadline(const struct keeper *k)
{
	int64_t first = MYELON_FOREVER;

	for (const struct mye_task *t = k->tasks; t; t = t->next)
		if (t->deadline < first)
			first = t->deadline;
	return first;
}

/* A task that expires may end others: from the start again after each. */
static int expire(struct keeper *k)
{
	int64_t now = mye_now();
	struct mye_task *t;
	int done = 0;

again:
	for (t = k->tasks; t; t = t->next) {
		if (t->deadline > now)
			continue;
		t->deadline = MYELON_FOREVER;
		done++;
		t->expired(t);
		goto again;
	}
	return done;
}

/* One turn: sleep, listen, handle. @return how many things were done, or negative. */
static int turn(struct keeper *k, int64_t deadline)
{
	int64_t first = next_deadline(k);
	int n;

	n = mye_loop_sleep(k->loop, first < deadline ? first : deadline, k->batch, BATCH);
	__atomic_fetch_add(&k->counts.loops, 1, __ATOMIC_RELAXED);
	mye_loop_listen(k->loop);
	if (n < 0)
		return n;
	k->batch_count = n;
	for (k->batch_at = 0; k->batch_at < n;) {
		struct mye_loop_event e = k->batch[k->batch_at++];
		struct mye_task *t = (struct mye_task *)(uintptr_t)e.tag;

		if (t)
			t->ready(t, e.events);
	}
	k->batch_at = k->batch_count = 0;
	return n + expire(k);
}

/* The thread. */

static bool serve_calls(struct keeper *k)
{
	struct call *call;
	bool stop;

	pthread_mutex_lock(&k->queue_lock);
	while ((call = k->first) != NULL) {
		k->first = call->next;
		if (!k->first)
			k->last = &k->first;
		pthread_mutex_unlock(&k->queue_lock);
		call->rc = call->fn(call->arg);
		pthread_mutex_lock(&k->queue_lock);
		call->done = true;
		pthread_cond_broadcast(&k->queue_done);
	}
	stop = k->stop;
	pthread_mutex_unlock(&k->queue_lock);
	return stop;
}

static void *run(void *arg)
{
	struct keeper *k = arg;

	mye_thread_name("myelon-keeper");
	mye_keeper_cpu_begin();
	mye_robust_install();
	__atomic_store_n(&k->tid, mye_tid(), __ATOMIC_RELAXED);
	while (!serve_calls(k)) {
		mye_loop_listen(k->loop);
		/* Nothing the loop can fail with goes away by itself: not a busy loop at least. */
		if (turn(k, MYELON_FOREVER) < 0)
			mye_sleep_until(mye_now() + 1000000);
	}
	mye_robust_uninstall();
	__atomic_store_n(&k->tid, 0, __ATOMIC_RELAXED);
	return NULL;
}

static int engine_of_keeper(enum myelon_engine *engine)
{
	int env = mye_engine_from_env();

	if (env < 0)
		return env;
	*engine = env == MYELON_ENGINE_DIRECT || env == MYELON_ENGINE_PROXY
	                  ? MYELON_ENGINE_AUTO
	                  : (enum myelon_engine)env;
	return 0;
}

static int open_loop(struct keeper *k, uint32_t flags)
{
	enum myelon_engine engine = MYELON_ENGINE_AUTO;
	int rc = engine_of_keeper(&engine);

	return rc < 0 ? rc : mye_loop_open(&k->loop, engine, flags);
}

static int start(struct keeper *k)
{
	int rc = open_loop(k, 0);

	if (rc < 0)
		return rc;
	k->stop = false;
	k->last = &k->first;
	rc = mye_thread_start(&k->thread, run, k);
	if (rc < 0) {
		mye_loop_close(k->loop);
		k->loop = NULL;
		return mye_fail(rc, "the keeper thread cannot be started: %s", myelon_strerror(rc));
	}
	k->running = true;
	return 0;
}

static void end(struct keeper *k)
{
	pthread_mutex_lock(&k->queue_lock);
	k->stop = true;
	pthread_mutex_unlock(&k->queue_lock);
	mye_loop_wake(k->loop);
	pthread_join(k->thread, NULL);
	mye_loop_close(k->loop);
	k->loop = NULL;
	k->running = false;
}

int mye_keeper_hold(void)
{
	struct keeper *k = get();
	int rc = 0;

	if (!k)
		return -ENOMEM;
	pthread_mutex_lock(&k->lock);
	if (!k->driven && !k->running)
		rc = start(k);
	if (rc == 0)
		k->holds++;
	pthread_mutex_unlock(&k->lock);
	return rc;
}

void mye_keeper_drop(void)
{
	struct keeper *k = get();

	if (!k)
		return;
	pthread_mutex_lock(&k->lock);
	if (k->holds && --k->holds == 0 && k->running)
		end(k);
	pthread_mutex_unlock(&k->lock);
}

static int call_thread(struct keeper *k, struct call *call)
{
	pthread_mutex_lock(&k->queue_lock);
	*k->last = call;
	k->last = &call->next;
	pthread_mutex_unlock(&k->queue_lock);
	mye_loop_wake(k->loop);
	pthread_mutex_lock(&k->queue_lock);
	while (!call->done)
		pthread_cond_wait(&k->queue_done, &k->queue_lock);
	pthread_mutex_unlock(&k->queue_lock);
	return call->rc;
}

/* For who waits on the descriptor instead of sleeping in turn(). */
static void ready_for_poll(struct keeper *k)
{
	mye_timerfd_set(k->alarm_fd, next_deadline(k), 0);
	mye_loop_listen(k->loop);
	mye_loop_arm(k->loop);
}

static int call_inside(struct keeper *k, struct call *call)
{
	int rc;

	__atomic_fetch_add(&k->wanted, 1, __ATOMIC_SEQ_CST);
	mye_loop_wake(k->loop);
	pthread_mutex_lock(&k->inside);
	rc = call->fn(call->arg);
	ready_for_poll(k);
	__atomic_fetch_sub(&k->wanted, 1, __ATOMIC_SEQ_CST);
	pthread_cond_broadcast(&k->let_in);
	pthread_mutex_unlock(&k->inside);
	return rc;
}

/* Is this a task, or a hook that one called? Only the thread that is asked about itself can be found there. */
static bool on_keeper(const struct keeper *k)
{
	const uint32_t *tid = k->driven ? &k->inside_tid : &k->tid;

	return __atomic_load_n(tid, __ATOMIC_RELAXED) == mye_tid();
}

int mye_keeper_call(int (*fn)(void *arg), void *arg)
{
	struct call call = {.fn = fn, .arg = arg};
	struct keeper *k = get();

	if (!k || !k->loop)
		return -EINVAL;
	if (on_keeper(k))
		return fn(arg);
	return k->driven ? call_inside(k, &call) : call_thread(k, &call);
}

bool mye_keeper_is_thread(void)
{
	struct keeper *k = get();

	return k && k->running;
}

/* Driven by the application. */

static void alarm_rang(struct mye_task *t, uint32_t events)
{
	(void)t;
	(void)events;
	mye_timerfd_clear(keeper->alarm_fd);
}

static int drive(struct keeper *k)
{
	int rc = open_loop(k, MYE_LOOP_POLLABLE);

	if (rc < 0)
		return rc;
	mye_fork_enter();
	rc = k->alarm_fd = mye_fork_keep(mye_timerfd_create());
	mye_fork_leave();
	if (rc >= 0) {
		k->alarm = (struct mye_task){.ready = alarm_rang, .deadline = MYELON_FOREVER};
		rc = mye_task_fd(&k->alarm, k->alarm_fd, EPOLLIN);
		if (rc == 0) {
			k->driven = true;
			ready_for_poll(k);
			return 0;
		}
		mye_fork_close(k->alarm_fd);
	}
	mye_loop_close(k->loop);
	k->loop = NULL;
	return rc;
}

int myelon_keeper_fd(void)
{
	struct keeper *k = get();
	int rc = 0;

	if (!k)
		return -ENOMEM;
	pthread_mutex_lock(&k->lock);
	if (k->running)
		rc = mye_fail_static(-EBUSY, "the keeper thread runs already: call "
		                             "myelon_keeper_fd() before anything needs it");
	else if (!k->driven)
		rc = drive(k);
	if (rc == 0)
		rc = mye_loop_fd(k->loop);
	pthread_mutex_unlock(&k->lock);
	return rc;
}

static int service(struct keeper *k, int64_t deadline)
{
	int done = 0, n;

	mye_loop_listen(k->loop);
	do {
		n = turn(k, done ? MYELON_TRY : deadline);
		done += n > 0 ? n : 0;
	} while (n > 0);
	ready_for_poll(k);
	return n < 0 && !done ? n : done;
}

int myelon_keeper_service(int64_t deadline)
{
	struct keeper *k = get();
	int rc;

	if (!k || !k->driven)
		return mye_fail_static(-EINVAL, "the application does not drive the keeper: call "
		                                "myelon_keeper_fd() first");
	pthread_mutex_lock(&k->inside);
	while (__atomic_load_n(&k->wanted, __ATOMIC_SEQ_CST))
		pthread_cond_wait(&k->let_in, &k->inside);
	__atomic_store_n(&k->inside_tid, mye_tid(), __ATOMIC_RELAXED);
	rc = service(k, deadline);
	__atomic_store_n(&k->inside_tid, 0, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&k->inside);
	return rc;
}

int myelon_keeper_info(struct myelon_keeper_info *info)
{
	struct keeper *k = get();
	struct myelon_keeper_info now = {.size = sizeof(now)};

	if (k) {
		const struct mye_keeper_counts *n = &k->counts;

		pthread_mutex_lock(&k->lock);
		now.running = k->driven ? 2 : k->running;
		now.engine = k->loop ? mye_loop_engine(k->loop) : MYELON_ENGINE_AUTO;
		pthread_mutex_unlock(&k->lock);
		now.tid = __atomic_load_n(&k->tid, __ATOMIC_RELAXED);
		now.proxies = __atomic_load_n(&n->proxies, __ATOMIC_RELAXED);
		now.adopted = __atomic_load_n(&n->adopted, __ATOMIC_RELAXED);
		now.leases = __atomic_load_n(&n->leases, __ATOMIC_RELAXED);
		now.refused = __atomic_load_n(&n->refused, __ATOMIC_RELAXED);
		now.wakes = __atomic_load_n(&n->wakes, __ATOMIC_RELAXED);
		now.loops = __atomic_load_n(&n->loops, __ATOMIC_RELAXED);
	}
	return mye_info_write(info, &now, sizeof(now), "keeper info");
}
