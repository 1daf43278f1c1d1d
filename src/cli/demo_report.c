/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* `myelon demo`: what it prints at the end. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "demo.h"
#include "fmt.h"
#include "info.h"

static double seconds_of(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static double user_of_producer(const struct demo *d)
{
	return seconds_of(d->after.ru_utime) - seconds_of(d->before.ru_utime);
}

static double system_of_producer(const struct demo *d)
{
	return seconds_of(d->after.ru_stime) - seconds_of(d->before.ru_stime);
}

static double per_second(const struct demo *d, double n)
{
	return d->seconds > 0 ? n / d->seconds : 0;
}

/* @return what became of the consumer, in a word or two. */
static const char *verdict(const struct demo *d, const struct demo_member *m)
{
	if (WIFSIGNALED(m->status))
		return "killed";
	if (!m->reported || WEXITSTATUS(m->status) != 0)
		return "failed";
	return strcmp(m->result.sum, d->file.sum) == 0 ? "same" : "DIFFERENT";
}

static void print_ring(const struct demo *d)
{
	const struct myelon_ring_info *r = &d->info;
	struct fmt count, size, data, page, rate;

	printf("file      %s, %s bytes", d->file.path, fmt_count(&count, d->file.bytes));
	if (d->file.repeat > 1)
		printf(", sent %" PRIu64 " times", d->file.repeat);
	printf("\nsha-256   %s\n          read and computed directly in %.3f s (%s, %s)\n",
	       d->file.sum, d->file.seconds,
	       fmt_rate(&rate, d->file.seconds > 0
	                               ? (double)(d->file.bytes * d->file.repeat) / d->file.seconds
	                               : 0),
	       sha256_accelerated() ? "SHA instructions" : "portable code");
	printf("ring      %s, %s, window %u slots of %u bytes (%s)\n", r->name,
	       info_kind_name(r->kind), r->window, r->slot_size,
	       fmt_bytes(&size, (uint64_t)r->window * r->slot_size));
	printf("memory    %s, %s in pages of %s, node ", info_backing_name(r->backing),
	       fmt_bytes(&data, r->data_bytes), fmt_bytes(&page, r->page_size));
	if (r->node_obtained < 0)
		printf("unknown or mixed\n");
	else
		printf("%d\n", r->node_obtained);
	printf("why       %s\n", r->reason[0] ? r->reason : "as asked for");
}

static void print_row(const char *who, int pid, const char *wait, uint64_t messages, uint64_t bytes,
                      uint64_t parks, double user, double sys)
{
	struct fmt m, b, p;

	printf("%-9s  %7d  %-10s  %12s  %15s  %9s  %8.3f s  %8.3f s\n", who, pid, wait,
	       fmt_count(&m, messages), fmt_count(&b, bytes), fmt_count(&p, parks), user, sys);
}

static void print_processes(const struct demo *d)
{
	printf("\n%-9s  %7s  %-10s  %12s  %15s  %9s  %10s  %10s\n", "process", "pid", "wait",
	       "messages", "bytes", "parks", "cpu user", "cpu system");
	print_row("producer", (int)getpid(),
	          myelon_wait_name((enum myelon_wait)d->info.producer_wait), d->messages, d->bytes,
	          d->stats.parks, user_of_producer(d), system_of_producer(d));
	for (int i = 0; i < DEMO_CONSUMERS; i++) {
		const struct demo_member *m = &d->crew[i];

		print_row(m->id, (int)m->pid, myelon_wait_name(m->wait), m->result.messages,
		          m->result.bytes, m->result.parks, seconds_of(m->usage.ru_utime),
		          seconds_of(m->usage.ru_stime));
	}
}

void demo_print(const struct demo *d)
{
	struct fmt rate, one, all;

	print_ring(d);
	print_processes(d);
	putchar('\n');
	for (int i = 0; i < DEMO_CONSUMERS; i++)
		printf("%-9s  %s  %s\n", d->crew[i].id,
		       d->crew[i].reported ? d->crew[i].result.sum : "-", verdict(d, &d->crew[i]));
	printf("\ntotal     %.3f s: %s messages/s, %s sent, %s delivered to %d processes\n",
	       d->seconds, fmt_count(&rate, (uint64_t)per_second(d, (double)d->messages)),
	       fmt_rate(&one, per_second(d, (double)d->bytes)),
	       fmt_rate(&all, per_second(d, (double)d->bytes * DEMO_CONSUMERS)), DEMO_CONSUMERS);
	printf("result    %s\n", d->same ? "all four SHA-256 sums equal the file's"
	                                 : "FAILED: not all sums equal the file's");
}

static void json_process(struct json *j, const char *id, pid_t pid, enum myelon_wait wait,
                         uint64_t messages, uint64_t bytes, uint64_t parks, double user, double sys)
{
	json_string(j, "id", id);
	json_int(j, "pid", pid);
	json_string(j, "wait", myelon_wait_name(wait));
	json_uint(j, "messages", messages);
	json_uint(j, "bytes", bytes);
	json_uint(j, "parks", parks);
	json_double(j, "cpu_user_s", user);
	json_double(j, "cpu_system_s", sys);
}

void demo_print_json(const struct demo *d)
{
	struct json j;

	json_begin(&j, stdout, false);
	json_object(&j, NULL);
	json_object(&j, "file");
	json_string(&j, "path", d->file.path);
	json_uint(&j, "bytes", d->file.bytes);
	json_uint(&j, "repeat", d->file.repeat);
	json_string(&j, "sha256", d->file.sum);
	json_object_end(&j);
	json_object(&j, "ring");
	info_json(&j, &d->info);
	json_object_end(&j);
	json_object(&j, "producer");
	json_process(&j, "producer", getpid(), (enum myelon_wait)d->info.producer_wait, d->messages,
	             d->bytes, d->stats.parks, user_of_producer(d), system_of_producer(d));
	json_object_end(&j);
	json_array(&j, "consumers");
	for (int i = 0; i < DEMO_CONSUMERS; i++) {
		const struct demo_member *m = &d->crew[i];

		json_object(&j, NULL);
		json_process(&j, m->id, m->pid, m->wait, m->result.messages, m->result.bytes,
		             m->result.parks, seconds_of(m->usage.ru_utime),
		             seconds_of(m->usage.ru_stime));
		json_string(&j, "sha256", m->reported ? m->result.sum : NULL);
		json_bool(&j, "same", m->reported && strcmp(m->result.sum, d->file.sum) == 0);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_double(&j, "seconds", d->seconds);
	json_double(&j, "messages_per_s", per_second(d, (double)d->messages));
	json_double(&j, "bytes_per_s", per_second(d, (double)d->bytes));
	json_double(&j, "delivered_bytes_per_s", per_second(d, (double)d->bytes * DEMO_CONSUMERS));
	json_bool(&j, "verified", d->same);
	json_object_end(&j);
	json_end(&j);
}
