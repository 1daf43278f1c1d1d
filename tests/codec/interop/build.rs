// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where libmyelon.so is: MYELON_LIB_DIR, for the linker and at run time.

fn main() {
    println!("cargo:rerun-if-env-changed=MYELON_LIB_DIR");
    let dir = std::env::var("MYELON_LIB_DIR").expect("MYELON_LIB_DIR");
    println!("cargo:rustc-link-search=native={dir}");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{dir}");
}
