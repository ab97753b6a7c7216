// SPDX-License-Identifier: Apache-2.0
#include <termios.h>

#include "client.h"

/* Signals: those that `rlkit-ns init` is asked to send, those that it relays, and those that a terminal sends to all. */

static void signals(void)
{
	struct client c = client_start();
	int pid = client_spawn_probe(&c, 0, "stay"), ended;

	check_int(client_signal(&c, pid, 0), 0);
	check_int(client_signal(&c, pid, 65), -EINVAL);
	check_int(client_signal(&c, pid, -1), -EINVAL);
	/* Not one of its own. Signal 0 only: an init that is wrong here would signal every process of this machine. */
	check_int(client_signal(&c, getpid(), 0), -ESRCH);
	check_int(client_signal(&c, -1, 0), -ESRCH);
	check_int(client_signal(&c, 0, 0), -ESRCH);
	check_int(client_signal(&c, pid, SIGTERM), 0);
	check_int(client_exited(&c, pid), SIGTERM);
	check_int(client_signal(&c, pid, 0), -ESRCH); /* reaped: it may be somebody else's by now */
	ended = client_spawn_probe(&c, 0, "stay");
	check_int(client_signal(&c, ended, SIGKILL), 0);
	check_int(client_exited(&c, ended), SIGKILL);
	client_end(&c);
}

static void relay(void)
{
	static const int passed_on[] = {SIGHUP, SIGINT, SIGUSR1, SIGWINCH, SIGCONT, SIGTSTP, 40};
	struct client c = client_start();
	int target, other;
	char number[16];

	check_int(client_op(&c, RL_OP_rmdir, "/none"), -ENOENT); /* it runs, and blocks signals */
	send_signal(c.pid, SIGUSR2); /* for nobody */
	other = client_spawn_probe(&c, 0, "stay");
	target = client_spawn_probe(&c, RL_TARGET, "signals");
	check_text(client_line(&c), "ready");
	for (size_t i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++) {
		send_signal(c.pid, passed_on[i]);
		snprintf(number, sizeof(number), "%d", passed_on[i]);
		check_text(client_line(&c), number);
	}
	send_signal(c.pid, SIGPIPE);
	send_signal(c.pid, SIGURG);
	send_signal(c.pid, SIGCHLD);
	check_int(client_signal(&c, target, SIGUSR2), 0);
	check_text(client_line(&c), "12"); /* SIGUSR2, and none of the three */

	/* what was relayed is not sent again, once, and only to the target */
	send_signal(c.pid, SIGUSR1);
	check_text(client_line(&c), "10");
	check_int(client_signal(&c, target, SIGUSR1), 1);
	check_int(client_signal(&c, target, SIGUSR1), 0);
	check_text(client_line(&c), "10");
	send_signal(c.pid, SIGTERM);
	check_int(client_exited(&c, target), 0);
	send_signal(c.pid, SIGUSR1); /* for nobody again */
	check_int(client_signal(&c, other, SIGTERM), 0);
	check_int(client_exited(&c, other), SIGTERM);
	client_end(&c);
}

/* ^C on a terminal whose foreground process group is init's. */
static void terminal(void)
{
	cleanup_fd int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	cleanup_fd int slave = -1;
	struct client c;
	int target, apart, unlock = 0;

	check(master >= 0 && ioctl(master, TIOCSPTLCK, &unlock) == 0);
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	check(slave >= 0);
	c = client_start_at(slave);
	target = client_spawn_probe(&c, RL_TARGET, "signals");
	check_text(client_line(&c), "ready");
	apart = client_spawn_probe(&c, RL_SETSID, "signals");
	check_text(client_line(&c), "ready");

	check_int(write(master, "\003", 1), 1);
	check_text(client_line(&c), "2"); /* the target had it from the terminal */
	check_int(client_signal(&c, apart, SIGINT), 0);
	check_text(client_line(&c), "2"); /* the other one could not */
	check_int(client_signal(&c, target, SIGINT), 1);
	check_int(client_signal(&c, target, SIGINT), 0);
	check_text(client_line(&c), "2");

	check_int(write(master, "\003", 1), 1);
	check_text(client_line(&c), "2");
	check_int(client_signal(&c, target, SIGUSR1), 0); /* of another signal there was none */
	check_text(client_line(&c), "10");
	client_end(&c);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	rlkit_ns = argv[1];
	probe = argv[2];
	run_test("sends signals to the processes that it started and to no other", signals);
	run_test("relays to the target what is sent to itself, and doesn't send that twice", relay);
	run_test("doesn't send what the terminal has sent to the process group", terminal);
	return finish();
}
