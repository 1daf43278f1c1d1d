/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a producer requires, the start of managed publishing, alerts and failures. */
#include "ring/guard.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/handle.h"
#include "base/opts.h"
#include "ring/call.h"
#include "ring/coordination.h"
#include "sys/sys.h"

#define STARTUP_NS 5000000000ll
#define PROGRESS_NS 250000000ll
#define CHECK_NS 5000000ll
#define GRACE_NS 1000000000ll

#define OPTS_FIRST MYE_FIRST_SIZE(myelon_liveness_opts, ctx)

static int duration(int64_t *ns, int64_t otherwise, const char *what)
{
	if (*ns < 0)
		return mye_fail(-EINVAL, "liveness options: %s is negative", what);
	if (*ns == 0)
		*ns = otherwise;
	return 0;
}

static int check_flags(const struct myelon_liveness_opts *o, const struct mye_producer *p)
{
	if (o->flags & ~MYELON_LIVENESS_AS_RING)
		return mye_fail(-EINVAL, "liveness options: flags has the unknown bits 0x%x",
		                o->flags & ~MYELON_LIVENESS_AS_RING);
	if (!(o->flags & MYELON_LIVENESS_AS_RING))
		return 0;
	if (!mye_wait_for_empty(&o->required))
		return mye_fail_static(-EINVAL,
		                       "liveness options: MYELON_LIVENESS_AS_RING says who "
		                       "is required, so leave required empty");
	if (!p->wait_for)
		return mye_fail(-EINVAL,
		                "liveness options: MYELON_LIVENESS_AS_RING, but ring %s was made "
		                "without wait_for: name the required ones",
		                p->seg.place.name);
	return 0;
}

static int check(struct myelon_liveness_opts *o, const struct mye_producer *p)
{
	int rc = mye_wait_for_check(&o->required, p->seg.header.max_consumers);

	if (rc == 0)
		rc = check_flags(o, p);
	if (rc == 0 && o->on_failure > MYELON_ON_FAILURE_LOG)
		rc = mye_fail(-EINVAL, "liveness options: on_failure is %u", o->on_failure);
	if (rc == 0)
		rc = duration(&o->startup_ns, STARTUP_NS, "startup_ns");
	if (rc == 0)
		rc = duration(&o->progress_ns, PROGRESS_NS, "progress_ns");
	if (rc == 0)
		rc = duration(&o->check_ns, CHECK_NS, "check_ns");
	if (rc < 0)
		return rc;
	if (o->grace_ns == MYELON_NO_GRACE) {
		o->grace_ns = 0;
		return 0;
	}
	return duration(&o->grace_ns, GRACE_NS, "grace_ns");
}

/* Whom @p o means. */
static struct mye_whom *whom_of(const struct mye_producer *p, const struct myelon_liveness_opts *o)
{
	return mye_whom_copy(o->flags & MYELON_LIVENESS_AS_RING ? &p->wait_for->list
	                                                        : &o->required);
}

static struct mye_guard *guard_new(const struct myelon_liveness_opts *o, struct mye_whom *whom,
                                   uint32_t entries)
{
	uint32_t names = whom->list.id_count;
	size_t bytes = sizeof(struct mye_guard) +
	               ((size_t)names + 1 + entries) * sizeof(struct mye_suspect);
	struct mye_guard *g = mye_handle_alloc(bytes);

	if (!g)
		return NULL;
	g->bytes = bytes;
	g->whom = whom;
	g->names = names;
	g->missing = (struct mye_suspect *)(void *)(g + 1);
	g->entry = g->missing + names + 1;
	g->entries = entries;
	g->round = 1; /* nobody was looked at in the last one */
	g->on_failure = o->on_failure;
	g->startup_ns = o->startup_ns;
	g->progress_ns = o->progress_ns;
	g->check_ns = o->check_ns;
	g->grace_ns = o->grace_ns;
	g->hook = o->hook;
	g->ctx = o->ctx;
	return g;
}

