/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "options_parse.h"
#include "args.h"
#include "codec_format.h"
#include "options.h"
#include "way.h"

#include <ctype.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* Splits at commas and gives each part to @one. */
static const char *parse_list(const char *text, struct bench_list *list,
                              const char *(*one)(const char *part, uint64_t *value))
{
	char part[64];
	const char *wrong = NULL;

	list->count = 0;
	while (!wrong) {
		size_t n = strcspn(text, ",");

		if (n >= sizeof(part) || list->count == BENCH_LIST_MAX)
			return "is too long";
		memcpy(part, text, n);
		part[n] = '\0';
		wrong = one(part, &list->value[list->count++]);
		if (text[n] == '\0')
			break;
		text += n + 1;
	}
	return wrong;
}

static const char *one_wait(const char *part, uint64_t *value)
{
	int wait = myelon_wait_parse(part);

	if (wait < 0 || wait == MYELON_WAIT_FD)
		return "is not made of adaptive, spin, spin-pause, yield, sleep and park";
	*value = (uint64_t)wait;
	return NULL;
}

static const char *one_way(const char *part, uint64_t *value)
{
	int way = bench_way_parse(part);

	if (way < 0)
		return "is not made of adaptive, spin, spin-pause, yield, sleep, park, fd/uring, "
		       "fd/direct, fd/proxy, set/uring and set/epoll";
	*value = (uint64_t)way;
	return NULL;
}

static const char *one_work(const char *part, uint64_t *value)
{
	const char *digits = part + strspn(part, "0123456789.");
	int64_t ns = 0;
	const char *wrong;

	if (*part && *digits == '\0') {
		*value = strtoull(part, NULL, 10);
		return NULL;
	}
	wrong = args_duration(part, &ns);
	if (!wrong && ns > INT64_C(1000000000))
		wrong = "is more than a second";
	*value = (uint64_t)ns;
	return wrong;
}

static const char *one_consumers(const char *part, uint64_t *value)
{
	const char *wrong = args_number(part, value);

	if (!wrong && (*value < 1 || *value > BENCH_ROLES_MAX - 2))
		wrong = "is not within 1..128";
	return wrong;
}

static const char *one_record(const char *part, uint64_t *value)
{
	const char *wrong = args_number(part, value);

	if (!wrong && (*value < 1 || *value > 4096))
		wrong = "is not within 1..4096";
	return wrong;
}

static const char *one_codec(const char *part, uint64_t *value)
{
	for (*value = 0; *value < BENCH_FORMATS; ++*value)
		if (strcmp(bench_formats[*value].name, part) == 0)
			return NULL;
	return "is not made of pod, bincode, bincode-varint, rkyv, flatbuffers and msgpack";
}

static const char *one_cpu(const char *part, uint64_t *value)
{
	const char *wrong = args_number(part, value);

	return !wrong && *value >= CPU_SETSIZE ? "is not a CPU" : wrong;
}

const char *bench_parse_waits(const char *text, void *value)
{
	return parse_list(text, value, one_wait);
}

const char *bench_parse_ways(const char *text, void *value)
{
	return parse_list(text, value, one_way);
}

const char *bench_parse_works(const char *text, void *value)
{
	return parse_list(text, value, one_work);
}

const char *bench_parse_consumers(const char *text, void *value)
{
	return parse_list(text, value, one_consumers);
}

const char *bench_parse_records(const char *text, void *value)
{
	return parse_list(text, value, one_record);
}

const char *bench_parse_codecs(const char *text, void *value)
{
	return parse_list(text, value, one_codec);
}

const char *bench_parse_cpus(const char *text, void *value)
{
	return parse_list(text, value, one_cpu);
}

const char *bench_parse_rate(const char *text, void *value)
{
	char *end;
	double rate;

	if (!isdigit((unsigned char)*text))
		return "is not a number of messages per second";
	rate = strtod(text, &end);
	if (*end == 'k' || *end == 'K')
		rate *= 1e3, end++;
	else if (*end == 'M')
		rate *= 1e6, end++;
	if (*end != '\0' || !(rate >= 0.1 && rate <= 1e9))
		return "is not a number of messages per second, such as 200000, 200k or 1.2M";
	*(double *)value = rate;
	return NULL;
}

static const char *one_rate(const char *part, uint64_t *value)
{
	double rate;
	const char *wrong = bench_parse_rate(part, &rate);

	if (!wrong && (rate < 1 || rate > 1e8))
		return "is not within 1 and 100M messages per second";
	if (!wrong)
		*value = (uint64_t)rate;
	return wrong;
}

const char *bench_parse_rates(const char *text, void *value)
{
	return parse_list(text, value, one_rate);
}

const char *bench_parse_plot(const char *text, void *value)
{
	const char *dot = strrchr(text, '.');

	if (!dot || (strcmp(dot, ".svg") != 0 && strcmp(dot, ".png") != 0))
		return "is not a file name that ends in .svg or .png";
	*(const char **)value = text;
	return NULL;
}
