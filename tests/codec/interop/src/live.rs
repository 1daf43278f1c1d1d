// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A Rust process on two rings of the C library: archives are verified where they lie, in the ring.

use std::ffi::{c_char, c_int, c_void, CStr, CString};
use std::ptr;

use crate::types::Zoo;

/// struct myelon_message
#[repr(C)]
struct Message {
    data: *const u8,
    len: usize,
    id: u32,
    kind: u8,
    borrowed: u8,
    reserved: u16,
    seq: i64,
}

const FOREVER: i64 = i64::MAX;
const ENOENT: c_int = -2;
const EPIPE: c_int = -32;

#[link(name = "myelon")]
extern "C" {
    fn myelon_last_error() -> *const c_char;
    fn myelon_frame_consumer_attach(out: *mut *mut c_void, name: *const c_char, opts: *const c_void) -> c_int;
    fn myelon_frame_consumer_close(consumer: *mut c_void);
    fn myelon_frame_peek_fn(consumer: *mut c_void, deadline: i64, message: *mut Message) -> c_int;
    fn myelon_frame_release_fn(consumer: *mut c_void, n: u32) -> c_int;
    fn myelon_frame_producer_open(out: *mut *mut c_void, name: *const c_char, opts: *const c_void) -> c_int;
    fn myelon_frame_producer_create(out: *mut *mut c_void, name: *const c_char, opts: *const c_void) -> c_int;
    fn myelon_frame_producer_close(producer: *mut c_void);
    fn myelon_frame_send(producer: *mut c_void, data: *const c_void, bytes: usize, kind: u8, deadline: i64) -> c_int;
}

fn must(rc: c_int, what: &str) {
    if rc < 0 {
        let sentence = unsafe { CStr::from_ptr(myelon_last_error()) };
        panic!("{what}: {rc}, {}", sentence.to_string_lossy());
    }
}

/// Takes COUNT messages from IN, then one more that says the ring was closed.
pub fn run(input: &str, output: &str, count: usize) {
    let (input, output) = (CString::new(input).unwrap(), CString::new(output).unwrap());
    let mut consumer = ptr::null_mut();
    let mut producer = ptr::null_mut();
    unsafe {
        must(myelon_frame_consumer_attach(&mut consumer, input.as_ptr(), ptr::null()), "attach");
        /* The other side made it; it waits there for what comes. */
        let mut rc = myelon_frame_producer_open(&mut producer, output.as_ptr(), ptr::null());
        if rc == ENOENT {
            rc = myelon_frame_producer_create(&mut producer, output.as_ptr(), ptr::null());
        }
        must(rc, "the ring for answers");
        for _ in 0..count {
            let mut m = std::mem::zeroed::<Message>();
            must(myelon_frame_peek_fn(consumer, FOREVER, &mut m), "peek");
            let bytes = std::slice::from_raw_parts(m.data, m.len);
            let zoo: Zoo = crate::checked(bytes).expect("an archive");
            must(myelon_frame_release_fn(consumer, 1), "release");
            let answer = bincode::serialize(&zoo).unwrap();
            must(myelon_frame_send(producer, answer.as_ptr().cast(), answer.len(), m.kind, FOREVER), "send");
        }
        let mut m = std::mem::zeroed::<Message>();
        assert_eq!(myelon_frame_peek_fn(consumer, FOREVER, &mut m), EPIPE);
        myelon_frame_producer_close(producer);
        myelon_frame_consumer_close(consumer);
    }
}
