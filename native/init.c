// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "init.h"
#include "op.h"
#include "receive.h"

#define NOTIFICATIONS 64 /* passed on in one go */

/*
 * `rlkit-ns init FD`: the only resident of ours inside the namespaces. The supervisor started it, sends it requests on the
 * socket FD and is told of exits there. It is the parent of the target, and as subreaper (or pid 1) of all that detach
 * themselves. What ends it is the end of the socket, and it leaves no descendant behind.
 */
struct init {
	int control;
	int watched; /* whose datagrams are passed on; -1: none */
	struct signals signals;
	struct processes processes;
	size_t have; /* bytes in `input` */
	struct received received;
};

/* Static, so that only the pages that were ever written take memory. */
static uint8_t input[sizeof(uint32_t) + RL_FRAME_MAX];

/* Sends all of it. Returns 0, or -errno when the supervisor is gone: it waits for one that is only slow. */
static int send_all(int fd, const uint8_t *bytes, size_t length)
{
	while (length) {
		ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);

		if (sent < 0 && errno == EAGAIN) { /* whoever made the socket may have made it non-blocking */
			struct pollfd writable = {.fd = fd, .events = POLLOUT};

			poll(&writable, 1, -1);
			continue;
		}
		if (sent < 0)
			return -errno;
		bytes += sent;
		length -= (size_t)sent;
	}
	return 0;
}

static int reply(const struct init *init, uint32_t id, const int32_t *results, int count)
{
	size_t size = FRAME_REPLY_SIZE(count);
	cleanup_free uint8_t *bytes = malloc(size);

	if (!bytes)
		return -ENOMEM;
	frame_encode_reply(bytes, id, results, (uint16_t)count);
	return send_all(init->control, bytes, size);
}

static int handle_run(struct init *init, struct frame *frame)
{
	cleanup_free struct op *ops = NULL;
	cleanup_free int32_t *results = NULL;
	int count = frame_decode_run(&frame->body, &ops);

	if (count < 0)
		return count;
	results = malloc(((size_t)count + 1) * sizeof(*results));
	if (!results)
		return -ENOMEM;
	return reply(init, frame->id, results, ops_run(ops, count, results));
}

static int handle_spawn(struct init *init, struct frame *frame)
{
	struct spawn_request request = {0};
	int error = frame_decode_spawn(&frame->body, &request);
	int32_t result = 0;

	if (!error)
		error = claim_fds(&init->received, request.fds, request.fd_count);
	if (!error) {
		int ours[RL_FDS_MAX]; /* the child, which shares our memory until it has exec'd, changes its list */

		memcpy(ours, request.fds, sizeof(ours));
		result = processes_spawn(&init->processes, &request);
		for (int i = 0; i < request.fd_count; i++)
			close(ours[i]);
	}
	spawn_request_free(&request);
	return error ? error : reply(init, frame->id, &result, 1);
}

static int handle_signal(struct init *init, struct frame *frame)
{
	struct signal_request request;
	int error = frame_decode_signal(&frame->body, &request);
	int32_t result;

	if (error)
		return error;
	result = signals_send(&init->signals, &init->processes, &request);
	return reply(init, frame->id, &result, 1);
}

static int handle_watch(struct init *init, struct frame *frame)
{
	const int32_t done = 0;
	int fd;
	int error = frame_decode_watch(&frame->body);

	if (!error)
		error = claim_fds(&init->received, &fd, 1);
	if (error)
		return error;
	if (init->watched >= 0)
		close(init->watched);
	init->watched = fd;
	return reply(init, frame->id, &done, 1);
}

static int handle(struct init *init, struct frame *frame)
{
	switch (frame->type) {
	case RL_RUN:
		return handle_run(init, frame);
	case RL_SPAWN:
		return handle_spawn(init, frame);
	case RL_SIGNAL:
		return handle_signal(init, frame);
	case RL_WATCH:
		return handle_watch(init, frame);
	default:
		return -EPROTO;
	}
}

/* Reads once and handles every whole frame. Returns 0, or -errno when the supervisor is gone or broken. */
static int read_requests(struct init *init)
{
	ssize_t got = receive(init->control, input + init->have, sizeof(input) - init->have, &init->received);
	size_t used = 0;
	int length;

	if (got < 0)
		return got == -EAGAIN ? 0 : (int)got;
	if (got == 0)
		return -EPIPE;
	init->have += (size_t)got;
	for (;;) {
		struct frame frame;
		int error;

		length = frame_cut(input + used, init->have - used, &frame);
		if (length <= 0)
			break;
		used += (size_t)length;
		error = handle(init, &frame);
		if (error)
			return error;
	}
	init->have -= used;
	memmove(input, input + used, init->have);
	if (!init->have && init->received.count) /* they came with frames that announced fewer */
		return -EPROTO;
	return length;
}

/* Passes on what has come to the watched socket, but not for ever. Returns 0, or -errno when the supervisor is gone. */
static int pass_on(const struct init *init)
{
	static uint8_t message[RL_NOTIFY_MAX], bytes[FRAME_NOTIFIED_SIZE(RL_NOTIFY_MAX)];
	int error = 0;

	for (int i = 0; i < NOTIFICATIONS && init->watched >= 0 && !error; i++) {
		ssize_t got = recv(init->watched, message, sizeof(message), MSG_DONTWAIT); /* descriptors in it are dropped */

		if (got < 0)
			break;
		if (got > 0)
			error = send_all(init->control, bytes, frame_encode_notified(bytes, message, (size_t)got));
	}
	return error;
}

/* Reaps whatever has ended; reports what the supervisor asked for. Returns 0, or -errno when it is gone. */
static int reap(struct init *init)
{
	uint8_t report[FRAME_EXITED_SIZE];
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		int error;

		if (!processes_remove(&init->processes, pid))
			continue;
		error = pass_on(init); /* what it had to say comes before its end */
		if (!error)
			error = send_all(init->control, report, frame_encode_exited(report, pid, status));
		if (error)
			return error;
	}
	return 0;
}

static int serve(struct init *init)
{
	struct pollfd fds[] = {
		{.fd = init->control, .events = POLLIN},
		{.fd = init->signals.fd, .events = POLLIN},
		{.events = POLLIN},
	};
	int error = 0;

	while (!error) {
		fds[2].fd = init->watched; /* poll(2) passes over -1 */
		if (poll(fds, 3, -1) < 0)
			return -errno;
		if (fds[1].revents)
			signals_drain(&init->signals, &init->processes);
		if (fds[0].revents)
			error = read_requests(init);
		if (!error && fds[2].revents)
			error = pass_on(init);
		/* In each turn: requests drain signals, too, and a SIGCHLD that is read there does not come again. */
		if (!error)
			error = reap(init);
	}
	return error;
}

int init_main(int argc, char **argv)
{
	struct init init = {.watched = -1};

	if (argc != 1)
		return 2;
	init.control = atoi(argv[0]);
	/* The supervisor's death reaches us as the end of the socket; a signal would take us before we ended our descendants. */
	if (prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return 1;
	if (fcntl(init.control, F_SETFD, FD_CLOEXEC) < 0 || signals_open(&init.signals) < 0)
		return 1;
	serve(&init);
	processes_end(&init.processes);
	free(init.processes.pids);
	return 0;
}
