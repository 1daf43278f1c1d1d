/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* UNIX sockets in a directory, to hand descriptors over. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "sys/sys.h"

#define BACKLOG 64

/* Through the directory's descriptor a path is short, however deep the directory lies. */
static int address(struct sockaddr_un *to, int dirfd, const char *name)
{
	int n;

	memset(to, 0, sizeof(*to));
	to->sun_family = AF_UNIX;
	n = snprintf(to->sun_path, sizeof(to->sun_path), "/proc/self/fd/%d/%s", dirfd, name);
	return n < (int)sizeof(to->sun_path) ? 0 : -ENAMETOOLONG;
}

/* A socket, and what it is to be bound or connected to. */
static int make(struct sockaddr_un *at, int dirfd, const char *name)
{
	int rc = address(at, dirfd, name), fd;

	if (rc)
		return rc;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

int mye_socket_listen(int dirfd, const char *name, mode_t mode)
{
	struct sockaddr_un at;
	int fd = make(&at, dirfd, name), rc = 0;

	if (fd < 0)
		return fd;
	mye_point();
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		rc = -errno;
	else if (fchmodat(dirfd, name, mode, 0) < 0 || listen(fd, BACKLOG) < 0) {
		rc = -errno;
		unlinkat(dirfd, name, 0);
	}
	mye_point();
	if (rc) {
		close(fd);
		return rc;
	}
	return fd;
}

int mye_socket_connect(int dirfd, const char *name)
{
	struct sockaddr_un at;
	int fd = make(&at, dirfd, name), rc = 0;

	if (fd < 0)
		return fd;
	mye_point();
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

int mye_socket_accept(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int mye_socket_peer(int fd, uint32_t *uid, uint32_t *gid)
{
	struct ucred cred;
	socklen_t n = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) < 0)
		return -errno;
	*uid = cred.uid;
	*gid = cred.gid;
	return 0;
}

union control {
	char room[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

int mye_socket_send(int sock, const void *buf, size_t bytes, int fd)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)buf, .iov_len = bytes};
	union control control = {{0}};
	struct msghdr msg = {.msg_iov = &iov,
	                     .msg_iovlen = 1,
	                     .msg_control = control.room,
	                     .msg_controllen = sizeof(control.room)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	ssize_t n;

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	mye_point();
	do
		n = sendmsg(sock, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n == (ssize_t)bytes ? 0 : -EMSGSIZE;
}

ssize_t mye_socket_receive(int sock, void *buf, size_t cap, int *fd)
{
	struct iovec iov = {.iov_base = buf, .iov_len = cap};
	union control control = {{0}};
	/* Not CMSG_SPACE: its padding is room for a second one, which nobody would close. */
	struct msghdr msg = {.msg_iov = &iov,
	                     .msg_iovlen = 1,
	                     .msg_control = control.room,
	                     .msg_controllen = CMSG_LEN(sizeof(int))};
	struct cmsghdr *c;
	ssize_t n;

	*fd = -1;
	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	/* More than one descriptor does not fit: the kernel closes the others. */
	c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	return msg.msg_flags & MSG_TRUNC ? -EMSGSIZE : n;
}
