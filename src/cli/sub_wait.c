/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * `myelon sub`: an idle one sleeps in a wait set with its ring and stdout, so that it sees at once
 * that nobody reads what it would write. Handles that poll, and observers, look now and then.
 */
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "cli.h"
#include "stop.h"
#include "sub.h"

/* How long the handle waits by itself: while messages stream there is no detour. */
#define BRIEF_NS INT64_C(2000000)

void sub_look_at_output(struct sub *sub)
{
	struct pollfd p = {.fd = STDOUT_FILENO};

	if (poll(&p, 1, 0) > 0 && p.revents & (POLLERR | POLLHUP))
		sub_output_closed(sub);
}

void sub_wait_open(struct sub *sub)
{
	bool polls = sub->wait != MYELON_WAIT_ADAPTIVE && sub->wait != MYELON_WAIT_PARK;
	struct myelon_waitset_opts opts =
		MYELON_WAITSET_OPTS(.spin_ns = sub->wait == MYELON_WAIT_PARK ? MYELON_NO_SPIN : 0);
	int rc;

	if (!sub->fc || polls || myelon_waitset_create(&sub->ws, &opts) < 0)
		return;
	rc = myelon_waitset_add_frame_consumer(sub->ws, sub->fc, NULL, NULL);
	/* Errors are told without asking. A file, which cannot be polled, has no reader to lose. */
	if (rc >= 0)
		(void)myelon_waitset_add_fd(sub->ws, STDOUT_FILENO, 0, NULL, NULL);
	if (rc >= 0)
		stop_watch_waitset(sub->ws);
	else
		sub_wait_close(sub);
}

void sub_wait_close(struct sub *sub)
{
	stop_watch_waitset(NULL);
	if (sub->ws)
		myelon_waitset_close(sub->ws);
	sub->ws = NULL;
}

int64_t sub_deadline(const struct sub *sub)
{
	return myelon_deadline_after(sub->ws ? BRIEF_NS : SUB_TICK_NS);
}

void sub_wait(struct sub *sub)
{
	/* Waits are cut into ticks to redraw the progress line. */
	int64_t deadline = sub->progress.on ? myelon_deadline_after(SUB_TICK_NS) : MYELON_FOREVER;
	struct myelon_event ready[2];
	int n = 0;

	if (sub->ws) {
		n = myelon_waitset_wait(sub->ws, ready, 2, deadline);
		if (n < 0 && n != -ECANCELED && n != -EINTR)
			/* The handle can wait, too. */
			sub_wait_close(sub);
	}
	/* It may close while the handle waits, before the set is asked. */
	if (n <= 0)
		sub_look_at_output(sub);
	for (int i = 0; i < n && sub->code == SUB_GO_ON; i++)
		if (ready[i].kind == MYELON_EVENT_FD)
			sub_look_at_output(sub);
}
