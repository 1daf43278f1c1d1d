/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

#include "cli.h"
#include "stop.h"

/* timeout(1) and others send a signal to the process and to its group: that is one request. */
#define SAME_REQUEST_NS INT64_C(50000000)

static volatile sig_atomic_t received;
static int64_t received_at;         /* written and read by the handler only */
static int stop_pipe[2] = {-1, -1}; /* readable once a signal came */
static struct myelon_producer *_Atomic producer;
static struct myelon_consumer *_Atomic consumer;
static struct myelon_observer *_Atomic observer;
static struct myelon_waitset *_Atomic waitset;
static struct myelon_peers *_Atomic peers;

static void on_signal(int signo)
{
	struct myelon_producer *p = atomic_load_explicit(&producer, memory_order_relaxed);
	struct myelon_consumer *c = atomic_load_explicit(&consumer, memory_order_relaxed);
	struct myelon_observer *o = atomic_load_explicit(&observer, memory_order_relaxed);
	struct myelon_waitset *ws = atomic_load_explicit(&waitset, memory_order_relaxed);
	struct myelon_peers *w = atomic_load_explicit(&peers, memory_order_relaxed);
	int saved = errno;

	if (received) {
		if (signo != received || myelon_now() - received_at >= SAME_REQUEST_NS) {
			/* Blocked while we are in here: it takes effect on return. */
			signal(signo, SIG_DFL);
			raise(signo);
		}
		errno = saved;
		return;
	}
	received = signo;
	received_at = myelon_now();
	if (p)
		myelon_producer_interrupt(p);
	if (c)
		myelon_consumer_interrupt(c);
	if (o)
		myelon_observer_interrupt(o);
	if (ws)
		myelon_waitset_wake(ws);
	if (w)
		myelon_peers_interrupt(w);
	(void)!write(stop_pipe[1], "", 1);
	errno = saved;
}

void stop_install(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction act = {.sa_handler = on_signal};

	if (stop_pipe[0] < 0 && pipe2(stop_pipe, O_CLOEXEC | O_NONBLOCK) < 0)
		stop_pipe[0] = stop_pipe[1] = -1;
	sigemptyset(&act.sa_mask);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaddset(&act.sa_mask, signals[i]);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		struct sigaction old;

		if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(signals[i], &act, NULL);
	}
	/* A closed pipe is an error of write(2) and handled there. */
	signal(SIGPIPE, SIG_IGN);
}

void stop_watch_producer(struct myelon_producer *p)
{
	atomic_store_explicit(&producer, p, memory_order_relaxed);
}

void stop_watch_consumer(struct myelon_consumer *c)
{
	atomic_store_explicit(&consumer, c, memory_order_relaxed);
}

void stop_watch_observer(struct myelon_observer *o)
{
	atomic_store_explicit(&observer, o, memory_order_relaxed);
}

void stop_watch_waitset(struct myelon_waitset *ws)
{
	atomic_store_explicit(&waitset, ws, memory_order_relaxed);
}

void stop_watch_peers(struct myelon_peers *w)
{
	atomic_store_explicit(&peers, w, memory_order_relaxed);
}

int stop_signal(void)
{
	return received;
}

bool stop_wait_fd(int fd, short events)
{
	struct pollfd fds[2] = {{.fd = fd, .events = events},
	                        {.fd = stop_pipe[0], .events = POLLIN}};

	while (!received) {
		if (poll(fds, 2, -1) > 0 && fds[0].revents)
			return true;
	}
	return false;
}

int stop_exit_code(void)
{
	return CLI_SIGNAL + received;
}
