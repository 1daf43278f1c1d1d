/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * SIGINT, SIGTERM and SIGHUP end a command in order: the first one interrupts the wait of the
 * watched handle, a second one ends the process at once.
 */
#ifndef CLI_STOP_H
#define CLI_STOP_H

#include <stdbool.h>

#include <myelon/myelon.h>

/* A signal ignored by whoever started us stays ignored (nohup, background jobs of scripts). */
void stop_install(void);

/* Which handle to interrupt; NULL before it is closed. */
void stop_watch_producer(struct myelon_producer *p);
void stop_watch_consumer(struct myelon_consumer *c);
void stop_watch_observer(struct myelon_observer *o);
void stop_watch_waitset(struct myelon_waitset *ws);
void stop_watch_peers(struct myelon_peers *w);

/* The signal that came, 0: none. */
int stop_signal(void);

/* Wait until @fd is ready for @events (poll(2)) or a signal came. @return true: ready. */
bool stop_wait_fd(int fd, short events);

/* The exit code of a command that was stopped. */
int stop_exit_code(void);

#endif
