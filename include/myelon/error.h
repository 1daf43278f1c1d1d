/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/**
 * @file error.h - error codes and the sentence that explains the last one.
 *
 * Every function that can fail returns a negative errno; 0 or a count is success. `errno` itself is
 * not part of the contract. The codes, and what they mean in this library:
 *
 *  -EAGAIN        nothing to read, or no room, and the deadline was MYELON_TRY
 *  -ETIMEDOUT     the deadline passed
 *  -EPIPE         the producer closed the ring in order and everything was read
 *  -EOWNERDEAD    the producer died; everything it published was read
 *  -ESTALE        this consumer was evicted; what was read since peek is not to be trusted
 *  -EBUSY         somebody alive owns this name, id or role
 *  -EPROTO        shared memory holds something that is not a valid ring of this layout
 *  -EBADMSG       the bytes of a message are not what they claim (cut off, lying header)
 *  -EINVAL        an argument or option is outside its range
 *  -E2BIG         an option struct is newer than this library and uses what it does not know
 *  -EMSGSIZE      the request can never fit (more than the window, buffer too small)
 *  -ENOENT        no ring of this name, no such consumer
 *  -ENOTDIR       the directory the ring would be in does not exist
 *  -EEXIST        a ring of this name exists
 *  -ENAMETOOLONG  a name or id is longer than 64 bytes
 *  -ENOSPC        the shm directory, file system, huge page pool or consumer table is full
 *  -ENOMEM        memory or address space ran out
 *  -EMFILE        too many handles are open in this process
 *  -EPERM         not allowed; also a handle used in a forked child
 *  -EACCES        the file permissions do not allow it
 *  -ECANCELED     interrupted by myelon_*_interrupt()
 *  -EBADF         a descriptor passed in is not open
 *  -ENOTSUP       the kernel, the file system or this kind of ring does not offer it
 *  -EINTR         a signal came and the handle was opened with MYELON_F_EINTR
 */
#ifndef MYELON_ERROR_H
#define MYELON_ERROR_H

#include <myelon/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * The calling thread's last failure in one sentence: what failed, which field
 * or file, what to do.
 *
 * @return never NULL; valid until the thread's next failing call; "no error" if
 * nothing failed yet.
 */
MYELON_API const char *myelon_last_error(void);

/** The meaning of a returned code in this library; never NULL. @p err may be
 * negative or positive. */
MYELON_API const char *myelon_strerror(int err);

#ifdef __cplusplus
}
#endif
#endif
