/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Latency against CPU time: one line per way, one point per rate. gnuplot draws it. */
#include "cli.h"
#include "wake_table.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A CPU time below that is drawn there: the axis is logarithmic. */
#define CPU_LEAST 0.005

static int await(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* In a child. @input, unless -1: its stdin. stdout is the report's: gnuplot has nothing to say there. */
static _Noreturn void run_gnuplot(int input, const char *arg)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (dup2(input >= 0 ? input : null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
		_exit(126);
	if (input < 0)
		(void)dup2(null, STDERR_FILENO);
	execlp("gnuplot", "gnuplot", arg, (char *)NULL);
	_exit(127);
}

int bench_wake_plot_ready(void)
{
	pid_t pid = fork();

	if (pid == 0)
		run_gnuplot(-1, "--version");
	if (pid > 0 && await(pid) == 0)
		return 0;
	return bench_error(
		"--plot: gnuplot, which draws it, cannot be run: install it (Debian: apt "
		"install gnuplot-nox) or use --json");
}

/* A string of gnuplot in single quotes. */
static void put_quoted(FILE *out, const char *text)
{
	(void)fputc('\'', out);
	for (; *text; text++) {
		if (*text == '\'')
			(void)fputc('\'', out);
		(void)fputc(*text, out);
	}
	(void)fputc('\'', out);
}

static void put_data(FILE *out, const struct bench_wake_table *t, unsigned int i)
{
	char text[24];

	fprintf(out, "$d%u << EOD\n", i);
	for (uint32_t k = 0; k < t->o->rates.count; k++) {
		const struct bench_wake_cell *c = &t->row[i].cell[k];

		if (c->measured && !isnan(c->p50))
			fprintf(out, "%.4f %.4f %s\n", fmax(c->result.cpu[1] * 100, CPU_LEAST),
			        c->p50 / 1e3, bench_wake_rate_text(t->o->rates.value[k], text));
	}
	fprintf(out, "EOD\n");
}

static bool has_data(const struct bench_wake_row *r, uint32_t rates)
{
	for (uint32_t k = 0; k < rates; k++)
		if (r->cell[k].measured && !isnan(r->cell[k].p50))
			return true;
	return false;
}

static void put_script(FILE *out, const struct bench_wake_table *t, const char *file)
{
	const char *dot = strrchr(file, '.'), *comma = "plot";

	fprintf(out, "set terminal %s\nset output ",
	        strcmp(dot, ".png") == 0 ? "pngcairo size 1200,800"
	                                 : "svg size 1200,800 background 'white'");
	put_quoted(out, file);
	fprintf(out, "\nset title 'Waking a consumer: latency against CPU time, by rate'\n"
	             "set xlabel 'CPU time of the consumer, %% of one CPU'\n"
	             "set ylabel 'latency from the intended time, p50, us'\n"
	             "set logscale xy\nset xrange [*:200]\nset grid\nset key outside right\n");
	for (unsigned int i = 0; i < t->rows; i++)
		if (has_data(&t->row[i], t->o->rates.count))
			put_data(out, t, i);
	for (unsigned int i = 0; i < t->rows; i++) {
		if (!has_data(&t->row[i], t->o->rates.count))
			continue;
		fprintf(out, "%s $d%u using 1:2 with linespoints lc %u pt %u title ", comma, i,
		        i + 1, i + 1);
		put_quoted(out, bench_way_name(t->row[i].which));
		fprintf(out,
		        ", $d%u using 1:2:3 with labels offset 0.5,0.6 font ',8' tc lt %u notitle",
		        i, i + 1);
		comma = ",";
	}
	fprintf(out, "\n");
}

int bench_wake_plot(const struct bench_wake_table *t, const char *file)
{
	int pipe[2];
	FILE *out;
	pid_t pid;

	if (pipe2(pipe, O_CLOEXEC) < 0)
		return bench_error("--plot: no pipe: %s", strerror(errno));
	(void)fflush(NULL);
	pid = fork();
	if (pid == 0)
		run_gnuplot(pipe[0], "-");
	close(pipe[0]);
	out = pid > 0 ? fdopen(pipe[1], "w") : NULL;
	if (!out) {
		close(pipe[1]);
		return bench_error("--plot: gnuplot could not be started: %s", strerror(errno));
	}
	/* If it ends early its own words say why. */
	(void)signal(SIGPIPE, SIG_IGN);
	put_script(out, t, file);
	(void)fclose(out);
	if (await(pid) != 0)
		return bench_error("--plot: gnuplot could not draw %s", file);
	return 0;
}
