/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Roles are byte locks: owning one, asking for one, and telling who holds them. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/handle.h"
#include "segment/control.h"

#define TAKE_TRIES 3
#define TAKE_PAUSE_NS 400000

int mye_role_take(const struct mye_segment *seg, int64_t byte)
{
	for (int i = 1;; i++) {
		int rc = mye_lock_set(seg->control_fd, byte, MYE_LOCK_EXCLUSIVE);

		if (rc == 0)
			return 0;
		if (rc != -EAGAIN && rc != -EACCES)
			return mye_fail(rc,
			                "lock byte %lld of the control file of ring '%s' cannot be "
			                "taken: %s",
			                (long long)byte, seg->place.name, myelon_strerror(rc));
		if (i == TAKE_TRIES)
			return mye_fail_static(-EBUSY, "a living process holds this role");
		/* Somebody may only be trying it; a signal just shortens the pause. */
		mye_sleep_until(mye_now() + TAKE_PAUSE_NS);
	}
}

void mye_role_drop(const struct mye_segment *seg, int64_t byte)
{
	mye_lock_set(seg->control_fd, byte, MYE_LOCK_NONE);
}

bool mye_role_orphaned(const struct mye_identity *who)
{
	int fd = mye_fork_open_pidfd(who);
	bool ended = fd == -ESRCH;

	if (fd >= 0)
		mye_pidfds_ended(&fd, &ended, 1);
	mye_fork_close(fd);
	return ended;
}

int mye_role_held(const struct mye_segment *seg, int64_t byte)
{
	return mye_lock_query(seg->control_fd, byte, MYE_LOCK_EXCLUSIVE);
}

int mye_share(int fd, int64_t byte, int64_t until)
{
	int64_t pause = 50000;

	for (;;) {
		int rc = mye_lock_set(fd, byte, MYE_LOCK_SHARED);
		int64_t now;

		if (rc != -EAGAIN && rc != -EACCES)
			return rc;
		now = mye_now();
		if (now >= until)
			return -EBUSY;
		mye_sleep_until(now + pause);
		if (pause < 1000000)
			pause *= 2;
	}
}

struct text {
	char *buf;
	size_t cap, used;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (t->used + 1 >= t->cap)
		return;
	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->used, t->cap - t->used, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->used = (size_t)n < t->cap - t->used ? t->used + (size_t)n : t->cap - 1;
}

void mye_holders(int fd, const struct mye_header *h, char *buf, size_t cap, bool *producer)
{
	struct text t = {.buf = buf, .cap = cap};
	uint32_t named = 0, more = 0;

	buf[0] = '\0';
	*producer = mye_lock_query(fd, MYE_LOCK_PRODUCER, MYE_LOCK_EXCLUSIVE) == 1;
	if (*producer) {
		struct mye_identity who = {0};

		mye_read_at(fd, &who, sizeof(who),
		            mye_producer_offset(h) + offsetof(struct mye_producer_page, identity));
		add(&t, "producer pid %u", who.pid);
	}
	for (uint32_t i = 0; i < h->max_consumers; i++) {
		struct mye_entry e = {0};

		if (mye_lock_query(fd, MYE_LOCK_ENTRY(i), MYE_LOCK_EXCLUSIVE) != 1)
			continue;
		if (named == 8) {
			more++;
			continue;
		}
		mye_read_at(fd, &e, sizeof(e), mye_entry_offset(h, i));
		e.about.id[sizeof(e.about.id) - 1] = '\0';
		add(&t, "%sconsumer %s (pid %u)", t.used ? ", " : "",
		    mye_id_check(e.about.id) == 0 ? e.about.id : "?", e.about.who.pid);
		named++;
	}
	if (more)
		add(&t, " and %u more", more);
}
