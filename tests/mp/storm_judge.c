/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the consumers of storm say of each message, side by side; and what is seen of everybody who hangs. */
#include "storm.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define REPORTS 10

/* What all say of one message together. */
static unsigned char verdict(const struct storm *s, uint32_t id)
{
	unsigned char all = s->page->sent[id] ? SEEN : 0;

	for (unsigned int who = FIRST_CONSUMER; who < OBSERVER; who++) {
		unsigned char bits = s->page->outcome[who][id];

		all |= bits & SEEN;
		if ((bits & (CUT | STRAY)) == CUT)
			all |= CUT;
	}
	return all;
}

/* May this consumer say @bits of a message of which all say @all? */
static const char *differs(unsigned char all, unsigned char bits)
{
	if (all == (SEEN | CUT))
		return "is whole for one and cut off for another";
	if (all == SEEN && !(bits & (SEEN | LOST | STRAY)))
		return "is whole, and was not seen";
	if (all == CUT && !(bits & (CUT | GAP | LOST)))
		return "was cut off, and that was not told";
	return NULL;
}

int storm_judge(const struct storm *s)
{
	uint32_t last = 0, bad = 0;

	for (unsigned int who = FIRST_CONSUMER; who < OBSERVER; who++)
		if (s->page->log[who].last_id > last)
			last = s->page->log[who].last_id;
	for (uint32_t id = 1; id <= last && bad < REPORTS; id++) {
		unsigned char all = verdict(s, id);

		for (unsigned int who = FIRST_CONSUMER; who < OBSERVER; who++) {
			const struct storm_log *log = &s->page->log[who];
			const char *why = differs(all, s->page->outcome[who][id]);

			if (!why || log->first_id == 0 || id < log->first_id || id > log->last_id)
				continue;
			printf("FAIL: message %u of %zu bytes (window %u, slots of %u) %s by %s: "
			       "sent %u, said 0x%x; w1 0x%x w2 0x%x w3 0x%x w4 0x%x leaver 0x%x "
			       "steady 0x%x\n",
			       id, storm_length(s, id), s->window, s->slot_size, why, storm_id(who),
			       s->page->sent[id], s->page->outcome[who][id],
			       s->page->outcome[1][id], s->page->outcome[2][id],
			       s->page->outcome[3][id], s->page->outcome[4][id],
			       s->page->outcome[5][id], s->page->outcome[6][id]);
			bad++;
		}
	}
	return (int)bad;
}

/* ---- who hangs? ---- */

static void print_file(pid_t pid, const char *what)
{
	char path[64], text[600];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, what);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	for (ssize_t i = 0; i < n; i++)
		if (!isprint((unsigned char)text[i]))
			text[i] = ' ';
	text[n > 0 ? n : 0] = '\0';
	printf("    %s: %s\n", what, text);
}

static int one_entry(void *ctx, const struct myelon_consumer_entry *e)
{
	(void)ctx;
	printf("  entry %u %s: pid %d, %s, cursor %lld, lag %llu, lost %llu, wait %s%s%s\n",
	       e->index, e->id, e->pid, myelon_peer_state_name((enum myelon_peer_state)e->state),
	       (long long)e->cursor, (unsigned long long)e->lag, (unsigned long long)e->lost,
	       myelon_wait_name((enum myelon_wait)e->wait), e->parked ? ", parked" : "",
	       e->gating ? ", gates" : "");
	return 0;
}

void storm_dump(const struct storm *s)
{
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;

	if (myelon_ring_describe(s->name, NULL, &info) == 0)
		printf("  ring %s: window %u, slots of %u, published %lld, minimum %lld, epoch "
		       "%llu, "
		       "producer %d %s, buffering for %u\n",
		       s->name, info.window, info.slot_size, (long long)info.published,
		       (long long)info.minimum, (unsigned long long)info.epoch, info.producer_pid,
		       myelon_peer_state_name((enum myelon_peer_state)info.producer_state),
		       info.buffering_for);
	else
		printf("  ring %s: %s\n", s->name, myelon_last_error());
	myelon_ring_consumers(s->name, NULL, one_entry, NULL);
	for (unsigned int i = 0; i < ACTORS; i++) {
		const struct storm_log *log = &s->page->log[i];

		printf("  %s: pid %d, incarnation %u (killed %u), ready %u, attaching %u, inside "
		       "%u, before %lld, after %lld, count %llu, last id %u\n",
		       storm_id(i), s->actor[i].pid, log->incarnation, log->killed, log->ready,
		       log->attaching, log->inside, (long long)log->before, (long long)log->after,
		       (unsigned long long)log->result.count, log->last_id);
		if (s->actor[i].pid <= 0)
			continue;
		print_file(s->actor[i].pid, "wchan");
		print_file(s->actor[i].pid, "syscall");
		print_file(s->actor[i].pid, "stack");
	}
}
