/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The seam: the only code of the library that meets the kernel or the clock.
 * Another implementation (a simulation) can be linked instead. Everything
 * returns 0 or a count, or a negative errno, sets no error sentence and retries
 * EINTR unless it says otherwise.
 *
 * In a test build (MYE_TEST_POINTS) every call that changes something others
 * can see is a point: points are counted, and MYELON_TEST_KILL_AT=n raises
 * SIGKILL at the n-th (points.h).
 */
#ifndef MYE_SYS_SYS_H
#define MYE_SYS_SYS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "sys/points.h"

struct mye_identity;

/* Clock. */
int64_t mye_now(void);        /* CLOCK_MONOTONIC, ns */
int64_t mye_now_coarse(void); /* the same, some ms behind, in a few ns */
uint64_t mye_realtime(void);  /* CLOCK_REALTIME, ns */
/* Sleep until an absolute CLOCK_MONOTONIC time. @return 0, or -EINTR (not
 * retried). */
int mye_sleep_until(int64_t deadline);
void mye_yield(void);

/*
 * Shared futexes. Wait until *word != expected, a wake, or an absolute
 * CLOCK_MONOTONIC deadline (INT64_MAX: none). @return 0 (woken, maybe
 * spuriously), -EAGAIN (value differed), -EINTR, -ETIMEDOUT, -EFAULT (the page
 * is gone). Not retried: the caller's loop starts from the top.
 */
int mye_futex_wait(const uint32_t *word, uint32_t expected, int64_t deadline);
/* Wake all. @return how many, or negative. Async-signal-safe. */
int mye_futex_wake_all(uint32_t *word);

/*
 * Words the kernel marks when a thread ends (robust.c), one list per process. All but the two
 * questions are called on that thread, which uses no robust mutexes. A word holds the thread's id,
 * perhaps with MYE_ROBUST_WAITERS, else it is not owned; when the thread ends, the kernel puts
 * MYE_ROBUST_DIED in the id's place, keeps MYE_ROBUST_WAITERS, and if that was set wakes one sleeper.
 */
#define MYE_ROBUST_WAITERS 0x80000000u
#define MYE_ROBUST_DIED 0x40000000u
#define MYE_ROBUST_TID 0x3fffffffu
#define MYE_ROBUST_MAX 2000u /* the kernel looks at 2048 */
/* MYE_ROBUST_DISTANCE before each word are 16 bytes of private memory, aligned to 8, for us alone. */
#define MYE_ROBUST_DISTANCE (3 * 65536l)
int mye_robust_install(void); /* -ENOSYS, -EPERM: not here */
void mye_robust_uninstall(void);
bool mye_robust_installed(void);
uint32_t mye_robust_held(void);
/* @return 0, -ENOTSUP (not installed), -ENOSPC (MYE_ROBUST_MAX are owned). Wakes all who slept on it. */
int mye_robust_own(uint32_t *word);
/* Store 0, unless the word is somebody else's by now, and wake all. */
void mye_robust_disown(uint32_t *word);

/* membarrier GLOBAL_EXPEDITED. Register this address space (once, cached) /
 * call the barrier. -ENOTSUP: the kernel has none or a filter denies it. */
int mye_membarrier_register(void);
int mye_membarrier(void);

/* Files. All descriptors are O_CLOEXEC, opens of existing files O_NOFOLLOW. */
int mye_open_dir(const char *path);
/* Another open file description of an open file, without its locks. */
int mye_reopen_writable(int fd);
int mye_reopen_readable(int fd);
/* An existing regular file; -ELOOP: a symbolic link, -EPROTO: something else. */
int mye_open_at(int dirfd, const char *name, bool writable);
/* O_TMPFILE O_RDWR, mode set exactly; -EOPNOTSUPP where the file system has
 * none, or it could not be linked. */
int mye_open_tmpfile(int dirfd, mode_t mode);
int mye_create_excl(int dirfd, const char *name, mode_t mode); /* fallback of the above */
int mye_link_fd(int fd, int dirfd, const char *name);          /* /proc/self/fd; -EEXIST */
int mye_link_at(int dirfd, const char *from, const char *to);
int mye_unlink_at(int dirfd, const char *name);
int mye_fstat(int fd, struct stat *st);
int mye_stat_at(int dirfd, const char *name, struct stat *st); /* no symlinks followed */
int mye_truncate(int fd, uint64_t bytes);
int mye_allocate(int fd, uint64_t bytes); /* fallocate, -EOPNOTSUPP possible */
int mye_write_all(int fd, const void *buf, size_t n, uint64_t off);
ssize_t mye_read_at(int fd, void *buf, size_t n, uint64_t off); /* until n or end of file */
int mye_sync(int fd);
void mye_close(int fd);
/* f_type and f_bsize of statfs. */
int mye_statfs(int fd, uint64_t *type, uint64_t *bsize, uint64_t *free_bytes);
bool mye_may_write(int dirfd); /* may the process make files in there? */
/* Read a small text file (sysfs, proc) by absolute path; NUL-terminated,
 * trailing newline cut. @return length. */
