// SPDX-License-Identifier: Apache-2.0
#include "client.h"

/* `rlkit-ns enter` and `rlkit-ns guard`. */

static char *const no_env[] = {NULL};

struct run {
	pid_t pid;
	int status; /* the read end of the status pipe */
	int output;
};

/* Runs rlkit-ns with the write end of a pipe as the descriptor that argv names by "FD". */
static struct run start(const char *name, const char *const *argv, int at, char *const *env)
{
	int status[2], output[2];
	struct run run = {0};

	check_int(pipe2(status, O_CLOEXEC) | pipe2(output, O_CLOEXEC), 0);
	run.status = status[0];
	run.output = output[0];
	run.pid = fork();
	if (run.pid == 0) {
		dup2(output[1], 1);
		if (status[1] == at)
			fcntl(at, F_SETFD, 0);
		else
			dup2(status[1], at);
		execve(name, (char *const *)argv, env);
		_exit(99);
	}
	close(status[1]);
	close(output[1]);
	return run;
}

static void stop(struct run *run)
{
	close(run->status);
	close(run->output);
}

static struct run enter(pid_t pid, int flags, const char *cwd, const char *command, const char *argument)
{
	char pid_text[16], flags_text[16];
	const char *argv[] = {"rlkit-ns", "enter", "9", pid_text, flags_text, cwd, command, argument, NULL};

	snprintf(pid_text, sizeof(pid_text), "%d", pid);
	snprintf(flags_text, sizeof(flags_text), "%u", (unsigned)flags);
	return start(rlkit_ns, argv, 9, no_env);
}

/* Checks for a record of stage and errno on the status pipe, and that nothing follows. */
static void check_record(const struct run *run, int stage, int error)
{
	int32_t record[2] = {0};
	char more;

	check_int(read(run->status, record, sizeof(record)), sizeof(record));
	check_int(record[0], stage);
	check_int(record[1], error);
	check_int(read(run->status, &more, 1), 0);
}

#define NAMESPACES (CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC)
#define JOINED (CLONE_NEWUSER | NAMESPACES)

static void joins(void)
{
	struct client c = client_start();
	struct run run;
	char path[64], its[64] = "", own[64] = "";

	client_isolate(&c, NAMESPACES);
	check_int(client_op(&c, RL_OP_mount, "none", "/mnt", "tmpfs", (uint64_t)0, ""), 0);
	check_int(client_op(&c, RL_OP_mkdir, "/mnt/inside", 0700), 0);
	run = enter(c.pid, JOINED, "/mnt/inside", probe, "state");
	check_int(read(run.status, its, 1), 0); /* the command runs */
	check(strstr(read_until(run.output, -1), "\nids 0 0\ncwd /mnt/inside\n") != NULL);
	check_int(wait_status(run.pid), 0);
	stop(&run);
	run = enter(c.pid, JOINED, "/none", probe, "state");
	check(strstr(read_until(run.output, -1), "\nids 0 0\ncwd /\n") != NULL);
	check_int(wait_status(run.pid), 0);
	stop(&run);

	run = enter(c.pid, JOINED, "/", probe, "stay");
	check_int(read(run.status, its, 1), 0);
	snprintf(path, sizeof(path), "/proc/%d/ns/net", c.pid);
	check(readlink(path, its, sizeof(its) - 1) > 0);
	snprintf(path, sizeof(path), "/proc/%d/ns/net", run.pid);
	check(readlink(path, own, sizeof(own) - 1) > 0);
	check_text(own, its);
	send_signal(run.pid, SIGUSR1);
	check_int(wait_status(run.pid), SIGUSR1);
	stop(&run);
	client_end(&c);
}

/*
 * Kills a process whose child must then be killed by its death signal. The child comes to us, not to the machine's pid 1: some
 * never reap, and a zombie would keep its pid namespace from ending.
 */
static void kill_and_reap_orphan(pid_t pid, int output)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	send_signal(pid, SIGKILL);
	check_text(read_until(output, -1), "");
	check_int(wait_status(pid), SIGKILL);
	check_int(wait_status(-1), SIGKILL);
	prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
}

static void pid_namespace(void)
{
	const int joined = JOINED | CLONE_NEWPID;
	struct client c = client_start();
	struct run run;
	pid_t old;
	char byte;

	client_isolate(&c, NAMESPACES | CLONE_NEWPID);
	old = c.pid;
	c.pid = client_op(&c, RL_OP_fork_pid1);
	check_int(wait_status(old), 0);
	check_int(client_op(&c, RL_OP_mount, "proc", "/proc", "proc", (uint64_t)0, ""), 0);

	run = enter(c.pid, joined, "/", probe, "state");
	check_int(read(run.status, &byte, 1), 0);
	check(strstr(read_until(run.output, -1), "\ndeath_signal 9\n") != NULL);
	check_int(wait_status(run.pid), 0);
	stop(&run);
	run = enter(c.pid, joined, "/", probe, "exit with 2");
	check_int(WEXITSTATUS(wait_status(run.pid)), 2);
	stop(&run);

	run = enter(c.pid, joined, "/", probe, "signals");
	check_int(read(run.status, &byte, 1), 0);
	check_text(read_until(run.output, '\n'), "ready");
	send_signal(run.pid, SIGUSR2);
	check_text(read_until(run.output, '\n'), "12");
	send_signal(run.pid, 40);
	check_text(read_until(run.output, '\n'), "40");
	send_signal(run.pid, SIGTERM);
	check_text(read_until(run.output, -1), "15\n");
	check_int(wait_status(run.pid), 0);
	stop(&run);

	run = enter(c.pid, joined, "/", probe, "stay");
	check_int(read(run.status, &byte, 1), 0);
	send_signal(run.pid, SIGSEGV); /* and like other signals to the command, of which both then die */
	check_int(wait_status(run.pid), SIGSEGV);
	stop(&run);

	run = enter(c.pid, joined, "/", probe, "stay");
	check_int(read(run.status, &byte, 1), 0);
	kill_and_reap_orphan(run.pid, run.output); /* it cannot pass this on: the kernel does */
	stop(&run);

	run = enter(c.pid, joined, "/", "/none", NULL);
	check_record(&run, 5, ENOENT);
	check_int(wait_status(run.pid), 127 << 8);
	stop(&run);
	client_end(&c);
}

