/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* `myelon sub`: messages to stdout, marks, and the account of what came. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cli.h"
#include "stop.h"
#include "sub.h"

void sub_end(struct sub *sub, const char *why, int code)
{
	sub->ended = why;
	sub->code = code;
}

void sub_lose(struct sub *sub, uint64_t n, const char *why)
{
	if (n == 0)
		return;
	if (sub->lost == 0)
		cli_note("%" PRIu64 " lost: %s", n, why);
	sub->lost += n;
}

void sub_mark(struct sub *sub, const struct myelon_message *m, enum stream_kind kind)
{
	uint64_t first, second;

	stream_read_mark(m, &first, &second);
	if (kind == STREAM_START) {
		sub->stream = (struct stream_tally){.from_start = true};
		sub->progress.total = first == STREAM_UNKNOWN ? PROGRESS_UNKNOWN : first;
		return;
	}
	if (!sub->stream.from_start) {
		sub_end(sub, "end", CLI_OK);
		return;
	}
	if (sub->stream.bytes == first && sub->stream.messages == second) {
		sub->verified = SUB_VERIFIED;
		sub_end(sub, "end", CLI_OK);
		return;
	}
	sub->verified = SUB_WRONG;
	sub_end(sub, "end",
	        cli_error(CLI_DAMAGED,
	                  "the stream has %" PRIu64 " bytes in %" PRIu64 " messages, but %" PRIu64
	                  " bytes in %" PRIu64 " messages came: start again from the source",
	                  first, second, sub->stream.bytes, sub->stream.messages));
}

/* One write. @return bytes, or -errno. */
static ssize_t write_some(const struct iovec *iov, int n)
{
	ssize_t done = writev(STDOUT_FILENO, iov, n);

	if (done < 0 && errno == EAGAIN) {
		/* Somebody made our stdout non-blocking. */
		struct pollfd fd = {.fd = STDOUT_FILENO, .events = POLLOUT};

		if (poll(&fd, 1, -1) < 0 && errno != EINTR)
			return -errno;
		return 0;
	}
	if (done < 0)
		return errno == EINTR ? 0 : -errno;
	return done;
}

void sub_output_closed(struct sub *sub)
{
	sub_end(sub, "output-closed", cli_error(CLI_FAILURE, "whoever read stdout has closed it"));
}

static void output_error(struct sub *sub, ssize_t rc)
{
	if (rc == -EPIPE)
		sub_output_closed(sub);
	else
		sub_end(sub, "output-error",
		        cli_error(CLI_FAILURE, "cannot write to stdout: %s", strerror((int)-rc)));
}

/*
 * Write the pieces, @each per message. A signal ends it behind the message that is being written.
 * @return pieces written whole.
 */
static int write_pieces(struct sub *sub, struct iovec *iov, int n, int each)
{
	int at = 0;
	bool begun = false; /* iov[at] is partly written */

	while (at < n) {
		int end = n;
		ssize_t done;

		if (stop_signal()) {
			if (at % each == 0 && !begun)
				break;
			end = at - at % each + each;
		}
		done = write_some(iov + at, end - at);
		if (done < 0) {
			output_error(sub, done);
			break;
		}
		for (; at < end && (size_t)done >= iov[at].iov_len; at++) {
			done -= (ssize_t)iov[at].iov_len;
			begun = false;
		}
		if (done > 0) {
			iov[at].iov_base = (char *)iov[at].iov_base + done;
			iov[at].iov_len -= (size_t)done;
			begun = true;
		}
	}
	return at;
}

uint32_t sub_write(struct sub *sub, const struct myelon_message *msgs, uint32_t n)
{
	static char newline[] = "\n";
	struct iovec iov[2 * SUB_BATCH] = {0};
	int each = sub->lines ? 2 : 1, pieces = 0;
	uint32_t whole;

	for (uint32_t i = 0; i < n; i++) {
		/* iovec has no const; writev(2) only reads. */
		union {
			const void *in;
			void *out;
		} data = {.in = msgs[i].data};

		iov[pieces++] = (struct iovec){.iov_base = data.out, .iov_len = msgs[i].len};
		if (sub->lines)
			iov[pieces++] = (struct iovec){.iov_base = newline, .iov_len = 1};
	}
	whole = (uint32_t)(write_pieces(sub, iov, pieces, each) / each);
	for (uint32_t i = 0; i < whole; i++) {
		sub->bytes += msgs[i].len;
		sub->stream.bytes += msgs[i].len;
	}
	sub->messages += whole;
	sub->stream.messages += whole;
	sub->left -= whole;
	if (sub->left == 0 && sub->code == SUB_GO_ON)
		sub_end(sub, "count", CLI_OK);
	return whole;
}
