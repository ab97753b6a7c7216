// SPDX-License-Identifier: Apache-2.0
#include "dockerd.h"

/* `rlkit-ns docker-proxy`: what it asks, what it starts, and how it ends. */

#define REMOVAL "DELETE /v1/ports/7 HTTP/1.1\r\nHost: rlkit\r\n\r\n"

/* 'S' for one that waits, 'Z' for one that has ended; see proc_pid_stat(5). */
static char state_of(pid_t pid)
{
	char path[64];
	const char *name_end;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	name_end = strrchr(content(path), ')');
	return name_end ? name_end[2] : '?';
}

static void forwards(void)
{
	static const int signals[] = {SIGINT, SIGTERM};

	enter();
	for (int i = 0; i < 2; i++) {
		struct proxy proxy = forwarding();

		send_signal(proxy.pid, signals[i]);
		expect(&proxy, REMOVAL);
		check(!exists(proxy.child));    /* docker-proxy is gone, */
		send_signal(proxy.pid, SIGINT); /* dockerd is impatient, */
		until(state_of(proxy.pid) == 'S');             /* and the port may still be there */
		answer(&proxy, 200, "");
		check_int(wait_status(proxy.pid), 0);
		check(is_closed(proxy.api));
		check_text(read_until(proxy.errors, -1), "");
		stop(&proxy);
	}
	leave();
}

static void own_end(void)
{
	static const struct {
		const char *script, *said;
		int status;
	} ends[] = {
		{"#!/bin/sh\necho 0 >&3\nexit 7\n", "0\n", 7},
		{"#!/bin/sh\nprintf '1\\nno' >&3\nkill -9 $$\n", "1\nno", 128 + SIGKILL},
		{"#!/bin/sh\n:\n", "", 0},
	};

	enter();
	for (int i = 0; i < 3; i++) {
		struct proxy proxy = start(rlkit_ns, dockerds, false);

		write_script(ends[i].script);
		take(&proxy);
		expect_question(&proxy, LINES);
		answer(&proxy, 200, "forward 7 127.0.0.1\n");
		expect(&proxy, REMOVAL);
		check_text(read_until(proxy.status, -1), ends[i].said);
		answer(&proxy, 400, "it is gone already\n");
		check_int(wait_status(proxy.pid), ends[i].status << 8);
		stop(&proxy);
	}
	leave();
}

static void killed(void)
{
	struct proxy proxy;

	enter();
	proxy = forwarding();
	send_signal(proxy.pid, SIGKILL);
	check(is_closed(proxy.api)); /* by which the supervisor knows */
	check_text(read_until(proxy.output, -1), "");
	check_int(wait_status(proxy.pid), SIGKILL);
	stop(&proxy);
	leave();
}

/* Every form in which docker-proxy takes its address, and none. */
static void flags(void)
{
	static char *const words[][8] = {
		{"-host-ip", "0.0.0.0", "-proto", "udp"},
		{"--host-ip", "::", "-proto", "udp"},
		{"-host-ip=::", "-proto=udp"},
		{"-proto=udp", "--host-ip="},
		{"-proto", "udp", "-host-ip"},
		{"-proto", "udp"},
		{"-proto", "udp", "-host-ip=1.2.3.4", "-host-ip", "1.2.3.4"},
		{"-host-ips", "1", "-host-i", "2", "host-ip", ""},
	};
	static const char *const expected[] = {
		" -host-ip ::1 -proto udp",
		" -host-ip ::1 -proto udp",
		" -host-ip ::1 -proto=udp",
		" -proto=udp -host-ip ::1",
		" -proto udp -host-ip ::1",
		" -host-ip ::1 -proto udp",
		" -proto udp -host-ip ::1 -host-ip ::1",
		" -host-ip ::1 -host-ips 1 -host-i 2 host-ip ",
	};

	enter();
	check_int(symlink(rlkit_ns, "rootlesskit-docker-proxy"), 0);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		char *argv[10] = {"/somewhere/rootlesskit-docker-proxy"}, lines[256] = "";
		struct proxy proxy;

		for (int n = 0; words[i][n]; n++) {
			argv[n + 1] = words[i][n];
			sprintf(lines + strlen(lines), "%s\n", words[i][n]);
		}
		proxy = start("./rootlesskit-docker-proxy", argv, false);
		take(&proxy);
		expect_question(&proxy, lines);
		answer(&proxy, 200, "forward 7 ::1\n");
		expect_child(&proxy, expected[i]);
		send_signal(proxy.pid, SIGINT);
		expect(&proxy, REMOVAL);
		answer(&proxy, 200, "");
		check_int(wait_status(proxy.pid), 0);
		stop(&proxy);
	}
	leave();
}

