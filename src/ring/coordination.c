/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "ring/coordination.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/handle.h"
#include "ring/call.h"
#include "ring/gate.h"
#include "sys/sys.h"

bool mye_wait_for_empty(const struct myelon_wait_for *whom)
{
	return !whom->count && !whom->prefix_count && !whom->id_count;
}

int mye_wait_for_check(const struct myelon_wait_for *whom, uint32_t max_consumers)
{
	char id[2 * MYE_ID_BYTES];
	int rc;

	if (whom->count > max_consumers || whom->prefix_count > max_consumers ||
	    whom->id_count > max_consumers)
		return mye_fail(-EINVAL, "wait_for asks for more consumers than max_consumers (%u)",
		                max_consumers);
	if (whom->prefix_count && !whom->prefix)
		return mye_fail_static(-EINVAL, "wait_for.prefix_count is set, but prefix is NULL");
	if (whom->prefix_count) {
		snprintf(id, sizeof(id), "%.80s_%u", whom->prefix, whom->prefix_count - 1);
		rc = mye_id_check(id);
		if (rc < 0)
			return rc;
	}
	if (whom->id_count && !whom->ids)
		return mye_fail_static(-EINVAL, "wait_for.id_count is set, but ids is NULL");
	for (uint32_t i = 0; i < whom->id_count; i++) {
		rc = mye_id_check(whom->ids[i]);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Texts of this size hold a prefix and its number. */
typedef char whom_text[2 * MYE_ID_BYTES];

static void add_once(struct mye_whom *w, const char **ids, const char *text)
{
	for (uint32_t i = 0; i < w->list.id_count; i++)
		if (strcmp(ids[i], text) == 0)
			return;
	ids[w->list.id_count++] = text;
}

struct mye_whom *mye_whom_copy(const struct myelon_wait_for *whom)
{
	size_t names = (size_t)whom->prefix_count + whom->id_count, n = 0;
	size_t bytes = sizeof(struct mye_whom) + names * (sizeof(char *) + sizeof(whom_text));
	struct mye_whom *w = mye_handle_alloc(bytes);
	const char **ids = (const char **)(void *)(w + 1);
	whom_text *text = (whom_text *)(void *)(ids + names);

	if (!w)
		return NULL;
	w->bytes = bytes;
	w->list.count = whom->count;
	w->list.ids = ids;
	for (uint32_t i = 0; i < whom->prefix_count; i++, n++) {
		snprintf(text[n], sizeof(text[n]), "%.80s_%u", whom->prefix, i);
		add_once(w, ids, text[n]);
	}
	for (uint32_t i = 0; i < whom->id_count; i++, n++) {
		snprintf(text[n], sizeof(text[n]), "%s", whom->ids[i]);
		add_once(w, ids, text[n]);
	}
	return w;
}

void mye_whom_free(struct mye_whom *whom)
{
	if (whom)
		mye_handle_free(whom, whom->bytes);
}

/* Is entry @p i joined by a living process? Copies its id out. */
static bool present(const struct mye_producer *p, uint32_t i, char id[MYE_ID_BYTES])
{
	const struct mye_entry *e = &p->seg.entries[i];
	/* Acquire: pairs with the joiner's CAS to active; the id is written before. */
	uint64_t word = __atomic_load_n(&e->slow.state, __ATOMIC_ACQUIRE);

	if (MYE_STATE_OF(word) != MYE_ENTRY_ACTIVE)
		return false;
	memcpy(id, e->about.id, MYE_ID_BYTES);
	id[MYE_ID_BYTES - 1] = '\0';
	return mye_role_held(&p->seg, MYE_LOCK_ENTRY(i)) == 1;
}

static bool id_present(const struct mye_producer *p, const char *wanted)
{
	char id[MYE_ID_BYTES];

	for (uint32_t i = 0; i < p->seg.header.max_consumers; i++)
		if (present(p, i, id) && strcmp(id, wanted) == 0)
			return true;
	return false;
}

static void note_missing(char *missing, size_t cap, const char *id)
{
	size_t used = strlen(missing);

	snprintf(missing + used, cap - used, "%s%s", used ? ", " : "", id);
}

/* @return how many are missing; their names in @p missing. */
static uint32_t count_missing(const struct mye_producer *p, const struct myelon_wait_for *whom,
                              char *missing, size_t cap)
{
	char id[2 * MYE_ID_BYTES];
	uint32_t absent = 0, here = 0;

	missing[0] = '\0';
	for (uint32_t i = 0; i < whom->prefix_count; i++) {
		snprintf(id, sizeof(id), "%.80s_%u", whom->prefix, i);
		if (!id_present(p, id)) {
			absent++;
			note_missing(missing, cap, id);
		}
	}
	for (uint32_t i = 0; i < whom->id_count; i++)
		if (!id_present(p, whom->ids[i])) {
			absent++;
			note_missing(missing, cap, whom->ids[i]);
		}
	for (uint32_t i = 0; whom->count && i < p->seg.header.max_consumers; i++)
		here += present(p, i, id);
	if (here < whom->count) {
		absent += whom->count - here;
		snprintf(id, sizeof(id), "%u of %u consumers of any id", whom->count - here,
		         whom->count);
		note_missing(missing, cap, id);
	}
	return absent;
}

void mye_wait_for_first_missing(const struct mye_producer *p, const struct myelon_wait_for *whom,
                                char *id, size_t cap)
{
	*id = '\0';
	for (uint32_t i = 0; *id == '\0' && i < whom->id_count; i++)
		if (!id_present(p, whom->ids[i]))
			snprintf(id, cap, "%s", whom->ids[i]);
}

int mye_wait_for(struct mye_producer *p, const struct myelon_wait_for *whom, int64_t deadline)
{
	struct mye_shared_page *sh = p->seg.shared;
	char missing[256];
	int rc;

	for (;;) {
		/* Acquire: pairs with mye_ring_bell() of a joiner (mye_gating_changed). */
		uint32_t bell = __atomic_load_n(&sh->space.bell, __ATOMIC_ACQUIRE);

		if (count_missing(p, whom, missing, sizeof(missing)) == 0)
			return 0;
		if (mye_take_interrupt(&p->interrupted))
			return mye_fail_static(-ECANCELED, "waiting for consumers: interrupted");
		if (deadline == MYELON_TRY || mye_now() >= deadline)
			return mye_fail(deadline == MYELON_TRY ? -EAGAIN : -ETIMEDOUT,
			                "ring %s: still missing: %s; start them, or wait longer",
			                p->seg.place.name, missing);
		/* Joiners ring unconditionally: no flag and so no barrier is needed here. */
		p->waiter.park_begun_ns = mye_now();
		rc = mye_waiter_park(&p->waiter, &p->seg, &sh->space.bell, bell, &sh->space.wake_ns,
		                     deadline);
		if (rc == -EINTR && (p->flags & MYELON_F_EINTR))
			return mye_fail_static(-EINTR, "waiting for consumers: a signal came");
	}
}

int myelon_producer_wait_for(struct myelon_producer *hot, const struct myelon_wait_for *whom,
                             int64_t deadline)
{
	struct mye_producer *p = mye_producer_of(hot);
	int rc;

	if (p->magic != MYE_PRODUCER_MAGIC)
		return mye_opened_before_fork("wait_for");
	if (!whom)
		return mye_fail_static(-EINVAL, "wait_for: whom is NULL");
	rc = mye_wait_for_check(whom, p->seg.header.max_consumers);
	return rc < 0 ? rc : mye_wait_for(p, whom, deadline);
}