int myelon_producer_require(struct myelon_producer *hot, const struct myelon_liveness_opts *user)
{
	struct mye_producer *p = mye_producer_of(hot);
	struct myelon_liveness_opts opts;
	struct mye_whom *whom;
	struct mye_guard *g;
	int rc;

	if (p->magic != MYE_PRODUCER_MAGIC)
		return mye_opened_before_fork("require");
	rc = mye_opts_read(&opts, sizeof(opts), OPTS_FIRST, user, "liveness options");
	if (rc == 0)
		rc = check(&opts, p);
	if (rc < 0)
		return rc;
	whom = whom_of(p, &opts);
	g = whom ? guard_new(&opts, whom, p->seg.header.max_consumers) : NULL;
	if (!g) {
		mye_whom_free(whom);
		return -ENOMEM;
	}
	mye_guard_close(p);
	p->guard = g;
	return 0;
}

void mye_guard_close(struct mye_producer *p)
{
	struct mye_guard *g = p->guard;

	p->hot.managed_end = 0;
	p->managed_open = false;
	p->guard = NULL;
	if (!g)
		return;
	mye_guard_unwatch(g);
	mye_whom_free(g->whom);
	mye_handle_free(g, g->bytes);
}

const char *myelon_cause_name(enum myelon_cause cause)
{
	switch (cause) {
	case MYELON_CAUSE_NONE:
		return "none";
	case MYELON_CAUSE_MISSING:
		return "missing";
	case MYELON_CAUSE_DEAD:
		return "dead";
	case MYELON_CAUSE_STALLED:
		return "stalled";
	case MYELON_CAUSE_DYING:
		return "dying";
	}
	return NULL;
}

int myelon_producer_failure(const struct myelon_producer *hot, struct myelon_failure *failure)
{
	const struct mye_producer *p = (const struct mye_producer *)(const void *)hot;
	const struct mye_guard *g = p->guard;
	int rc;

	if (p->magic != MYE_PRODUCER_MAGIC)
		return mye_opened_before_fork("failure");
	if (!g)
		return mye_fail_static(-EINVAL,
		                       "failure: myelon_producer_require() was not called");
	rc = failure ? mye_info_write(failure, &g->failure, sizeof(g->failure), "failure") : 0;
	return rc < 0 ? rc : g->failure.cause != MYELON_CAUSE_NONE;
}

static const char *who(const struct myelon_failure *f)
{
	return f->id[0] ? f->id : "(any id)";
}

void mye_guard_alert(struct mye_producer *p, const struct mye_guard *g,
                     const struct myelon_failure *alert)
{
	mye_warn("ring %s: consumer %s is %s: pid %d, last sequence %lld, no progress for %lld ms",
	         p->seg.place.name, who(alert), myelon_cause_name((enum myelon_cause)alert->cause),
	         alert->pid, (long long)alert->last_seq, (long long)(alert->stalled_ns / 1000000));
	if (g->hook)
		g->hook(g->ctx, alert);
}

static int code_of(enum myelon_cause cause)
{
	switch (cause) {
	case MYELON_CAUSE_DEAD:
	case MYELON_CAUSE_DYING:
		return -EOWNERDEAD;
	case MYELON_CAUSE_MISSING:
		return -ENOENT;
	case MYELON_CAUSE_STALLED:
	case MYELON_CAUSE_NONE:
		break;
	}
	return -ETIMEDOUT;
}

static int told(const struct mye_producer *p, const struct mye_guard *g)
{
	const struct myelon_failure *f = &g->failure;

	return mye_fail(
		g->failed,
		"ring %s: consumer %s (pid %d) is %s, its last sequence is %lld; it made no "
		"progress for %lld ms and did not come back in time",
		p->seg.place.name, who(f), f->pid, myelon_cause_name((enum myelon_cause)f->cause),
		(long long)f->last_seq, (long long)(f->stalled_ns / 1000000));
}

int mye_guard_judge(struct mye_producer *p, struct mye_guard *g, struct mye_suspect *s,
                    enum myelon_cause cause, int64_t now)
{
	struct myelon_failure f = {.size = sizeof(f),
	                           .cause = cause,
	                           .pid = (int32_t)s->who.pid,
	                           .last_seq = s->cursor,
	                           .stalled_ns = now - s->since_ns};