static void plain(void)
{
	char script[256];
	struct proxy proxy;
	const char *text;

	enter();
	snprintf(script, sizeof(script), "#!/bin/sh\necho \"$$ $*\"\necho 0 >&3\nexec 3>&-\nexec %s state\n", probe);
	write_script(script);
	proxy = start(rlkit_ns, dockerds, false);
	take(&proxy);
	expect_question(&proxy, LINES);
	answer(&proxy, 200, "plain\n");
	check(is_closed(proxy.api));
	check_text(read_until(proxy.status, -1), "0\n");
	text = read_until(proxy.output, '\n');
	check_int(atoi(text), proxy.pid); /* in its place */
	check_text(strchr(text, ' '), " -proto tcp -host-ip 0.0.0.0 -host-port 8080 -container-ip 172.17.0.2 -container-port 80");
	check(!strncmp(read_until(proxy.output, -1), "fds 0", 5));
	check_int(wait_status(proxy.pid), 0);
	stop(&proxy);

	check_int(unlink("docker-proxy") | symlink(probe, "docker-proxy"), 0); /* a shell would put its signals in order itself */
	proxy = start(rlkit_ns, (char *[]){"rlkit-ns", "docker-proxy", "state", NULL}, false);
	take(&proxy);
	answer(&proxy, 200, "plain\n");
	check(strstr(read_until(proxy.output, -1), "\nSigBlk 0000000000000000\n") != NULL);
	check_int(wait_status(proxy.pid), 0);
	stop(&proxy);

	check_int(unlink("docker-proxy"), 0);
	snprintf(script_path, sizeof(script_path), "PATH=%s", scratch);
	proxy = start(rlkit_ns, dockerds, false);
	take(&proxy);
	answer(&proxy, 200, "plain\n");
	check_text(read_until(proxy.status, -1), "1\ncannot start docker-proxy: No such file or directory");
	check_int(wait_status(proxy.pid), 1 << 8);
	stop(&proxy);
	leave();
}

static void skips(void)
{
	struct proxy proxy;

	enter();
	proxy = start(rlkit_ns, dockerds, false);
	take(&proxy);
	expect_question(&proxy, LINES);
	answer(&proxy, 200, "skip\n");
	check_text(read_until(proxy.status, -1), "0\n");
	check_text(read_until(proxy.output, -1), "");
	check_int(wait_status(proxy.pid), 0);
	stop(&proxy);
	leave();
}

/* Checks that dockerd is told, and the user. */
static void check_failure(struct proxy *proxy, const char *sentence)
{
	char expected[8192];

	snprintf(expected, sizeof(expected), "1\n%s", sentence);
	check_text(read_until(proxy->status, -1), expected);
	snprintf(expected, sizeof(expected), "rootlesskit-docker-proxy: %s\n", sentence);
	check_text(read_until(proxy->errors, -1), expected);
	check_text(read_until(proxy->output, -1), "");
	check_int(wait_status(proxy->pid), 1 << 8);
	stop(proxy);
}