static void failures(void)
{
	struct client c = client_start();
	struct run run;

	client_isolate(&c, NAMESPACES);
	run = enter(c.pid, JOINED, "/", "command-that-is-not", NULL);
	check_record(&run, 5, ENOENT);
	check_int(wait_status(run.pid), 127 << 8);
	stop(&run);
	run = enter(c.pid, JOINED, "/", "/etc/passwd", NULL);
	check_record(&run, 5, EACCES);
	check_int(wait_status(run.pid), 126 << 8);
	stop(&run);
	run = enter(INT32_MAX, JOINED, "/", probe, "state");
	check_record(&run, 1, ENOENT);
	check_int(wait_status(run.pid), 125 << 8);
	stop(&run);
	run = enter(getpid(), CLONE_NEWUSER, "/", probe, "state"); /* where it is already (setns(2)) */
	check_record(&run, 2, EINVAL);
	check_int(wait_status(run.pid), 125 << 8);
	stop(&run);
	client_end(&c);

	c = client_start();
	client_unshare(&c, 0, 7);
	run = enter(c.pid, CLONE_NEWUSER, "/", probe, "state"); /* nobody is root there */
	check_record(&run, 4, EINVAL);
	check_int(wait_status(run.pid), 125 << 8);
	stop(&run);
	client_end(&c);
}

/* Runs the probe under guard, with `alive` as the write end whose closing means that the supervisor died. */
static struct run guarded(const char *command, const char *argument, int *alive)
{
	const char *argv[] = {"rlkit-ns", "guard", "0", command, argument, NULL};
	int ends[2], input = dup(0);
	struct run run;

	check_int(pipe2(ends, O_CLOEXEC), 0);
	dup2(ends[0], 0);
	run = start(rlkit_ns, argv, 9, no_env);
	dup2(input, 0);
	close(input);
	close(ends[0]);
	*alive = ends[1];
	return run;
}

static void guard(void)
{
	static const struct {
		const char *command, *argument;
		int status;
	} ends[] = {{"/bin/true", NULL, 0}, {NULL, "exit with 2", 2}, {"/none", NULL, 127}, {"/etc/passwd", NULL, 126}};
	struct run run;
	int alive;
	const char *line;

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		run = guarded(ends[i].command ? ends[i].command : probe, ends[i].argument, &alive);
		check_int(wait_status(run.pid), ends[i].status << 8);
		close(alive);
		stop(&run);
	}
	run = guarded(probe, "state", &alive);
	line = read_until(run.output, '\n'); /* what it has from make or a shell is there too */
	check(!strncmp(line, "fds 1 2 ", 8) && strstr(line, " 9"));
	check(strstr(read_until(run.output, -1), "\ndeath_signal 9\n") != NULL);
	check_int(wait_status(run.pid), 0);
	close(alive);
	stop(&run);

	run = guarded(probe, "signals", &alive);
	check_text(read_until(run.output, '\n'), "ready");
	close(alive); /* the supervisor is gone */
	check_text(read_until(run.output, -1), ""); /* and so is what held the output */
	check_int(wait_status(run.pid), (128 + SIGKILL) << 8);
	stop(&run);

	run = guarded(probe, "signals", &alive);
	check_text(read_until(run.output, '\n'), "ready");
	kill_and_reap_orphan(run.pid, run.output); /* the guard itself */
	close(alive);
	stop(&run);
}

static void usage(void)
{
	static const char *const wrong[][4] = {
		{"rlkit-ns"}, {"rlkit-ns", "something"}, {"rlkit-ns", "init"}, {"rlkit-ns", "init", "x", "y"}};
	static const char *const closed[] = {"rlkit-ns", "init", "77", NULL};
	struct run run;

	for (size_t i = 0; i < 4; i++) {
		const char *argv[5] = {wrong[i][0], wrong[i][1], wrong[i][2], wrong[i][3], NULL};

		run = start(rlkit_ns, argv, 9, no_env);
		check_int(wait_status(run.pid), 2 << 8);
		stop(&run);
	}
	run = start(rlkit_ns, closed, 9, no_env);
	check_int(wait_status(run.pid), 1 << 8);
	stop(&run);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	rlkit_ns = argv[1];
	probe = argv[2];
	run_test("enter joins namespaces as their root and becomes the command", joins);
	run_test("enter joins a pid namespace, forwards signals and ends as the command does", pid_namespace);
	run_test("enter says at which stage it failed, and exits with 125, 126 or 127", failures);
	run_test("guard ends as the command does, and ends it when the supervisor is gone", guard);
	run_test("wrong arguments give an exit status and nothing else", usage);
	return finish();
}