	memcpy(f.id, s->id, sizeof(f.id));
	f.id[sizeof(f.id) - 1] = '\0';
	if (!s->opened_ns) {
		s->opened_ns = now;
		mye_guard_alert(p, g, &f);
	}
	if (g->on_failure == MYELON_ON_FAILURE_LOG || now - s->opened_ns < g->grace_ns)
		return 0;
	/* Not proved: its lock is held. Anybody can write into a lease, so alone it counts no sooner than
	   a cursor that does not move. */
	if (cause == MYELON_CAUSE_DYING && now - s->since_ns < g->progress_ns)
		return 0;
	g->failure = f;
	g->failed = code_of(cause);
	p->managed_open = false;
	p->hot.managed_end = 0;
	return told(p, g);
}

/* The required ones did not come in time. @return as mye_guard_start(), or 1: go on waiting. */
static int start_failed(struct mye_producer *p, struct mye_guard *g)
{
	struct myelon_failure f = {.size = sizeof(f),
	                           .cause = MYELON_CAUSE_MISSING,
	                           .last_seq = -1,
	                           .stalled_ns = g->startup_ns};

	mye_wait_for_first_missing(p, &g->whom->list, f.id, sizeof(f.id));
	if (g->on_failure == MYELON_ON_FAILURE_LOG) {
		g->startup_end = INT64_MAX;
		mye_guard_alert(p, g, &f);
		return 1;
	}
	g->failure = f;
	g->startup_end = 0;
	/* The sentence names all of them already. */
	return -ETIMEDOUT;
}

static int start(struct mye_producer *p, struct mye_guard *g, int64_t deadline)
{
	int rc;

	if (!g->startup_end) {
		g->startup_end = myelon_deadline_after(g->startup_ns);
		g->failure = (struct myelon_failure){0};
	}
	do {
		rc = mye_wait_for(p, &g->whom->list,
		                  deadline < g->startup_end ? deadline : g->startup_end);
		if ((rc != -EAGAIN && rc != -ETIMEDOUT) || mye_now() < g->startup_end)
			break;
		rc = start_failed(p, g);
	} while (rc > 0);
	if (rc < 0)
		return rc;
	g->started = true;
	g->failure = (struct myelon_failure){0};
	p->managed_open = true;
	return 0;
}

int mye_guard_start(struct mye_producer *p, struct mye_guard *g, int64_t deadline)
{
	g->planned_ns = 0;
	return g->started ? 0 : start(p, g, deadline);
}

int mye_guard_enter(struct mye_producer *p)
{
	struct mye_guard *g = p->guard;

	if (!g)
		return mye_fail_static(-EINVAL,
		                       "a managed call needs myelon_producer_require() before it");
	if (g->failed)
		return told(p, g);
	/* The next claim has to take the slow path, where the start is. */
	if (!g->started && p->hot.claimed <= p->hot.next)
		p->hot.end = p->hot.next;
	p->as_managed = true;
	return 0;
}

int myelon_claim_managed_slow(struct myelon_producer *hot, uint32_t n, int64_t deadline)
{
	struct mye_producer *p = mye_producer_of(hot);
	int rc;

	if (p->magic != MYE_PRODUCER_MAGIC)
		return mye_opened_before_fork("claim");
	rc = mye_guard_enter(p);
	if (rc < 0)
		return rc;
	rc = myelon_claim_slow(hot, n, deadline);
	p->as_managed = false;
	return rc;
}

int myelon_claim_managed_fn(struct myelon_producer *p, uint32_t n, int64_t deadline,
                            struct myelon_span *span)
{
	return myelon_claim_managed(p, n, deadline, span);
}

int myelon_publish_copy_managed_fn(struct myelon_producer *p, const void *slots, uint32_t n,
                                   int64_t deadline)
{
	return myelon_publish_copy_managed(p, slots, n, deadline);
}
