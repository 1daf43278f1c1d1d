/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What is put into a wait set, changed there and taken out. */
#include <errno.h>

#include "base/error.h"
#include "base/handle.h"
#include "frame/format.h"
#include "ring/call.h"
#include "ring/sleeper.h"
#include "sys/sys.h"
#include "waitset/set.h"

int mye_set_check(const struct myelon_waitset *ws, const char *call)
{
	if (!ws)
		return mye_fail(-EINVAL, "%s: the wait set is NULL", call);
	return ws->magic == MYE_SET_MAGIC ? 0 : mye_opened_before_fork(call);
}

void mye_set_rouse(struct myelon_waitset *ws)
{
	if (!ws->armed)
		return;
	ws->armed = false;
	mye_loop_wake(ws->loop);
}

int mye_source_enter(struct mye_loop *loop, const struct mye_source *s)
{
	uint64_t tag = (uint64_t)s->id;

	switch (s->kind) {
	case MYELON_EVENT_CONSUMER:
		return mye_loop_add_word(loop, mye_consumer_bell(s->consumer.c), tag);
	case MYELON_EVENT_PRODUCER:
		return mye_loop_add_word(loop, mye_producer_bell(s->producer.p), tag);
	case MYELON_EVENT_PROCESS:
	case MYELON_EVENT_FD:
		return s->fd.done ? 0 : mye_loop_add_fd(loop, s->fd.fd, s->fd.events, tag);
	default:
		return 0;
	}
}

static void ring_leave(struct mye_source *s)
{
	struct myelon_waitset *ws = s->set;
	struct mye_segment *seg;

	mye_sources_remove(&ws->rings, s);
	if (s->kind == MYELON_EVENT_CONSUMER) {
		seg = &s->consumer.c->seg;
		s->consumer.c->member = NULL;
		mye_host_leave(ws, s);
		ws->consumers--;
	} else {
		seg = &s->producer.p->seg;
		s->producer.p->member = NULL;
		if (s->producer.want) {
			ws->wanting--;
			mye_producer_withdraw(s->producer.p);
		}
	}
	if (seg->header.fence != MYELON_FENCE_FULL)
		ws->asymmetric--;
}

void mye_source_remove(struct mye_source *s)
{
	struct myelon_waitset *ws = s->set;

	switch (s->kind) {
	case MYELON_EVENT_CONSUMER:
	case MYELON_EVENT_PRODUCER:
		mye_loop_remove(ws->loop, (uint64_t)s->id);
		ring_leave(s);
		break;
	case MYELON_EVENT_TIMER:
		mye_timers_remove(ws, s);
		break;
	default:
		if (!s->fd.done) {
			mye_loop_remove(ws->loop, (uint64_t)s->id);
			ws->descriptors--;
		}
		if (s->fd.ours)
			mye_fork_close(s->fd.fd);
		break;
	}
	mye_source_free(s);
}

/* The handle is being closed. */
static void leave(struct mye_member *m)
{
	mye_source_remove((struct mye_source *)(void *)m);
}

/* The source is complete but for its place among the rings. */
static int ring_enter(struct mye_source *s, const struct mye_segment *seg,
                      struct mye_member **member)
{
	struct myelon_waitset *ws = s->set;
	int rc = mye_sources_add(&ws->rings, s);

	if (rc == 0) {
		rc = mye_source_enter(ws->loop, s);
		if (rc < 0)
			mye_sources_remove(&ws->rings, s);
	}
	if (rc < 0) {
		mye_source_free(s);
		return rc;
	}
	s->member.leave = leave;
	*member = &s->member;
	if (seg->header.fence != MYELON_FENCE_FULL)
		ws->asymmetric++;
	mye_set_rouse(ws);
	return s->id;
}

static int busy(const struct mye_segment *seg)
{
	return mye_fail(-EBUSY, "the %s of ring %s is in a wait set already; remove it there first",
	                seg->role == MYE_ROLE_PRODUCER ? "producer" : "consumer", seg->place.name);
}

int myelon_waitset_add_consumer(struct myelon_waitset *ws, struct myelon_consumer *hot,
                                myelon_event_fn fn, void *user)
{
	struct mye_consumer *c = mye_consumer_of(hot);
	struct mye_source *s;
	int rc = mye_set_check(ws, "waitset add_consumer");

	if (rc < 0)
		return rc;
	if (!c)
		return mye_fail_static(-EINVAL, "waitset add_consumer: the consumer is NULL");
	if (c->magic != MYE_CONSUMER_MAGIC)
		return mye_opened_before_fork("waitset add_consumer");
	if (c->member)
		return busy(&c->seg);
	s = mye_source_new(ws, MYELON_EVENT_CONSUMER, fn, user, &rc);
	if (!s)
		return rc;
	s->consumer.c = c;
	rc = ring_enter(s, &c->seg, &c->member);
	if (rc < 0)
		return rc;
	ws->consumers++;
	mye_host_follow(ws, s, mye_consumer_epoch_now(c));
	return rc;
}

