/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "codec/flat.h"

#include <string.h>

#include "codec/utf8.h"

const struct mye_flat_variant *mye_flat_variant_of(const struct mye_flat_node *node,
                                                   uint64_t number)
{
	if (number < node->count && node->variants[number].number == number)
		return &node->variants[number];
	for (uint32_t i = 0; i < node->count; i++)
		if (node->variants[i].number == number)
			return &node->variants[i];
	return NULL;
}

bool mye_flat_scalar_known(const struct mye_flat_node *node, uint64_t bits)
{
	if (node->scalar == MYE_FLAT_CHAR)
		return mye_utf8_is_scalar((uint32_t)bits);
	return node->scalar != MYE_FLAT_ENUM || mye_flat_variant_of(node, bits);
}

bool mye_flat_scalar_to_c(const struct mye_flat_node *node, uint64_t bits, void *c)
{
	uint32_t tag;

	if (!mye_flat_scalar_known(node, bits))
		return false;
	switch ((enum mye_flat_scalar)node->scalar) {
	case MYE_FLAT_BOOL:
		*(bool *)c = bits != 0;
		break;
	case MYE_FLAT_ENUM:
		tag = (uint32_t)(mye_flat_variant_of(node, bits) - node->variants);
		memcpy(c, &tag, sizeof(tag));
		break;
	default:
		memcpy(c, &bits, node->size);
	}
	return true;
}

bool mye_flat_scalar_from_c(const struct mye_flat_node *node, const void *c, uint64_t *bits)
{
	uint32_t tag;

	*bits = 0;
	if (node->scalar != MYE_FLAT_ENUM) {
		memcpy(bits, c, node->size);
		return mye_flat_scalar_known(node, *bits);
	}
	memcpy(&tag, c, sizeof(tag));
	if (tag >= node->count)
		return false;
	*bits = node->variants[tag].number;
	return true;
}
