// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>

#include "child.h"

/*
 * bin/rlkit: starts Node with rlkit's bundle, from the tree that this program lies in, with all of argv: the name that it was
 * called by decides what it does. A shell script in its place costs 1 ms, and dash drops variables whose names are no shell
 * identifiers, which the target is to get.
 */

/* What Node is started with: rlkit has no use for OpenSSL, WebAssembly, a pool of threads or resolved links in its path. */
static const char *const options[] = {
	"--openssl-config=/dev/null",
	"--disable-wasm-trap-handler",
	"--v8-pool-size=1",
	"--preserve-symlinks-main",
};
#define OPTIONS (sizeof(options) / sizeof(options[0]))

/* Node would read these itself (65 ms for Debian's certificates): they are renamed, and rlkit gives them back to the target. */
static const char *const held_back[] = {"NODE_EXTRA_CA_CERTS=", "NODE_OPTIONS="};

#define GIVE "RLKIT_GIVE_"
/* Node raises its soft limit of open files to the hard one; the target gets the one that was set. */
#define OPEN_FILES GIVE "OPEN_FILES="
/* Node opens some of its own at the numbers that a service manager's sockets would have: how many were open from 3 on, up to 9. */
#define SOCKETS GIVE "SOCKETS="
#define SOCKETS_MAX 9

static _Noreturn void fail(const char *what, const char *why)
{
	const char *text[] = {"rlkit: cannot start ", what, ": ", why, "\n"};

	for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++)
		if (write(STDERR_FILENO, text[i], strlen(text[i])) < 0)
			break;
	_exit(125);
}

/* The variable as it is passed on: itself, or a renamed copy. */
static char *passed_on(char *variable)
{
	for (size_t i = 0; i < sizeof(held_back) / sizeof(held_back[0]); i++) {
		char *copy;

		if (strncmp(variable, held_back[i], strlen(held_back[i])))
			continue;
		copy = malloc(strlen(GIVE) + strlen(variable) + 1);
		if (!copy)
			fail("Node", "no memory");
		stpcpy(stpcpy(copy, GIVE), variable);
		return copy;
	}
	return variable;
}

/* "RLKIT_GIVE_OPEN_FILES=1024"; without a number if the limit is infinite. */
static char *open_files_variable(void)
{
	static char text[sizeof(OPEN_FILES) + 20] = OPEN_FILES;
	char *end = text + sizeof(text) - 1, *digit = end;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return text;
	for (rlim_t rest = limit.rlim_cur; digit == end || rest; rest /= 10)
		*--digit = (char)('0' + rest % 10);
	memmove(text + strlen(OPEN_FILES), digit, (size_t)(end - digit));
	text[strlen(OPEN_FILES) + (size_t)(end - digit)] = 0;
	return text;
}

/* "RLKIT_GIVE_SOCKETS=2" */
static char *sockets_variable(void)
{
	static char text[sizeof(SOCKETS) + 1] = SOCKETS "0";
	char *digit = text + sizeof(text) - 2;

	while (*digit < '0' + SOCKETS_MAX && fcntl(STDERR_FILENO + 1 + (*digit - '0'), F_GETFD) >= 0)
		++*digit;
	return text;
}

static char **environment(char **env)
{
	size_t count = 0, kept = 0;
	char **all;

	while (env[count])
		count++;
	all = malloc((count + 3) * sizeof(*all));
	if (!all)
		fail("Node", "no memory");
	for (size_t i = 0; i < count; i++)
		if (strncmp(env[i], OPEN_FILES, strlen(OPEN_FILES)) && strncmp(env[i], SOCKETS, strlen(SOCKETS)))
			all[kept++] = passed_on(env[i]);
	all[kept++] = open_files_variable();
	all[kept++] = sockets_variable();
	all[kept] = NULL;
	return all;
}

/* Replaces the name of this program in the tree, bin/rlkit, by that of the bundle's loader. */
static char *loader(void)
{
	static char path[PATH_MAX + sizeof("/lib/boot.cjs")];
	ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 1);

	if (length < 0)
		fail("Node", "/proc is not mounted");
	path[length] = 0;
	for (int up = 0; up < 2; up++)
		*strrchr(path, '/') = 0;
	strcat(path, "/lib/boot.cjs");
	return path;
}

int main(int argc, char **argv, char **env)
{
	const char *node = getenv("RLKIT_NODE");
	char **command = malloc(((size_t)argc + OPTIONS + 3) * sizeof(*command));
	size_t at = 0;

	if (!command)
		fail("Node", "no memory");
	if (!node || !*node)
		node = "node";
	command[at++] = (char *)node;
	for (size_t i = 0; i < OPTIONS; i++)
		command[at++] = (char *)options[i];
	command[at++] = loader();
	for (int i = 0; i < argc; i++)
		command[at++] = argv[i];
	command[at] = NULL;
	child_exec(command, environment(env));
	fail(node, "it is not there, or not executable. To do: install Node 20.19 or later, or set RLKIT_NODE to its path");
}