static void refusals(void)
{
	static char huge[9000];
	char expected[256];
	struct proxy proxy;

	enter();
	proxy = start(rlkit_ns, dockerds, false);
	take(&proxy);
	answer(&proxy, 400, "listen tcp4 0.0.0.0:80: bind: address already in use\n");
	check_failure(&proxy, "listen tcp4 0.0.0.0:80: bind: address already in use");

	proxy = start(rlkit_ns, dockerds, false);
	take(&proxy);
	answer(&proxy, 200, "forward 7\n");
	check_failure(&proxy, "cannot understand what rlkit answers: forward 7");

	memset(huge, 'x', sizeof(huge) - 1);
	snprintf(expected, sizeof(expected), "no answer from api.sock in %s: Protocol error", scratch);
	proxy = start(rlkit_ns, dockerds, false);
	take(&proxy);
	answer(&proxy, 400, huge);
	check_failure(&proxy, expected);

	proxy = start(rlkit_ns, dockerds, false);
	take(&proxy);
	check_int(send(proxy.api, "220 smtp\r\n\r\n", 12, 0), 12);
	check_failure(&proxy, expected);

	snprintf(expected, sizeof(expected), "no answer from api.sock in %s: Connection reset by peer", scratch);
	proxy = start(rlkit_ns, dockerds, false);
	take(&proxy);
	expect_question(&proxy, LINES);
	shutdown(proxy.api, SHUT_RDWR); /* as another user's supervisor does */
	check_failure(&proxy, expected);

	/* docker-proxy cannot be started: the port, which is published by then, is removed first */
	check_int(unlink("docker-proxy"), 0);
	snprintf(script_path, sizeof(script_path), "PATH=%s", scratch);
	proxy = start(rlkit_ns, dockerds, false);
	take(&proxy);
	expect_question(&proxy, LINES);
	answer(&proxy, 200, "forward 7 127.0.0.1\n");
	expect(&proxy, REMOVAL);
	check(is_silent(proxy.api));
	answer(&proxy, 200, "");
	check_failure(&proxy, "cannot start docker-proxy: No such file or directory");
	leave();
}

static void no_supervisor(void)
{
	char expected[2048];
	struct proxy proxy;

	enter();
	close(listener);
	listener = -1;
	snprintf(expected, sizeof(expected), "cannot connect to api.sock in %s: Connection refused", scratch);
	proxy = start(rlkit_ns, dockerds, false);
	check_failure(&proxy, expected);
	check_int(unlink("api.sock"), 0);
	snprintf(expected, sizeof(expected), "cannot connect to api.sock in %s: No such file or directory", scratch);
	proxy = start(rlkit_ns, dockerds, false);
	check_failure(&proxy, expected);
	strcpy(state_dir, "ROOTLESSKIT_STATE_DIR=");
	for (int i = 0; i < 2; i++) {
		proxy = start(rlkit_ns, dockerds, false);
		check_failure(&proxy, "ROOTLESSKIT_STATE_DIR is not set: this runs below rlkit run only");
		*state_dir = 0;
	}
	leave();
}

/* A state directory whose socket does not fit into sockaddr_un, and no status pipe: a person tries it out. */
static void by_hand(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "api.sock"};
	struct proxy proxy;

	enter();
	for (int i = 0; i < 20; i++)
		check(mkdir("directory", 0700) == 0 && chdir("directory") == 0 && strcat(state_dir, "/directory"));
	close(listener);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	check_int(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	check_int(listen(listener, 8), 0);
	proxy = start(rlkit_ns, dockerds, true);
	take(&proxy);
	expect_question(&proxy, LINES);
	answer(&proxy, 200, "forward 7 127.0.0.1\n");
	expect_child(&proxy, " -proto tcp -host-ip 127.0.0.1 -host-port 8080 -container-ip 172.17.0.2 -container-port 80");
	check(is_silent(proxy.api)); /* docker-proxy's "0" went elsewhere */
	send_signal(proxy.pid, SIGINT);
	expect(&proxy, REMOVAL);
	answer(&proxy, 200, "");
	check_int(wait_status(proxy.pid), 0);
	check_text(read_until(proxy.errors, -1), "");
	stop(&proxy);
	leave();
}

