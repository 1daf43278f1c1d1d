/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The program of src/, made by build_rust.sh. */
#ifndef TESTS_CODEC_INTEROP_RUST_H
#define TESTS_CODEC_INTEROP_RUST_H

#include "tool.h"

#define RUST_BINCODE "Rust, crate bincode 1.3"
#define RUST_RKYV "Rust, crate rkyv 0.7"

/* Skips the test if this machine has no Rust. */
static inline const char *rust_path(void)
{
	return tool_path("interop_crates", INTEROP_RUST, "rust",
	                 "rustc cargo librust-{bincode,rkyv,serde,serde-derive}-dev");
}

#endif