ssize_t mye_read_text(const char *path, char *buf, size_t cap);
/* The whole of a file of any length (mounts, smaps), to be freed; NULL on failure. */
char *mye_read_whole(const char *path);
/* Write to one (sysfs). */
int mye_write_text(const char *path, const char *text);
/* Call fn for each entry of a directory; stop at non-zero and return it. */
int mye_each_name(int dirfd, int (*fn)(void *ctx, const char *name), void *ctx);
/* getenv that treats "" as unset, and everything in a set-user-id program. */
const char *mye_env(const char *name);

/* Files without a name (memfd.c), of ordinary pages or of huge ones of @p huge_page bytes. */
int mye_memfd_create(const char *name, uint64_t huge_page);
#define MYE_SEAL_SIZE 1u  /* becomes neither shorter nor longer */
#define MYE_SEAL_WRITE 2u /* nobody gets a new way to write; mappings that can stay */
#define MYE_SEAL_SEALS 4u /* no further seals */
/* @return 0; -EINVAL: the kernel does not know one of them; -EPERM: sealed against seals. */
int mye_seals_add(int fd, unsigned int seals);
/* @return MYE_SEAL_*; -EINVAL: a file that has no seals; -EBADF. */
int mye_seals_get(int fd);
int mye_chmod(int fd, mode_t mode);
/* File systems as a whole (mount.c). */
int mye_make_dir(const char *path, mode_t mode);
int mye_remove_dir(const char *path);
int mye_is_mount_point(int dirfd);                                     /* 1, 0, or negative errno */
int mye_mount(const char *type, const char *dir, const char *options); /* nosuid, nodev */
/* f_blocks and f_bavail of statfs, as the file system says them. */
int mye_fs_blocks(int fd, uint64_t *total, uint64_t *left);

/*
 * Capabilities of the calling thread (caps.c), for the one call that needs them. Raise makes one
 * effective that is only permitted: @return 1 if it did, 0 if it is effective anyway or not
 * permitted, -ENOTSUP without libcap. What it returned is given to drop.
 */
enum mye_cap { MYE_CAP_SYS_ADMIN, MYE_CAP_DAC_OVERRIDE };
int mye_cap_raise(enum mye_cap cap);
void mye_cap_drop(enum mye_cap cap, int raised);

/*
 * Call fn for each control group of this process that may have limits of @p controller, its own
 * first, then upwards: @p dir is where its files are, @p group its path under the mount, @p unified
 * tells version 2. Stop at non-zero and return it.
 */
typedef int (*mye_cgroup_fn)(void *ctx, const char *dir, const char *group, bool unified);
int mye_each_cgroup(const char *controller, mye_cgroup_fn fn, void *ctx);

/* Open-file-description locks on one byte. */
enum mye_lock { MYE_LOCK_NONE, MYE_LOCK_SHARED, MYE_LOCK_EXCLUSIVE };
/* Never blocks. @return 0, -EAGAIN if somebody else holds it. */
int mye_lock_set(int fd, int64_t byte, enum mye_lock kind);
/* Give up every lock of this open file. */
void mye_lock_drop_all(int fd);
/* Would `kind` conflict with what others hold? @return 0 free, 1 held, negative
 * errno. Needs only read permission. */
int mye_lock_query(int fd, int64_t byte, enum mye_lock kind);

/* Memory. */
#define MYE_MAP_WRITE 1u
#define MYE_MAP_PRIVATE 2u /* anonymous private memory; fd is ignored */
/* Reserve address space, PROT_NONE, aligned to @p align. */
int mye_reserve(size_t bytes, size_t align, void **out);
/* Map fd at a fixed address inside a reservation, MAP_SHARED. */
int mye_map_fixed(void *at, size_t bytes, int fd, uint64_t off, unsigned flags);
int mye_map_private(size_t bytes, void **out);
void mye_unmap(void *at, size_t bytes);
/* Has the kernel MADV_POPULATE_* (5.14)? */
bool mye_can_populate(void);
/* MADV_POPULATE_READ/WRITE; on kernels without it, touches pages under no guard
 * only after allocation is proven. @return 0, -EFAULT where a touch would be
 * SIGBUS, -ENOMEM. */
