/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The header: its size, its checksum, and whether a copy of it can be believed. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "segment/control.h"

#define PAGE_UNIT_MIN 4096u
#define PAGE_UNIT_MAX 65536u

uint64_t mye_control_bytes(uint32_t max_consumers, uint32_t page_unit)
{
	uint64_t table = ((uint64_t)max_consumers + 1) * sizeof(struct mye_entry);

	return (3 + (table + page_unit - 1) / page_unit) * page_unit;
}

uint64_t mye_header_checksum(const struct mye_header *h)
{
	return mye_hash_bytes(MYE_HASH_BEGIN, h, offsetof(struct mye_header, checksum));
}

static bool power_of_two(uint64_t v)
{
	return v && (v & (v - 1)) == 0;
}

static int wrong(const char *path, const char *field, uint64_t found, const char *should)
{
	return mye_fail(-EPROTO, "%s is not a usable ring: header field %s is %llu (0x%llx), %s",
	                path, field, (unsigned long long)found, (unsigned long long)found, should);
}

/* What kind of file it is, before any other field means something. */
static int check_type(const struct mye_header *h, const char *path)
{
	if (h->magic == 0)
		return mye_fail(-EPROTO,
		                "%s is not a ring: header field magic is 0, the file is "
		                "empty or was overwritten; remove it",
		                path);
	if (h->magic != MYE_MAGIC)
		return wrong(path, "magic", h->magic,
		             "so the file is something else, or from a machine of the other byte "
		             "order");
	if (h->version != MYE_LAYOUT_VERSION)
		return mye_fail(-EPROTO,
		                "%s has layout version %u, this library reads version %u: use one "
		                "version of the library on both sides, or create the ring again",
		                path, h->version, MYE_LAYOUT_VERSION);
	if (h->header_bytes != sizeof(*h))
		return wrong(path, "header_bytes", h->header_bytes, "it must be 1024");
	if (h->required & ~MYE_REQUIRED_KNOWN)
		return mye_fail(-EPROTO,
		                "%s needs the features 0x%llx (header field required), which "
		                "this library does not know: update it",
		                path, (unsigned long long)(h->required & ~MYE_REQUIRED_KNOWN));
	return 0;
}

static int check_sizes(const struct mye_header *h, const char *path)
{
	const char *why;

	if (h->kind != MYELON_KIND_RAW && h->kind != MYELON_KIND_FRAMED)
		return wrong(path, "kind", h->kind, "it must be 1 (raw) or 2 (framed)");
	if (!power_of_two(h->page_unit) || h->page_unit < PAGE_UNIT_MIN ||
	    h->page_unit > PAGE_UNIT_MAX || h->page_unit % mye_page_size() != 0)
		return wrong(path, "page_unit", h->page_unit,
		             "it must be a multiple of this machine's page size");
	if (h->max_consumers < 1 || h->max_consumers > MYELON_MAX_CONSUMERS)
		return wrong(path, "max_consumers", h->max_consumers, "it must be 1 to 1024");
	if (h->control_bytes != mye_control_bytes(h->max_consumers, h->page_unit))
		return wrong(path, "control_bytes", h->control_bytes,
		             "it does not go with max_consumers and page_unit");
	if (h->window < 1 || h->window > MYE_WINDOW_MAX)
		return wrong(path, "window", h->window, "it must be 1 to 2^30");
	if (mye_slot_size_check(h->slot_size, h->window, h->kind, &why) < 0)
		return wrong(path, "slot_size", h->slot_size, why);
	if (!power_of_two(h->slots) || h->slots < h->window)
		return wrong(path, "slots", h->slots, "it must be a power of two >= window");
	if (h->slots > MYE_DATA_MAX / h->slot_size || h->data_bytes != h->slots * h->slot_size)
		return wrong(path, "data_bytes", h->data_bytes, "it must be slots x slot_size");
	if (!power_of_two(h->data_page) || h->data_page % mye_page_size() != 0 ||
	    h->data_bytes % h->data_page != 0)
		return wrong(path, "data_page", h->data_page,
		             "it must be a page size that divides data_bytes");
	return 0;
}

static int check_rest(const struct mye_header *h, const char *path)
{
	if (h->backing < MYELON_BACKING_HUGETLB || h->backing > MYELON_BACKING_MEMFD)
		return wrong(path, "backing", h->backing, "it must be 1 to 5");
	if (h->producers != 1)
		return wrong(path, "producers", h->producers, "it must be 1");
	if (h->unattended > MYELON_UNATTENDED_OVERWRITE)
		return wrong(path, "unattended", h->unattended, "it must be 0 or 1");
	if (h->fence != MYELON_FENCE_ASYM && h->fence != MYELON_FENCE_FULL)
		return wrong(path, "fence", h->fence, "it must be 1 or 2");
	if (h->flags & ~(uint32_t)(MYELON_F_KEEP | MYELON_F_GROUP))
		return wrong(path, "flags", h->flags, "it has unknown bits");
	if (h->node_asked < -1)
		return wrong(path, "node_asked", (uint32_t)h->node_asked,
		             "it must be -1 or a node");
	if (h->node_obtained < -1)
		return wrong(path, "node_obtained", (uint32_t)h->node_obtained,
		             "it must be -1 or a node");
	if (h->numa > MYELON_NUMA_INTERLEAVE)
		return wrong(path, "numa", h->numa, "it must be 0 to 4");
	if (h->numa_strict > 1)
		return wrong(path, "numa_strict", h->numa_strict, "it must be 0 or 1");
	if (h->control_node < -1)
		return wrong(path, "control_node", (uint32_t)h->control_node,
		             "it must be -1 or a node");
	if (h->stagger % MYE_STAGGER_STEP || h->stagger > MYE_STAGGER_MAX)
		return wrong(path, "stagger", h->stagger, "it must be a multiple of 512 to 2560");
	if (!memchr(h->reason, 0, sizeof(h->reason)))
		return wrong(path, "reason", (unsigned char)h->reason[sizeof(h->reason) - 1],
		             "its last byte must be 0");
	return 0;
}

int mye_header_validate(const struct mye_header *h, uint64_t file_bytes, const char *path)
{
	uint64_t sum;
	int rc = check_type(h, path);

	if (rc == 0)
		rc = check_sizes(h, path);
	if (rc == 0)
		rc = check_rest(h, path);
	if (rc < 0)
		return rc;
	sum = mye_header_checksum(h);
	if (h->checksum != sum)
		return mye_fail(-EPROTO,
		                "%s is damaged: header field checksum is 0x%llx, but the bytes "
		                "before it give 0x%llx; remove it and create the ring again",
		                path, (unsigned long long)h->checksum, (unsigned long long)sum);
	if (file_bytes < h->control_bytes)
		return mye_fail(-EPROTO,
		                "%s is truncated: it has %llu bytes, header field "
		                "control_bytes says %llu; remove it",
		                path, (unsigned long long)file_bytes,
		                (unsigned long long)h->control_bytes);
	return 0;
}

int mye_header_read(int fd, struct mye_header *h, uint64_t file_bytes, const char *path)
{
	ssize_t n;

	memset(h, 0, sizeof(*h));
	n = mye_read_at(fd, h, sizeof(*h), 0);
	if (n < 0)
		return mye_fail((int)n, "%s cannot be read: %s", path, myelon_strerror((int)n));
	if ((size_t)n < sizeof(*h))
		return mye_fail(-EPROTO,
		                "%s is truncated: it has %zd bytes, a header alone has %zu; "
		                "remove it",
		                path, n, sizeof(*h));
	return mye_header_validate(h, file_bytes, path);
}