/* A signal that comes before the answer, and one that comes with it. */
static void while_starting(void)
{
	static const int signals[] = {SIGINT, SIGTERM};

	enter();
	for (int i = 0; i < 4; i++) {
		struct proxy proxy = start(rlkit_ns, dockerds, false);

		take(&proxy);
		expect_question(&proxy, LINES);
		if (i >= 2) {
			send_signal(proxy.pid, SIGSTOP);
			answer(&proxy, 200, "forward 7 127.0.0.1\n");
		}
		send_signal(proxy.pid, signals[i % 2]);
		if (i >= 2)
			send_signal(proxy.pid, SIGCONT);
		check(is_closed(proxy.api)); /* and the supervisor removes the port */
		check_text(read_until(proxy.status, -1), "");
		check_text(read_until(proxy.output, -1), "");
		check_int(wait_status(proxy.pid), (128 + SIGTERM) << 8);
		stop(&proxy);
	}
	leave();
}

static void in_pieces(void)
{
	static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nskip\n";
	struct proxy proxy;

	enter();
	proxy = start(rlkit_ns, dockerds, false);
	take(&proxy);
	expect_question(&proxy, LINES);
	for (size_t i = 0; i < strlen(text); i++)
		check_int(send(proxy.api, text + i, 1, MSG_NOSIGNAL), 1);
	check_text(read_until(proxy.status, -1), "0\n");
	check_int(wait_status(proxy.pid), 0);
	stop(&proxy);
	leave();
}

static long resident_kb(pid_t pid)
{
	char path[64];
	const char *line;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	line = strstr(content(path), "VmRSS:");
	return line ? atol(line + 6) : -1;
}

static void small(void)
{
	struct proxy proxy;
	long kb;

	enter();
	proxy = forwarding();
	kb = resident_kb(proxy.pid);
	check(kb > 0 && kb < 1024);
	send_signal(proxy.pid, SIGINT);
	expect(&proxy, REMOVAL);
	answer(&proxy, 200, "");
	check_int(wait_status(proxy.pid), 0);
	stop(&proxy);
	leave();
}

/* Begins before the others and is looked at behind them. */
static struct proxy unanswered;
static char unanswered_dir[64];

static void begin_unanswered(void)
{
	enter();
	strcpy(unanswered_dir, scratch);
	unanswered = start(rlkit_ns, dockerds, false);
	take(&unanswered);
	expect_question(&unanswered, LINES);
	leave();
}

static void gives_up(void)
{
	char expected[256];

	check_int(waitid(P_PID, (id_t)unanswered.pid, &(siginfo_t){0}, WEXITED | WNOWAIT), 0); /* its deadline is ours */
	snprintf(expected, sizeof(expected), "no answer from api.sock in %s: ", unanswered_dir);
	check(strstr(read_until(unanswered.errors, -1), expected) != NULL);
	check(!strncmp(read_until(unanswered.status, -1), "1\nno answer from", 16));
	check_int(wait_status(unanswered.pid), 1 << 8);
	stop(&unanswered);
}

int main(int argc, char **argv)
{
	bool shipped = argc == 4 && !strcmp(argv[3], "shipped");

	if (argc != 3 && !shipped)
		return 2;
	rlkit_ns = argv[1];
	probe = argv[2];
	if (shipped)
		begin_unanswered();
	run_test("starts docker-proxy on the other address; SIGINT and SIGTERM end it, and then the port", forwards);
	run_test("ends as docker-proxy ends, and the port with it", own_end);
	run_test("takes docker-proxy along when it is killed", killed);
	run_test("replaces the address in every form that docker-proxy takes, and gives it where there is none", flags);
	run_test("becomes docker-proxy, unchanged, where no port is published", plain);
	run_test("reports success without docker-proxy where the port is skipped", skips);
	run_test("passes a refusal on to dockerd, and says what it cannot understand", refusals);
	run_test("says why it cannot reach the supervisor", no_supervisor);
	run_test("works with a long path, and without a status pipe", by_hand);
	run_test("ends on a signal that comes before docker-proxy runs", while_starting);
	run_test("reads an answer that comes in pieces", in_pieces);
	if (shipped) {
		run_test("takes less than a megabyte of memory", small);
		run_test("gives a supervisor up that does not answer within ten seconds", gives_up);
	}
	return finish();
}
