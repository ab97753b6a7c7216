// SPDX-License-Identifier: Apache-2.0
#ifndef DOCKERD_H
#define DOCKERD_H

#include <sys/socket.h>
#include <sys/un.h>

#include "harness.h"

/*
 * `rlkit-ns docker-proxy` between a dockerd and a supervisor that the tests play. A script stands for docker-proxy: it prints its
 * pid and its arguments, and stays.
 */

static const char *rlkit_ns, *probe;

static int listener = -1;
static char script_path[128], state_dir[1024];

struct proxy {
	pid_t pid;
	int status; /* what dockerd reads */
	int output;
	int errors;
	int api; /* the connection, once accepted */
	pid_t child;
};

#define ARGS "-proto", "tcp", "-host-ip", "0.0.0.0", "-host-port", "8080", "-container-ip", "172.17.0.2", "-container-port", "80"
#define LINES "-proto\ntcp\n-host-ip\n0.0.0.0\n-host-port\n8080\n-container-ip\n172.17.0.2\n-container-port\n80\n"

static char *const dockerds[] = {"rlkit-ns", "docker-proxy", ARGS, NULL};

static inline void write_script(const char *text)
{
	unlink("docker-proxy");
	write_text("docker-proxy", text);
	check_int(chmod("docker-proxy", 0755), 0);
}

/* Listens at api.sock in the current directory, and has docker-proxy in it. */
static inline void enter(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "api.sock"};
	char script[512];

	enter_scratch();
	snprintf(state_dir, sizeof(state_dir), "ROOTLESSKIT_STATE_DIR=%s", scratch);
	snprintf(script_path, sizeof(script_path), "PATH=%s:/usr/bin:/bin", scratch);
	snprintf(script, sizeof(script), "#!/bin/sh\necho \"$$ $*\"\necho 0 >&3\nexec 3>&-\nexec %s stay\n", probe);
	write_script(script);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	check_int(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	check_int(listen(listener, 8), 0);
}

static inline void leave(void)
{
	close(listener);
	leave_scratch();
}

/* Starts it as dockerd does; without a status pipe if `closed`. */
static inline struct proxy start(const char *name, char *const *argv, bool closed)
{
	char *env[] = {script_path, *state_dir ? state_dir : NULL, NULL};
	struct proxy proxy = {.api = -1};
	int pipes[3][2];

	for (int i = 0; i < 3; i++)
		check_int(pipe2(pipes[i], O_CLOEXEC), 0);
	proxy.output = pipes[0][0], proxy.errors = pipes[1][0], proxy.status = pipes[2][0];
	proxy.pid = fork();
	if (proxy.pid == 0) {
		for (int i = 0; i < 3; i++)
			pipes[i][1] = fcntl(pipes[i][1], F_DUPFD_CLOEXEC, 20);
		for (int i = 0; i < 3; i++)
			dup2(pipes[i][1], i + 1);
		if (closed)
			close(3);
		execve(name, argv, env);
		_exit(99);
	}
	for (int i = 0; i < 3; i++)
		close(pipes[i][1]);
	return proxy;
}

static inline void take(struct proxy *proxy)
{
	struct pollfd waiting = {.fd = listener, .events = POLLIN};

	check_int(poll(&waiting, 1, DEADLINE), 1);
	proxy->api = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	check(proxy->api >= 0);
}

/* Reads what the proxy asks for and checks that it is exactly that. */
static inline void expect(const struct proxy *proxy, const char *request)
{
	char got[4096] = "";
	long end = now_ms() + DEADLINE;
	size_t have = 0;

	while (have < strlen(request) && now_ms() < end) {
		struct pollfd p = {.fd = proxy->api, .events = POLLIN};
		ssize_t one = poll(&p, 1, 100) ? read(proxy->api, got + have, strlen(request) - have) : 0;

		have += one > 0 ? (size_t)one : 0;
	}
	check_text(got, request);
}

static inline void expect_question(const struct proxy *proxy, const char *lines)
{
	char request[4096];

	snprintf(request, sizeof(request),
		 "POST /v1/docker-proxy HTTP/1.1\r\nHost: rlkit\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n%s", strlen(lines),
		 lines);
	expect(proxy, request);
}

static inline void answer(const struct proxy *proxy, int status, const char *body)
{
	char text[16384];
	int length = snprintf(text, sizeof(text), "HTTP/1.1 %d Word\r\nConnection: keep-alive\r\nContent-Length: %zu\r\n\r\n%s", status,
			      strlen(body), body);

	check_int(send(proxy->api, text, (size_t)length, MSG_NOSIGNAL), length);
}

/* True if nothing comes, and the connection is still there. */
static inline bool is_silent(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

static inline bool is_closed(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char byte;

	return poll(&p, 1, DEADLINE) == 1 && recv(fd, &byte, 1, MSG_DONTWAIT) <= 0;
}

static inline void stop(struct proxy *proxy)
{
	close(proxy->status);
	close(proxy->output);
	close(proxy->errors);
	if (proxy->api >= 0)
		close(proxy->api);
}

/* Waits for docker-proxy, and checks its arguments. */
static inline void expect_child(struct proxy *proxy, const char *arguments)
{
	const char *line = read_until(proxy->output, '\n');

	proxy->child = atoi(line);
	check(exists(proxy->child));
	check_text(line + strcspn(line, " "), arguments);
}

/* Up to where docker-proxy runs. */
static inline struct proxy forwarding(void)
{
	struct proxy proxy = start(rlkit_ns, dockerds, false);

	take(&proxy);
	expect_question(&proxy, LINES);
	answer(&proxy, 200, "forward 7 127.0.0.1\n");
	expect_child(&proxy, " -proto tcp -host-ip 127.0.0.1 -host-port 8080 -container-ip 172.17.0.2 -container-port 80");
	check_text(read_until(proxy.status, -1), "0\n"); /* to its end: only docker-proxy had it */
	return proxy;
}

#endif
