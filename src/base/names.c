/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the constants of the public headers are called. */
#include <errno.h>
#include <string.h>

#include <myelon/error.h>
#include <myelon/ring.h>
#include <myelon/wait.h>

/* As in include/myelon/error.h. */
#define ERRORS(X)                                                                                  \
	X(EAGAIN, "nothing to read, or no room")                                                   \
	X(ETIMEDOUT, "the deadline passed")                                                        \
	X(EPIPE, "the producer closed the ring and everything was read")                           \
	X(EOWNERDEAD, "the producer died and everything it published was read")                    \
	X(ESTALE, "this consumer was evicted, what was read since the last peek is not valid")     \
	X(EBUSY, "somebody alive owns this name, id or role")                                      \
	X(EPROTO, "not a valid ring of this layout")                                               \
	X(EBADMSG, "the bytes of a message are not what they claim to be")                         \
	X(EINVAL, "an argument or option is outside its range")                                    \
	X(E2BIG, "an option is set that this version of the library does not know")                \
	X(EMSGSIZE, "the request can never fit")                                                   \
	X(ENOENT, "no such ring or consumer")                                                      \
	X(ENOTDIR, "the directory of the ring does not exist")                                     \
	X(EEXIST, "a ring of this name exists")                                                    \
	X(ENAMETOOLONG, "the name or id is too long")                                              \
	X(ENOSPC, "the backing or the table is full")                                              \
	X(ENOMEM, "memory or address space ran out")                                               \
	X(EPERM, "not allowed, or the handle was opened before a fork")                            \
	X(EACCES, "the file permissions do not allow it")                                          \
	X(ECANCELED, "interrupted by another thread")                                              \
	X(EINTR, "interrupted by a signal")                                                        \
	X(ENOTSUP, "the kernel, the file system or this kind of ring does not offer it")           \
	X(EBADF, "a descriptor is not open")                                                       \
	X(EMFILE, "too many descriptors are open")

const char *myelon_strerror(int err)
{
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 32)
	const char *text;
#endif

	if (err < 0 && err != INT32_MIN)
		err = -err;
	switch (err) {
	case 0:
		return "no error";
#define CASE(code, sentence)                                                                       \
	case code:                                                                                 \
		return sentence;
		ERRORS(CASE)
#undef CASE
	default:
		break;
	}
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 32)
	text = strerrordesc_np(err);
	if (text)
		return text;
#endif
	return "an unknown error";
}

static const char *const wait_names[] = {
	[MYELON_WAIT_ADAPTIVE] = "adaptive",
	[MYELON_WAIT_SPIN] = "spin",
	[MYELON_WAIT_SPIN_PAUSE] = "spin-pause",
	[MYELON_WAIT_YIELD] = "yield",
	[MYELON_WAIT_SLEEP] = "sleep",
	[MYELON_WAIT_PARK] = "park",
	[MYELON_WAIT_FD] = "fd",
};

static const char *const engine_names[] = {
	[MYELON_ENGINE_AUTO] = "auto",   [MYELON_ENGINE_URING] = "uring",
	[MYELON_ENGINE_EPOLL] = "epoll", [MYELON_ENGINE_DIRECT] = "direct",
	[MYELON_ENGINE_PROXY] = "proxy",
};

static const char *const backing_names[] = {
	[MYELON_BACKING_AUTO] = "auto", [MYELON_BACKING_HUGETLB] = "hugetlb",
	[MYELON_BACKING_SHM] = "shm",   [MYELON_BACKING_SHM_THP] = "shm+thp",
	[MYELON_BACKING_FILE] = "file", [MYELON_BACKING_MEMFD] = "memfd",
};

static const char *const peer_state_names[] = {
	[MYELON_PEER_ABSENT] = "absent",   [MYELON_PEER_ALIVE] = "alive",
	[MYELON_PEER_DEAD] = "dead",       [MYELON_PEER_CLOSED] = "closed",
	[MYELON_PEER_JOINING] = "joining", [MYELON_PEER_EVICTED] = "evicted",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The value may come from shared memory. */
static const char *name_of(const char *const *names, size_t count, unsigned int value)
{
	return value < count ? names[value] : NULL;
}

const char *myelon_wait_name(enum myelon_wait wait)
{
	return name_of(wait_names, COUNT(wait_names), (unsigned int)wait);
}

static int value_of(const char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; name && i < count; i++)
		if (!strcmp(name, names[i]))
			return (int)i;
	return -EINVAL;
}

int myelon_wait_parse(const char *name)
{
	return value_of(wait_names, COUNT(wait_names), name);
}

const char *myelon_engine_name(enum myelon_engine engine)
{
	return name_of(engine_names, COUNT(engine_names), (unsigned int)engine);
}

int myelon_engine_parse(const char *name)
{
	return value_of(engine_names, COUNT(engine_names), name);
}

const char *myelon_backing_name(enum myelon_backing backing)
{
	return name_of(backing_names, COUNT(backing_names), (unsigned int)backing);
}

const char *myelon_peer_state_name(enum myelon_peer_state state)
{
	return name_of(peer_state_names, COUNT(peer_state_names), (unsigned int)state);
}
