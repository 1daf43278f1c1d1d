/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "codec/bincode_bytes.h"

#include <stdio.h>

void mye_bin_reason(const struct myelon_bincode_reader *r, char buf[MYE_BIN_REASON])
{
	size_t at = (size_t)(r->at - r->begin), left = (size_t)(r->end - r->at);
	unsigned long long value = r->value, need = r->need;

	switch ((enum mye_bin_fault)r->fault) {
	case MYE_BIN_SHORT:
		snprintf(buf, MYE_BIN_REASON, "%llu byte%s needed at byte %zu, %zu %s left", need,
		         need == 1 ? "" : "s", at, left, left == 1 ? "is" : "are");
		return;
	case MYE_BIN_MARK:
		snprintf(buf, MYE_BIN_REASON,
		         "byte %zu is %llu, which begins no number of its type", at, value);
		return;
	case MYE_BIN_RANGE:
		snprintf(buf, MYE_BIN_REASON, "the number at byte %zu is too large for its type",
		         at);
		return;
	case MYE_BIN_BOOL:
		snprintf(buf, MYE_BIN_REASON, "byte %zu is %llu and not 0 or 1", at, value);
		return;
	case MYE_BIN_CHAR:
		snprintf(buf, MYE_BIN_REASON, "no character begins at byte %zu", at);
		return;
	case MYE_BIN_TEXT:
		snprintf(buf, MYE_BIN_REASON, "the text is not UTF-8 at byte %zu",
		         at + (size_t)value);
		return;
	case MYE_BIN_VARIANT:
		snprintf(buf, MYE_BIN_REASON, "byte %zu says variant %llu, there are %llu", at,
		         value, need);
		return;
	case MYE_BIN_COUNT:
		snprintf(buf, MYE_BIN_REASON,
		         "%llu elements of at least %llu bytes needed at byte %zu, %zu %s left",
		         value, need, at, left, left == 1 ? "is" : "are");
		return;
	case MYE_BIN_EMPTY:
		snprintf(buf, MYE_BIN_REASON,
		         "%llu elements that may take no bytes at byte %zu, at most %u are allowed",
		         value, at, MYE_BIN_EMPTY_MAX);
		return;
	}
	snprintf(buf, MYE_BIN_REASON, "it is broken at byte %zu", at);
}

int mye_bin_get_char(struct myelon_bincode_reader *r, uint32_t *c)
{
	uint32_t width;
	uint64_t first;

	if (mye_bin_left(r) == 0)
		return mye_bin_bad(r, MYE_BIN_SHORT, 0, 1);
	width = mye_utf8_get(r->at, mye_bin_left(r), c);
	if (width) {
		r->at += width;
		return 0;
	}
	first = mye_bin_load(r->at, 1);
	if (mye_utf8_width((uint8_t)first) > mye_bin_left(r))
		return mye_bin_bad(r, MYE_BIN_SHORT, 0, mye_utf8_width((uint8_t)first));
	return mye_bin_bad(r, MYE_BIN_CHAR, 0, 0);
}
