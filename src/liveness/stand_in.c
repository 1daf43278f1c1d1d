/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A keeper that only runs calls, until the real one is there. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "sys/sys.h"
#include "wait/keeper.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_t thread;
static unsigned int holds;
static bool up, down;
static int (*work)(void *);
static void *work_arg;
static int work_rc;
static bool working;

static void *run(void *arg)
{
	(void)arg;
	mye_robust_install();
	pthread_mutex_lock(&lock);
	up = true;
	pthread_cond_broadcast(&changed);
	while (!down) {
		if (work) {
			work_rc = work(work_arg);
			work = NULL;
			pthread_cond_broadcast(&changed);
		}
		pthread_cond_wait(&changed, &lock);
	}
	pthread_mutex_unlock(&lock);
	mye_robust_uninstall();
	return NULL;
}

int mye_keeper_hold(void)
{
	sigset_t all, old;
	int rc = 0;

	pthread_mutex_lock(&lock);
	if (holds++ == 0) {
		up = down = false;
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &old);
		rc = -pthread_create(&thread, NULL, run, NULL);
		pthread_sigmask(SIG_SETMASK, &old, NULL);
		while (rc == 0 && !up)
			pthread_cond_wait(&changed, &lock);
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

void mye_keeper_drop(void)
{
	pthread_mutex_lock(&lock);
	if (--holds == 0) {
		down = true;
		pthread_cond_broadcast(&changed);
		pthread_mutex_unlock(&lock);
		pthread_join(thread, NULL);
		return;
	}
	pthread_mutex_unlock(&lock);
}

int mye_keeper_call(int (*fn)(void *arg), void *arg)
{
	int rc;

	pthread_mutex_lock(&lock);
	while (working)
		pthread_cond_wait(&changed, &lock);
	working = true;
	work = fn;
	work_arg = arg;
	pthread_cond_broadcast(&changed);
	while (work)
		pthread_cond_wait(&changed, &lock);
	rc = work_rc;
	working = false;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	return rc;
}

bool mye_keeper_is_thread(void)
{
	return true;
}
