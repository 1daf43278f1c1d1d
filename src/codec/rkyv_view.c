/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Exported twins of the accessors. */
#include <myelon/rkyv.h>

#define TWIN(result, name)                                                                         \
	result myelon_rkyv_##name##_fn(struct myelon_rkyv v)                                       \
	{                                                                                          \
		return myelon_rkyv_##name(v);                                                      \
	}
#define TWIN_2(result, name, type)                                                                 \
	result myelon_rkyv_##name##_fn(struct myelon_rkyv v, type with)                            \
	{                                                                                          \
		return myelon_rkyv_##name(v, with);                                                \
	}

TWIN(bool, is_nothing)
TWIN(uint32_t, kind)
TWIN_2(struct myelon_rkyv, field, uint32_t)
TWIN(uint8_t, u8)
TWIN(uint16_t, u16)
TWIN(uint32_t, u32)
TWIN(uint64_t, u64)
TWIN(int8_t, i8)
TWIN(int16_t, i16)
TWIN(int32_t, i32)
TWIN(int64_t, i64)
TWIN(float, f32)
TWIN(double, f64)
TWIN_2(uint64_t, half, bool)
TWIN(bool, bool)
TWIN(uint32_t, char)
TWIN(struct myelon_text, text)
TWIN(struct myelon_rkyv_list, list)
TWIN_2(struct myelon_rkyv, element, uint32_t)
TWIN(struct myelon_vector, run)
TWIN(const void *, object)
TWIN(struct myelon_rkyv, some)
TWIN(struct myelon_rkyv, unbox)
TWIN(uint32_t, tag)
TWIN_2(struct myelon_rkyv, payload, uint32_t)

struct myelon_rkyv myelon_rkyv_at_fn(const struct myelon_rkyv_list *list, uint32_t i)
{
	return myelon_rkyv_at(list, i);
}
