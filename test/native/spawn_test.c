// SPDX-License-Identifier: Apache-2.0
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "spawn.h"

/* librlkit's rl_spawn, and what follows the process to its end. */

static void clean_child(void)
{
	cleanup_fd int inheritable = dup(2); /* not close-on-exec */
	sigset_t some, before;
	char expected[512], cwd[256];

	check(inheritable >= 0);
	check(getcwd(cwd, sizeof(cwd)) != NULL);
	sigemptyset(&some);
	sigaddset(&some, SIGUSR1);
	sigprocmask(SIG_BLOCK, &some, &before);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	snprintf(expected, sizeof(expected), "fds 0=null 1 2\nSigBlk 0000000000000000\nSigIgn 0000000000000000\n");
	check(!strncmp(say((struct spec){.nofile = -1, .argv = {"probe", "state"}, .fds = {-1, 0, 2}}), expected, strlen(expected)));
	/* our own are as before */
	check(signal(SIGPIPE, SIG_DFL) == SIG_IGN);
	check(signal(SIGHUP, SIG_DFL) == SIG_IGN);
	sigprocmask(SIG_SETMASK, &before, &some);
	check(sigismember(&some, SIGUSR1) == 1);
	check(sigismember(&some, SIGUSR2) == 0);
}

static void details(void)
{
	const char *text = say((struct spec){.death_signal = SIGTERM,
					     .flags = RL_SETSID,
					     .nofile = 77,
					     .cwd = "/usr",
					     .argv = {"probe", "state"},
					     .fds = {-1, 0, 2}});
	struct rlimit files;

	check(strstr(text, "\ndeath_signal 15\nnofile 77\nsession own\n") != NULL);
	check(strstr(text, "\ncwd /usr\n") != NULL);
	text = say((struct spec){.nofile = INT32_MAX, .argv = {"probe", "state"}, .fds = {-1, 0, 2}});
	check(strstr(text, "\ndeath_signal 0\n") && strstr(text, "\nsession inherited\n"));
	getrlimit(RLIMIT_NOFILE, &files);
	check_int(strtoul(strstr(text, "nofile ") + 7, NULL, 10), files.rlim_max);
	check_text(say((struct spec){.nofile = -1, .argv = {"probe", "env", "GREETING"}, .fds = {-1, 0, 2}}), "hello\n");
	check_text(say((struct spec){.nofile = -1, .argv = {"probe", "env", "PATH"}, .fds = {-1, 0, 2}}), "(none)\n");
	check_text(say((struct spec){.nofile = -1, .argv = {"probe", "print", "", "é b"}, .fds = {-1, 0, 2}}), "\né b\n");
}

/* /dev/null is opened as descriptor 0, which is then another's place before it is its own turn. */
static void null_in_the_way(void)
{
	cleanup_fd int saved = fcntl(0, F_DUPFD_CLOEXEC, 100);
	uint8_t ends[8];
	int pid;

	check_int(rl_pipe(ends), 0);
	close(0);
	pid = spawn(&(struct spec){
		.nofile = -1, .argv = {"probe", "pipe"}, .count = 2, .fds = {pair_of(ends, 1), -1}});
	dup2(saved, 0);
	close(pair_of(ends, 1));
	check_int(rl_status(pid), 0);
	check_text(read_until(pair_of(ends, 0), -1), ""); /* the byte went to /dev/null */
	close(pair_of(ends, 0));
}

/* Which file each of the child's descriptors is, when the list permutes, repeats and skips. */
static void descriptors(void)
{
	int pid, files[4];
	struct spec spec = {.path = "/bin/sh",
			    .nofile = -1,
			    .argv = {"sh", "-c", "for fd in 0 1 2 3 4 5; do echo $fd >&$fd; done; exit 0 7>&6"},
			    .count = 7};

	enter_scratch();
	for (int i = 0; i < 4; i++) {
		char name[] = {(char)('a' + i), 0};

		files[i] = open(name, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	}
	/* low numbers, so that each is in another's way */
	int saved[6];
	for (int i = 0; i < 6; i++)
		saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 100);
	dup3(files[0], 3, O_CLOEXEC), dup3(files[1], 4, O_CLOEXEC), dup3(files[2], 5, O_CLOEXEC), dup3(files[3], 0, O_CLOEXEC);
	memcpy(spec.fds, (int[]){4, 3, -1, 5, 4, 0, -1}, 7 * sizeof(int));
	pid = spawn(&spec);
	for (int i = 0; i < 6; i++)
		saved[i] < 0 ? close(i) : (dup2(saved[i], i), close(saved[i]));
	check(pid > 0);
	check_int(rl_status(pid), 0);
	check_text(content("a"), "1\n");
	check_text(content("b"), "0\n4\n");
	check_text(content("c"), "3\n");
	check_text(content("d"), "5\n");
	leave_scratch();
	null_in_the_way();
	check_int(spawn(&(struct spec){.nofile = -1, .argv = {"probe"}, .count = 1, .fds = {999}}), -EBADF);
}

