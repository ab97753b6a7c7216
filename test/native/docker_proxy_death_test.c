// SPDX-License-Identifier: Apache-2.0
#include "dockerd.h"

/*
 * `rlkit-ns docker-proxy` and the death of its dockerd: SIGTERM then comes from the kernel, and the port is the supervisor's. A
 * process in between stands for dockerd; the proxy has asked for its signal, as dockerd has docker-proxy do (PR_SET_PDEATHSIG).
 */

#include <sys/prctl.h>

#define REMOVAL "DELETE /v1/ports/7 HTTP/1.1\r\nHost: rlkit\r\n\r\n"

/* A process that starts the proxy and stays. Its pid is `dockerd`; what it starts writes to `proxy`'s pipes. */
static struct proxy below(pid_t *dockerd)
{
	struct proxy proxy = {.api = -1};
	int pipes[3][2], tell[2];

	for (int i = 0; i < 3; i++)
		check_int(pipe2(pipes[i], O_CLOEXEC), 0);
	check_int(pipe2(tell, O_CLOEXEC), 0);
	*dockerd = fork();
	if (*dockerd == 0) {
		pid_t pid = fork();

		if (pid == 0) {
			char *env[] = {script_path, state_dir, NULL};

			prctl(PR_SET_PDEATHSIG, SIGTERM);
			for (int i = 0; i < 3; i++)
				pipes[i][1] = fcntl(pipes[i][1], F_DUPFD_CLOEXEC, 20);
			for (int i = 0; i < 3; i++)
				dup2(pipes[i][1], i + 1);
			execve(rlkit_ns, dockerds, env);
			_exit(99);
		}
		if (write(tell[1], &pid, sizeof(pid)) < 0)
			_exit(98);
		for (int i = 0; i < 3; i++)
			close(pipes[i][1]);
		for (;;)
			pause();
	}
	for (int i = 0; i < 3; i++)
		close(pipes[i][1]);
	close(tell[1]);
	check_int(read(tell[0], &proxy.pid, sizeof(proxy.pid)), sizeof(proxy.pid));
	close(tell[0]);
	proxy.output = pipes[0][0], proxy.errors = pipes[1][0], proxy.status = pipes[2][0];
	take(&proxy);
	expect_question(&proxy, LINES);
	answer(&proxy, 200, "forward 7 127.0.0.1\n");
	expect_child(&proxy, " -proto tcp -host-ip 127.0.0.1 -host-port 8080 -container-ip 172.17.0.2 -container-port 80");
	return proxy;
}

static void dies(void)
{
	enter();
	for (int i = 0; i < 5; i++) {
		pid_t dockerd;
		struct proxy proxy = below(&dockerd);

		send_signal(dockerd, SIGKILL);
		check_int(wait_status(dockerd), SIGKILL);
		check(is_closed(proxy.api)); /* without a word: read_until would show it */
		check_text(read_until(proxy.output, -1), "");
		stop(&proxy);
	}
	leave();
}

/* SIGTERM to all of a group, and dockerd is a little later: it is its death all the same. */
static void dies_later(void)
{
	pid_t dockerd;
	struct proxy proxy;

	enter();
	proxy = below(&dockerd);
	send_signal(proxy.pid, SIGTERM);
	poll(NULL, 0, 50); /* less than it waits */
	send_signal(dockerd, SIGKILL);
	check_int(wait_status(dockerd), SIGKILL);
	check(is_closed(proxy.api));
	stop(&proxy);
	leave();
}

static void lives(void)
{
	static const int signals[] = {SIGINT, SIGTERM};

	enter();
	for (int i = 0; i < 2; i++) {
		pid_t dockerd;
		struct proxy proxy = below(&dockerd);

		send_signal(proxy.pid, signals[i]);
		expect(&proxy, REMOVAL);
		answer(&proxy, 200, "");
		check(is_closed(proxy.api));
		check(exists(dockerd));
		send_signal(dockerd, SIGKILL);
		check_int(wait_status(dockerd), SIGKILL);
		stop(&proxy);
	}
	leave();
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	rlkit_ns = argv[1];
	probe = argv[2];
	run_test("ends without giving its port back when dockerd dies", dies);
	run_test("waits a moment after SIGTERM, in which dockerd may be dying", dies_later);
	run_test("gives its port back when dockerd lives and has told it to end", lives);
	return finish();
}