int mye_populate(void *at, size_t bytes, bool write);
int mye_dontfork(void *at, size_t bytes);
int mye_wipeonfork(void *at, size_t bytes);
int mye_hugepage_advise(void *at, size_t bytes); /* MADV_HUGEPAGE */
int mye_collapse(void *at, size_t bytes);        /* MADV_COLLAPSE; -EINVAL before 6.1 */
size_t mye_page_size(void);

/* Identity and CPUs. */
void mye_identify(struct mye_identity *out); /* of the calling thread's process */
/* A copy of one in shared memory, which its owner may be writing: check and use the copy. */
void mye_identity_read(struct mye_identity *out, const struct mye_identity *shared);
/* Over one that others may be reading: they may find parts of both. */
void mye_identity_write(struct mye_identity *shared, const struct mye_identity *who);
/* Are these the same process? */
bool mye_identity_same(const struct mye_identity *a, const struct mye_identity *b);
/* Is it this process? */
bool mye_identity_is_own(const struct mye_identity *who);
uint32_t mye_pid(void);
uint32_t mye_tid(void);
uint32_t mye_euid(void);
int mye_random(void *buf, size_t n);
/* The affinity of the calling thread; 16384 CPUs, the plain cpu_set_t ends at 1024. */
#define MYE_CPU_WORDS (16384 / 8 / (int)sizeof(unsigned long))
struct mye_cpu_mask {
	unsigned long word[MYE_CPU_WORDS];
};
int mye_affinity_get(struct mye_cpu_mask *mask);
int mye_affinity_set(const struct mye_cpu_mask *mask); /* -EINVAL: none of them may be used */
/* If the calling thread may run on one CPU only: on all others instead, as far as the control groups
 * allow. Where there is no other it stays. */
void mye_leave_pinned_cpu(void);
/* The list of CPUs that the control groups leave this process, whatever a thread's affinity is.
 * @return false: they do not say. */
bool mye_cgroup_cpus(char *list, size_t cap);
/* The CPUs of the isolated partition this process is in. @return false: it is in none. */
bool mye_cgroup_isolated(char *list, size_t cap);
/* CPUs in the affinity of the calling thread; @p pinned: that CPU if it is one,
 * else -1. */
uint32_t mye_affinity(int *pinned);
/* CPUs a handle of this thread may use: its affinity (a thread pinned to one
 * CPU counts all online CPUs instead), cut by the cgroup CPU quota; >= 1. @p
 * pinned: that CPU, or -1. @p quota: a quota is in force. */
uint32_t mye_usable_cpus(int *pinned, bool *quota);
int mye_current_node(void); /* NUMA node of the running CPU, 0 if unknown */

/* A thread of the library's own: all signals blocked, ordinary scheduling, a small stack. It has the
 * creator's affinity. @return 0, -EAGAIN, -ENOMEM. */
int mye_thread_start(pthread_t *out, void *(*fn)(void *arg), void *arg);
void mye_thread_name(const char *name); /* of the calling thread, 15 characters */

/*
 * UNIX sockets (socket.c): sequenced packets, non-blocking, in a directory. Listen: -EADDRINUSE:
 * something has the name. Send and receive: one packet and one descriptor; received: -1, there was none.
 */
int mye_socket_listen(int dirfd, const char *name, mode_t mode);
int mye_socket_connect(int dirfd, const char *name); /* -ECONNREFUSED: nobody listens any more */
int mye_socket_accept(int listener);
int mye_socket_peer(int fd, uint32_t *uid, uint32_t *gid);
int mye_socket_send(int sock, const void *buf, size_t bytes, int fd);
ssize_t mye_socket_receive(int sock, void *buf, size_t cap, int *fd);

/*
 * Processes as descriptors (pidfd.c), readable once the process has ended. Of a pid: @return the
 * descriptor, -ESRCH, -ENOTSUP (no pidfds here), -EMFILE. Of an identity in shared memory: also -ESRCH
 * if that process is gone and its pid somebody else's, -EXDEV (its pids are not ours: another
 * namespace, another boot), -EACCES (who has that pid now is not to be found out).
 */
int mye_pidfd_open(pid_t pid);
int mye_pidfd_of(const struct mye_identity *who);
/* Which of @p n pidfds are of processes that ended, in one call; at most 64. @return how many. */
int mye_pidfds_ended(const int *fds, bool *ended, int n);
/* Of an open pidfd: its inode, 0 before 6.9, where all have the same. */
uint64_t mye_pidfd_inode(int fd);
/* Descriptor @p number of that process, duplicated here. -EPERM: not allowed; -ENOSYS; -EBADF. */
int mye_pidfd_take(int pidfd, int number);
int mye_uid_of(uint32_t pid, uint32_t *uid);
void mye_boot_id(uint64_t out[2]); /* 0, 0: unknown */
/* When a process began, in clock ticks since boot; 0: unknown. @p pid 0: we. */
uint64_t mye_start_ticks(uint32_t pid);
/* Inode of our pid namespace; 0: unknown. */
uint64_t mye_pid_namespace(void);

