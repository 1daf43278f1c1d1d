/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* `myelon demo`: which file, and its checksum without any ring. */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "demo.h"
#include "stop.h"

#define LARGEST (INT64_C(1) << 30)
#define READ_BYTES ((size_t)1 << 20)

int demo_find_file(char path[PATH_MAX])
{
	static char usr_lib[] = "/usr/lib", usr_bin[] = "/usr/bin";
	char *const roots[] = {usr_lib, usr_bin, NULL};
	FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	off_t largest = -1;
	FTSENT *e;

	if (!tree)
		return cli_error(CLI_FAILURE, "cannot look for a file in /usr/lib: %s",
		                 strerror(errno));
	while ((e = fts_read(tree))) {
		off_t size;

		if (e->fts_info != FTS_F || e->fts_pathlen >= PATH_MAX)
			continue;
		size = e->fts_statp->st_size;
		if (size > LARGEST || size < largest || access(e->fts_path, R_OK) != 0)
			continue;
		/* Directories come in no order: of two files of one size the first by name. */
		if (size == largest && strcmp(e->fts_path, path) > 0)
			continue;
		largest = size;
		memcpy(path, e->fts_path, (size_t)e->fts_pathlen + 1);
	}
	fts_close(tree);
	if (largest < 0)
		return cli_error(CLI_FAILURE,
		                 "no readable file in /usr/lib and /usr/bin: name one");
	return CLI_OK;
}

/* @return 0 or -errno. */
static int hash_descriptor(struct sha256 *s, int fd, unsigned char *buf, uint64_t *bytes)
{
	for (;;) {
		ssize_t n;

		if (stop_signal())
			return -ECANCELED;
		n = read(fd, buf, READ_BYTES);
		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			sha256_update(s, buf, (size_t)n);
			*bytes += (uint64_t)n;
		}
	}
}

static int hash_repeatedly(struct demo_file *f, int fd, unsigned char *buf)
{
	struct sha256 s;
	int rc = 0;

	sha256_init(&s);
	for (uint64_t i = 0; i < f->repeat && rc == 0; i++) {
		f->bytes = 0;
		if (lseek(fd, 0, SEEK_SET) < 0)
			rc = -errno;
		else
			rc = hash_descriptor(&s, fd, buf, &f->bytes);
	}
	sha256_final_hex(&s, f->sum);
	return rc;
}

int demo_hash_file(struct demo_file *f)
{
	int64_t began = myelon_now();
	unsigned char *buf;
	struct stat st;
	int fd, rc;

	fd = open(f->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		rc = cli_error(CLI_FAILURE, "cannot open %s: %s", f->path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return rc;
	}
	buf = malloc(READ_BYTES);
	if (!S_ISREG(st.st_mode))
		rc = cli_error(CLI_USAGE,
		               "%s is not a regular file: it is read twice, so that the sums can "
		               "be compared",
		               f->path);
	else if (!buf)
		rc = cli_error(CLI_FAILURE, "out of memory");
	else
		rc = hash_repeatedly(f, fd, buf);
	if (rc < 0)
		rc = stop_signal()
		             ? stop_exit_code()
		             : cli_error(CLI_FAILURE, "cannot read %s: %s", f->path, strerror(-rc));
	free(buf);
	close(fd);
	f->seconds = (double)(myelon_now() - began) / 1e9;
	return rc;
}