int myelon_waitset_add_frame_consumer(struct myelon_waitset *ws, struct myelon_frame_consumer *fc,
                                      myelon_event_fn fn, void *user)
{
	if (!fc)
		return mye_fail_static(-EINVAL, "waitset add_frame_consumer: the consumer is NULL");
	if (!myelon_frame_consumer_ring(fc))
		return mye_opened_before_fork("waitset add_frame_consumer");
	return myelon_waitset_add_consumer(ws, fc->ring, fn, user);
}

/* @return slots, at most the window, or -EMSGSIZE. */
static int64_t slots_of(const struct mye_set_producer *own, uint64_t amount)
{
	const struct mye_segment *seg = &own->p->seg;
	uint64_t slots = amount;

	if (own->framed && amount)
		slots = amount > MYE_FRAME_TOTAL_MAX
		                ? UINT64_MAX
		                : mye_frame_slots_of(&own->framed->limits, amount);
	if (slots <= seg->header.window)
		return (int64_t)slots;
	return mye_fail(-EMSGSIZE,
	                "ring %s: room for %llu %s at once was asked for, the window has %u slots",
	                seg->place.name, (unsigned long long)amount,
	                own->framed ? "bytes" : "slots", seg->header.window);
}

static void want(struct myelon_waitset *ws, struct mye_set_producer *own, uint32_t slots)
{
	ws->wanting += (slots > 0) - (own->want > 0);
	own->want = slots;
	if (slots == 0)
		mye_producer_withdraw(own->p);
	mye_set_rouse(ws);
}

static int add_producer(struct myelon_waitset *ws, struct mye_producer *p,
                        const struct myelon_frame_producer *framed, uint64_t amount,
                        myelon_event_fn fn, void *user)
{
	struct mye_set_producer own = {.p = p, .framed = framed};
	struct mye_source *s;
	int64_t slots;
	int rc;

	if (p->magic != MYE_PRODUCER_MAGIC)
		return mye_opened_before_fork("waitset add_producer");
	if (p->member)
		return busy(&p->seg);
	slots = slots_of(&own, amount);
	if (slots < 0)
		return (int)slots;
	s = mye_source_new(ws, MYELON_EVENT_PRODUCER, fn, user, &rc);
	if (!s)
		return rc;
	s->producer = own;
	rc = ring_enter(s, &p->seg, &p->member);
	if (rc >= 0)
		want(ws, &s->producer, (uint32_t)slots);
	return rc;
}

int myelon_waitset_add_producer(struct myelon_waitset *ws, struct myelon_producer *p,
                                uint32_t slots, myelon_event_fn fn, void *user)
{
	int rc = mye_set_check(ws, "waitset add_producer");

	if (rc < 0)
		return rc;
	if (!p)
		return mye_fail_static(-EINVAL, "waitset add_producer: the producer is NULL");
	return add_producer(ws, mye_producer_of(p), NULL, slots, fn, user);
}

int myelon_waitset_add_frame_producer(struct myelon_waitset *ws, struct myelon_frame_producer *fp,
                                      uint64_t bytes, myelon_event_fn fn, void *user)
{
	int rc = mye_set_check(ws, "waitset add_frame_producer");

	if (rc < 0)
		return rc;
	if (!fp)
		return mye_fail_static(-EINVAL, "waitset add_frame_producer: the producer is NULL");
	if (!myelon_frame_producer_ring(fp))
		return mye_opened_before_fork("waitset add_frame_producer");
	return add_producer(ws, mye_producer_of(fp->ring), fp, bytes, fn, user);
}

/* @return 0 and the source, which is of that kind; or -EPERM, -EINVAL. */
static int find(const struct myelon_waitset *ws, int id, uint32_t kind, const char *call,
                struct mye_source **out)
{
	int rc = mye_set_check(ws, call);

	if (rc < 0)
		return rc;
	*out = mye_source_of(ws, id);
	if (!*out)
		return mye_fail(-EINVAL, "%s: there is no source %d in this wait set", call, id);
	if (kind && (*out)->kind != kind)
		return mye_fail(-EINVAL, "%s: source %d is of another kind", call, id);
	return 0;
}

int myelon_waitset_want(struct myelon_waitset *ws, int id, uint64_t amount)
{
	struct mye_source *s;
	int rc = find(ws, id, MYELON_EVENT_PRODUCER, "waitset want", &s);
	int64_t slots;

	if (rc < 0)
		return rc;
	slots = slots_of(&s->producer, amount);
	if (slots < 0)
		return (int)slots;
	want(ws, &s->producer, (uint32_t)slots);
	return 0;
}