static void errors(void)
{
	uint8_t bytes[8192];
	size_t length = encode(&(struct spec){.nofile = -1, .argv = {"probe", "state"}, .count = 1, .fds = {-1}}, bytes, sizeof(bytes));

	check_int(spawn(&(struct spec){.nofile = -1, .path = "/none", .argv = {"x"}}), -ENOENT);
	check_int(spawn(&(struct spec){.nofile = -1, .path = "/etc/passwd", .argv = {"x"}}), -EACCES);
	check_int(spawn(&(struct spec){.nofile = -1, .path = "/", .argv = {"x"}}), -EACCES);
	check_int(spawn(&(struct spec){.nofile = -1, .cwd = "/none", .argv = {"x"}}), -ENOENT);
	check_int(spawn(&(struct spec){.nofile = -1, .argv = {NULL}}), -EINVAL);
	check_int(rl_spawn(bytes, -1), -EINVAL);
	for (size_t cut = 0; cut < length; cut++)
		check_int(spawn_bytes(bytes, cut), -EINVAL);
	check_int(spawn_bytes(bytes, length + 1), -EINVAL);
	check_int(waitpid(-1, NULL, WNOHANG), -1); /* of no failure is a zombie left */
	check_int(errno, ECHILD);
}

/* Makes close_range(2) fail as a kernel before 5.9 would, for this process and its children. */
static void deny_close_range(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), /* offsetof(struct seccomp_data, nr) */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 436, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = 4, .filter = filter};

	check_int(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	check_int(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static void old_kernel(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		for (int i = 0; i < 200; i++)
			check(dup(2) >= 0); /* more than one listing holds */
		deny_close_range();
		check_int(syscall(436, 1000, 1000, 0), -1);
		check(!strncmp(say((struct spec){.nofile = -1, .argv = {"probe", "state"}, .fds = {-1, 0, 2}}), "fds 0=null 1 2\n", 15));
		_exit(checks_failed != 0);
	}
	check_int(wait_status(pid), 0);
}

static void death_signal(void)
{
	uint8_t ends[8];
	pid_t parent;
	int pid;

	check_int(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
	check_int(rl_pipe(ends), 0);
	parent = fork();
	if (parent == 0) {
		pid = spawn(&(struct spec){.death_signal = SIGUSR2, .nofile = -1, .argv = {"probe", "stay"}});
		_exit(write(pair_of(ends, 1), &pid, sizeof(pid)) == sizeof(pid) ? 0 : 1);
	}
	check_int(wait_status(parent), 0);
	check_int(read(pair_of(ends, 0), &pid, sizeof(pid)), sizeof(pid));
	check(pid > 0);
	check_int(rl_status(pid), SIGUSR2);
	close(pair_of(ends, 0));
	close(pair_of(ends, 1));
	prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
}

static void sigpipe(void)
{
	uint8_t ends[8];
	int pid;

	check_int(rl_pipe(ends), 0);
	close(pair_of(ends, 0));
	signal(SIGPIPE, SIG_IGN); /* as Node has it */
	pid = spawn(&(struct spec){.nofile = -1, .argv = {"probe", "pipe"}, .count = 2, .fds = {-1, pair_of(ends, 1)}});
	signal(SIGPIPE, SIG_DFL);
	close(pair_of(ends, 1));
	check_int(rl_status(pid), SIGPIPE);
}

static void waiting(void)
{
	uint8_t out[8];
	int pid = spawn(&(struct spec){.nofile = -1, .argv = {"probe", "stay"}}), pidfd;
	struct pollfd fds[2];

	check(pid > 0);
	check_int(rl_wait(pid, out), 0);
	pidfd = rl_pidfd_open(pid);
	check(pidfd >= 0 && fcntl(pidfd, F_GETFD) == FD_CLOEXEC);
	fds[0] = (struct pollfd){.fd = pidfd, .events = POLLIN};
	fds[1] = (struct pollfd){.fd = -1};
	check_int(rl_poll((uint8_t *)fds, 2, 0), 0);
	check_int(rl_pidfd_signal(pidfd, SIGTERM), 0);
	check_int(rl_poll((uint8_t *)fds, 2, DEADLINE), 1);
	check_int(fds[0].revents, POLLIN);
	check_int(rl_wait(pid, out), pid);
	check_int(pair_of(out, 0), SIGTERM);
	check_int(rl_wait(pid, out), -ECHILD);
	check_int(rl_wait(-1, out), -EINVAL);
	check_int(rl_wait(0, out), -EINVAL);
	check_int(rl_pidfd_signal(pidfd, SIGTERM), -ESRCH);
	check_int(rl_pidfd_open(-1), -EINVAL);
	check_int(rl_poll((uint8_t *)fds, -1, 0), -EINVAL);
	close(pidfd);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	probe = argv[1];
	run_test("rl_spawn gives the child the listed descriptors, default signals and nothing else", clean_child);
	run_test("rl_spawn sets death signal, session, limit, directory, arguments and environment", details);
	run_test("rl_spawn's descriptors may permute, repeat and be /dev/null", descriptors);
	run_test("rl_spawn gives the -errno of what failed, and leaves no zombie", errors);
	run_test("rl_spawn closes descriptors on kernels without close_range(2) too", old_kernel);
	run_test("a process of rl_spawn gets its death signal when its parent ends", death_signal);
	run_test("a process of rl_spawn dies of SIGPIPE though the parent ignores it", sigpipe);
	run_test("rl_wait, rl_poll and the pidfds follow a process to its end", waiting);
	return finish();
}
