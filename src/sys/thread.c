/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Threads of the library's own. */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>

#include "sys/sys.h"

#define STACK_BYTES (256u * 1024)

int mye_thread_start(pthread_t *out, void *(*fn)(void *arg), void *arg)
{
	size_t stack = STACK_BYTES;
	sigset_t all, before;
	pthread_attr_t attr;
	int rc;

	if (stack < (size_t)PTHREAD_STACK_MIN)
		stack = (size_t)PTHREAD_STACK_MIN;
	rc = -pthread_attr_init(&attr);
	if (rc)
		return rc;
	/* Not the real-time class of a pinned creator. */
	pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attr, SCHED_OTHER);
	pthread_attr_setstacksize(&attr, stack);
	sigfillset(&all);
	/* The new thread inherits the mask: no handler of the application ever runs on it. */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = -pthread_create(out, &attr, fn, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return rc;
}

void mye_thread_name(const char *name)
{
	prctl(PR_SET_NAME, name, 0, 0, 0);
}
