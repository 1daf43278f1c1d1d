// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A Rust process on two rings of the C library: archives are verified where they lie, in the ring.

use std::ffi::{CStr, CString};
use std::os::raw::{c_char, c_int, c_void};
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
const EPIPE: c_int = -32;

#[link(name = "myelon")]
extern "C" {
    fn myelon_last_error() -> *const c_char;
    fn myelon_frame_consumer_attach(out: *mut *mut c_void, name: *const c_char, opts: *const c_void) -> c_int;
    fn myelon_frame_consumer_close(consumer: *mut c_void);
    fn myelon_frame_peek_fn(consumer: *mut c_void, deadline: i64, message: *mut Message) -> c_int;
    fn myelon_frame_release_fn(consumer: *mut c_void, n: u32) -> c_int;
    fn myelon_frame_producer_open(out: *mut *mut c_void, name: *const c_char, opts: *const c_void) -> c_int;
    fn myelon_frame_producer_close(producer: *mut c_void);
    fn myelon_frame_send(producer: *mut c_void, data: *const c_void, bytes: usize, kind: u8, deadline: i64) -> c_int;
}

fn must(rc: c_int, what: &str) {
    if rc < 0 {
        let sentence = unsafe { CStr::from_ptr(myelon_last_error()) };
        panic!("{what}: {rc}, {}", sentence.to_string_lossy());
    }
}

/// Answers what comes from IN until its producer closed it. What was read but not released comes again to the next
/// process, so an answer is sent before the release: after a crash one may come twice, none is missing.
pub fn run(input: &str, output: &str) {
    let (input, output) = (CString::new(input).unwrap(), CString::new(output).unwrap());
    let mut consumer = ptr::null_mut();
    let mut producer = ptr::null_mut();
    unsafe {
        must(myelon_frame_consumer_attach(&mut consumer, input.as_ptr(), ptr::null()), "attach");
        must(myelon_frame_producer_open(&mut producer, output.as_ptr(), ptr::null()), "open");
        loop {
            let mut m = std::mem::zeroed::<Message>();
            let rc = myelon_frame_peek_fn(consumer, FOREVER, &mut m);
            if rc == EPIPE {
                break;
            }
            must(rc, "peek");
            let zoo: Zoo = crate::checked(std::slice::from_raw_parts(m.data, m.len)).expect("an archive");
            let answer = bincode::serialize(&zoo).unwrap();
            must(myelon_frame_send(producer, answer.as_ptr().cast(), answer.len(), m.kind, FOREVER), "send");
            must(myelon_frame_release_fn(consumer, 1), "release");
        }
        myelon_frame_producer_close(producer);
        myelon_frame_consumer_close(consumer);
    }
}