static int timer_check(int64_t period)
{
	if (period >= 0)
		return 0;
	return mye_fail(-EINVAL, "a timer's period is %lld ns; it must not be negative",
	                (long long)period);
}

int myelon_waitset_add_timer(struct myelon_waitset *ws, int64_t first, int64_t period,
                             myelon_event_fn fn, void *user)
{
	struct mye_source *s;
	int rc = mye_set_check(ws, "waitset add_timer");

	if (rc == 0)
		rc = timer_check(period);
	if (rc < 0)
		return rc;
	s = mye_source_new(ws, MYELON_EVENT_TIMER, fn, user, &rc);
	if (!s)
		return rc;
	s->timer = (struct mye_set_timer){.at = first < 0 ? 0 : first, .period = period};
	rc = mye_timers_add(ws, s);
	if (rc < 0) {
		mye_source_free(s);
		return rc;
	}
	mye_set_rouse(ws);
	return s->id;
}

int myelon_waitset_set_timer(struct myelon_waitset *ws, int id, int64_t first, int64_t period)
{
	struct mye_source *s;
	int rc = find(ws, id, MYELON_EVENT_TIMER, "waitset set_timer", &s);

	if (rc == 0)
		rc = timer_check(period);
	if (rc < 0)
		return rc;
	s->timer = (struct mye_set_timer){.at = first < 0 ? 0 : first, .period = period};
	mye_timers_moved(ws, s);
	mye_set_rouse(ws);
	return 0;
}

/* @p fd is closed on failure if it is ours. */
static int add_descriptor(struct myelon_waitset *ws, uint32_t kind, int fd, bool ours,
                          uint32_t events, myelon_event_fn fn, void *user)
{
	struct mye_source *s;
	int rc = 0;

	s = mye_source_new(ws, kind, fn, user, &rc);
	if (!s)
		goto fail;
	s->fd = (struct mye_set_fd){.fd = fd, .events = events, .ours = ours};
	rc = mye_source_enter(ws->loop, s);
	if (rc < 0) {
		mye_source_free(s);
		goto fail;
	}
	ws->descriptors++;
	mye_hosts_revise(ws);
	mye_set_rouse(ws);
	return s->id;
fail:
	if (ours)
		mye_fork_close(fd);
	return rc;
}

int myelon_waitset_add_process(struct myelon_waitset *ws, pid_t pid, myelon_event_fn fn, void *user)
{
	int rc = mye_set_check(ws, "waitset add_process"), fd;

	if (rc < 0)
		return rc;
	if (pid <= 0)
		return mye_fail(-EINVAL, "waitset add_process: %d is no process id", (int)pid);
	mye_fork_enter();
	fd = mye_fork_keep(mye_pidfd_open(pid));
	mye_fork_leave();
	if (fd < 0)
		return mye_fail(fd,
		                fd == -ESRCH ? "there is no process %d"
		                             : "no descriptor of process %d is to be had",
		                (int)pid);
	return add_descriptor(ws, MYELON_EVENT_PROCESS, fd, true, MYE_HOST_EVENTS, fn, user);
}

int myelon_waitset_add_pidfd(struct myelon_waitset *ws, int pidfd, myelon_event_fn fn, void *user)
{
	int rc = mye_set_check(ws, "waitset add_pidfd");

	if (rc < 0)
		return rc;
	return add_descriptor(ws, MYELON_EVENT_PROCESS, pidfd, false, MYE_HOST_EVENTS, fn, user);
}

int myelon_waitset_add_fd(struct myelon_waitset *ws, int fd, uint32_t events, myelon_event_fn fn,
                          void *user)
{
	int rc = mye_set_check(ws, "waitset add_fd");

	if (rc < 0)
		return rc;
	return add_descriptor(ws, MYELON_EVENT_FD, fd, false, events, fn, user);
}

int myelon_waitset_set_fd(struct myelon_waitset *ws, int id, uint32_t events)
{
	struct mye_source *s;
	int rc = find(ws, id, MYELON_EVENT_FD, "waitset set_fd", &s);

	if (rc == 0)
		rc = mye_loop_change_fd(ws->loop, (uint64_t)id, events);
	if (rc < 0)
		return rc;
	s->fd.events = events;
	mye_set_rouse(ws);
	return 0;
}

int myelon_waitset_remove(struct myelon_waitset *ws, int id)
{
	struct mye_source *s;
	int rc = find(ws, id, 0, "waitset remove", &s);

	if (rc < 0)
		return rc;
	mye_source_remove(s);
	mye_hosts_revise(ws);
	return 0;
}
