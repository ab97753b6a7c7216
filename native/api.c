// SPDX-License-Identifier: Apache-2.0
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#include "api.h"
#include "unix_path.h"

#define DEADLINE 10000 /* milliseconds; dockerd waits for 16 s */

int api_connect(struct api *api, const char *state_dir)
{
	static const char name[] = "/api.sock";
	const struct timeval deadline = {.tv_sec = DEADLINE / 1000};
	struct sockaddr_un address = {0};
	cleanup_fd int directory = -1;
	char path[PATH_MAX];
	int error;

	if (strlen(state_dir) + sizeof(name) > sizeof(path))
		return -ENAMETOOLONG;
	stpcpy(stpcpy(path, state_dir), name);
	error = unix_path(path, &address, &directory);
	if (error)
		return error;
	api->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* The time-out counts for connect(2) as well, which waits while the supervisor's backlog is full. */
	if (api->fd < 0 || setsockopt(api->fd, SOL_SOCKET, SO_SNDTIMEO, &deadline, sizeof(deadline)) < 0)
		return -errno;
	return result_of(connect(api->fd, (struct sockaddr *)&address, sizeof(address)));
}

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* Waits for bytes until `end`. Returns 0 or -errno, as api_ask does. */
static int wait_for_bytes(const struct api *api, int cancel, int64_t end)
{
	struct pollfd fds[] = {{.fd = api->fd, .events = POLLIN}, {.fd = cancel, .events = POLLIN}};
	int64_t left = end - now();
	int ready = left > 0 ? poll(fds, 2, (int)left) : 0;

	if (ready < 0)
		return -errno;
	if (fds[1].revents)
		return -ECANCELED;
	return ready ? 0 : -ETIMEDOUT;
}

static int send_request(const struct api *api, const char *request, size_t length)
{
	while (length) {
		ssize_t sent = send(api->fd, request, length, MSG_NOSIGNAL);

		if (sent < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		request += sent;
		length -= (size_t)sent;
	}
	return 0;
}

int api_ask(struct api *api, const char *request, size_t length, int cancel, struct answer *answer)
{
	const int64_t end = now() + DEADLINE;
	const size_t size = sizeof(api->buffer) - 1; /* answer_cut wants a byte to spare */
	int error = send_request(api, request, length), cut = 0;

	for (size_t have = 0; !error && !cut && have < size;) {
		ssize_t got;

		error = wait_for_bytes(api, cancel, end);
		if (error)
			break;
		got = recv(api->fd, api->buffer + have, size - have, 0);
		if (got <= 0)
			return got < 0 ? -errno : -ECONNRESET;
		have += (size_t)got;
		cut = answer_cut(api->buffer, have, answer);
	}
	if (error)
		return error;
	return cut > 0 ? 0 : -EPROTO;
}
