/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* msgpack, built without msgpack-c. */
#include "kit.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include <myelon/error.h>
#include <myelon/msgpack.h>

Test(msgpack, without_msgpack_c_it_says_what_to_install)
{
	struct myelon_codec *c = (void *)1;

	cr_assert_eq(myelon_codec_msgpack(&c, &myelon_u32, NULL), -ENOTSUP);
	cr_assert_null(c);
	cr_assert(strstr(myelon_last_error(), "libmsgpack-dev"), "%s", myelon_last_error());
	cr_assert_eq(myelon_codec_msgpack(NULL, NULL, NULL), -ENOTSUP);
}

Test(msgpack, everything_else)
{
	kit_skip("msgpack", "the library was built without msgpack-c");
}