/* A timer as a descriptor (timer.c): readable from @p first on (absolute; INT64_MAX: never). Setting it
 * anew makes it unreadable. */
int mye_timerfd_create(void);
/* @p period: again every so many ns, 0: once. */
int mye_timerfd_set(int fd, int64_t first, int64_t period);
void mye_timerfd_clear(int fd); /* not readable any more, until the next time */

/* An eventfd (event.c), not blocking. Poke makes it readable (async-signal-safe); drain makes it not
 * readable. @return drain: it was. */
int mye_event_open(void);
void mye_event_poke(int fd);
bool mye_event_drain(int fd);
bool mye_is_eventfd(int fd); /* a descriptor that came from elsewhere */

/* epoll. Wait: not retried; deadline as in <myelon/wait.h>. @return how many, 0 after the deadline. */
struct epoll_event;
int mye_epoll_open(void);
int mye_epoll_add(int epoll, int fd, uint32_t events, uint64_t data);
int mye_epoll_change(int epoll, int fd, uint32_t events, uint64_t data);
int mye_epoll_remove(int epoll, int fd);
int mye_epoll_wait(int epoll, int64_t deadline, struct epoll_event *events, int max);

/*
 * mye_futex_wait() for several: until one differs or is woken. @return 0 (which one is for the caller to
 * see), -EAGAIN, -EINTR, -ETIMEDOUT, -EFAULT; -ENOSYS: before Linux 5.16, or denied.
 */
#define MYE_FUTEX_WAITV_MAX 128
struct mye_futex {
	const uint32_t *word;
	uint32_t value;
	bool own; /* of this process alone, and not in shared memory */
};
int mye_futex_waitv(const struct mye_futex *words, unsigned int n, int64_t deadline);

/*
 * io_uring (uring.c) for futex waits and polls of one thread, the one that opened it; in any other
 * enter and submit return -EEXIST. Completions signal @p event_fd, unless it is negative.
 * @return open: the ring's descriptor, which close gives back for the caller to close; -ENOPKG: built
 * without liburing; -EOPNOTSUPP: before Linux 6.7; -EINVAL: before 6.1; -EPERM, -EACCES, -ENOSYS: denied
 * or not there; -EMFILE; -ENOMEM.
 */
struct mye_uring;
int mye_uring_open(struct mye_uring **out, int event_fd);
int mye_uring_close(struct mye_uring *r);
/* Queue a request. @p data comes back when it is done. @return 0; -EAGAIN: submit first. */
int mye_uring_futex(struct mye_uring *r, const uint32_t *word, uint32_t value, uint64_t data);
int mye_uring_poll(struct mye_uring *r, int fd, uint32_t events, uint64_t data); /* once */
int mye_uring_cancel(struct mye_uring *r, uint64_t which, uint64_t data);
/* Nothing is queued, and nothing is done that was not reaped. No system call. */
bool mye_uring_is_idle(struct mye_uring *r);
bool mye_uring_has_completions(struct mye_uring *r);
int mye_uring_submit(struct mye_uring *r);
/* Submit, and wait until something is done or the deadline. @return 0, -ETIMEDOUT, -EINTR (not
 * retried), -EEXIST, or another negative errno. */
int mye_uring_enter(struct mye_uring *r, int64_t deadline);
/* What is done; no more is there when it returns 0. */
#define MYE_URING_REAP 32
struct mye_uring_done {
	uint64_t data;
	int32_t result;
};
int mye_uring_reap(struct mye_uring *r, struct mye_uring_done *done, int max);

/*
 * Another kind of ring (uring.c): its one request is to be told of the end of the process of @p pidfd, which
 * may be closed after it. Then a word changes from 0. A mye_futex_waitv() of the thread that opened it ends with
 * that, if this word is among its words, as its own: the kernel interrupts the thread, which completes the
 * request, raises the word and enters the call anew. In other threads it does not. @return as
 * mye_uring_open(); to be closed as that.
 */
int mye_uring_open_ending(struct mye_uring **out, int pidfd);
const uint32_t *mye_uring_ending(const struct mye_uring *r);

/* Wait for a name to appear in a directory: inotify, else polling 1 ms doubling
 * to 50 ms. */
struct mye_watch;
int mye_watch_open(struct mye_watch **out, const char *dir); /* -ENOENT, -EACCES, ... */
/* Until something may have changed in the directory or the deadline. @return 0,
 * -ETIMEDOUT, -EINTR. */
int mye_watch_wait(struct mye_watch *w, int64_t deadline);
void mye_watch_close(struct mye_watch *w);

#endif
