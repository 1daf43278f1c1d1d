/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Runs a fuzz program without libFuzzer:
 *
 *     fuzz_NAME [--runs N] [--seed N] FILE|DIR...
 *
 * Each file is an input as it is. Then N inputs are made of them, mangled; the same seed gives the same ones. An
 * input that ends the program is kept as crash-NUMBER in the current directory.
 */
#include "fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "object.h"

#define MOST_FILES 256
#define MOST_BYTES 65536

struct seed {
	unsigned char *bytes;
	size_t len;
};

static struct seed seeds[MOST_FILES];
static size_t seed_count;

/* The input that is running. */
static struct {
	const unsigned char *bytes;
	size_t len;
	uint64_t number;
	char file[40]; /* where it is kept if it ends the program */
} now;

static void die(const char *what, const char *name)
{
	fprintf(stderr, "fuzz: %s: %s\n", what, name);
	exit(2);
}

/* Also in a signal handler. */
static void keep_input(void)
{
	static const char says[] = "fuzz: the input is in the file ";
	int fd = open(now.file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

	if (fd >= 0 && write(fd, now.bytes, now.len) == (ssize_t)now.len &&
	    write(STDERR_FILENO, says, sizeof(says) - 1) > 0 &&
	    write(STDERR_FILENO, now.file, strlen(now.file)) > 0)
		(void)!write(STDERR_FILENO, "\n", 1);
}

static void on_signal(int sig)
{
	keep_input();
	signal(sig, SIG_DFL);
	raise(sig);
}

/* The sanitizers end a program without a signal. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void catch_crashes(void)
{
	static const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};

	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(keep_input);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (!__sanitizer_set_death_callback || signals[i] == SIGABRT)
			signal(signals[i], on_signal);
}

static void load_file(const char *path)
{
	struct seed *s = &seeds[seed_count];
	FILE *f = fopen(path, "rb");

	if (!f || seed_count == MOST_FILES)
		die(f ? "too many files" : "cannot open", path);
	s->bytes = malloc(MOST_BYTES);
	if (!s->bytes)
		die("no memory for", path);
	s->len = fread(s->bytes, 1, MOST_BYTES, f);
	fclose(f);
	seed_count++;
}

static int visible(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static void load(const char *path)
{
	struct dirent **names;
	struct stat st;
	int n;

	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
		load_file(path);
		return;
	}
	n = scandir(path, &names, visible, alphasort);
	if (n <= 0)
		die("no inputs in", path);
	for (int i = 0; i < n; i++) {
		char file[4096];

		snprintf(file, sizeof(file), "%s/%s", path, names[i]->d_name);
		load_file(file);
		free(names[i]);
	}
	free(names);
}

/* In memory of exactly its size, so that a sanitizer sees a step outside. */
static void run(const unsigned char *bytes, size_t len)
{
	unsigned char *copy = malloc(len ? len : 1);

	if (!copy)
		die("no memory", "for an input");
	memcpy(copy, bytes, len);
	now.bytes = copy;
	now.len = len;
	snprintf(now.file, sizeof(now.file), "crash-%llu", (unsigned long long)now.number++);
	LLVMFuzzerTestOneInput(copy, len);
	free(copy);
}

static void run_all(uint64_t runs, uint64_t seed)
{
	static unsigned char bytes[MOST_BYTES];
	struct object_rng r = {.state = seed};

	for (size_t i = 0; i < seed_count; i++)
		run(seeds[i].bytes, seeds[i].len);
	run(bytes, 0);
	for (uint64_t i = 0; i < runs; i++) {
		const struct seed *s = &seeds[object_random(&r) % seed_count];

		memcpy(bytes, s->bytes, s->len);
		run(bytes, object_mangle(&r, bytes, s->len));
	}
}

int main(int argc, char **argv)
{
	uint64_t runs = 0, seed = 1;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--runs") == 0 && i + 1 < argc)
			runs = strtoull(argv[++i], NULL, 0);
		else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
			seed = strtoull(argv[++i], NULL, 0);
		else
			load(argv[i]);
	}
	if (seed_count == 0)
		die("no inputs given to", argv[0]);
	catch_crashes();
	run_all(runs, seed);
	printf("%zu files and %llu mangled inputs, seed %llu\n", seed_count,
	       (unsigned long long)runs, (unsigned long long)seed);
	return 0;
}
