// SPDX-License-Identifier: Apache-2.0
#include "ports.h"

/* `rlkit-ns portd` and its supervisor: requests, rubbish, ends. */

static void requests(void)
{
	struct client c = portd_start(NULL);
	cleanup_fd int first = published(SOCK_STREAM, "127.0.0.1"), second = published(SOCK_DGRAM, "127.0.0.1");
	int idle;

	check_int(portd_count(&c).ports, 0);
	idle = descriptors_of(c.pid, "");
	check_int(portd_listen(&c, &(struct listen){.target_port = 1}, first), 0);
	check_int(portd_listen(&c, &(struct listen){.target_port = 1}, second), -EEXIST);
	check_int(portd_listen(&c, &(struct listen){.port = 8, .kind = RL_DATAGRAM, .target_port = 1}, second), 0);
	check_int(portd_count(&c).ports, 2);
	check_int(portd_listen(&c, &(struct listen){.port = 9, .target = "localhost"}, first), -EINVAL);
	check_int(portd_listen(&c, &(struct listen){.port = 9, .stand_in = "10.0.2"}, first), -EINVAL);
	check_int(portd_listen(&c, &(struct listen){.port = 9, .target = "::1", .stand_in = "10.0.2.100"}, first), 0);
	check_int(descriptors_of(c.pid, "") - idle, 3); /* those of the refused ones are closed */
	check_int(portd_close(&c, 8), 0);
	check_int(portd_close(&c, 8), -ENOENT);
	check_int(portd_close(&c, PORT), 0);
	check_int(portd_listen(&c, &(struct listen){.target_port = 1}, first), 0); /* the number is free again */
	check_int(portd_count(&c).ports, 2);
	check_int(descriptors_of(c.pid, "") - idle, 2);
	client_end(&c);
}

/* Frames byte by byte, and many at once. */
static void pieces(void)
{
	struct client c = portd_start(NULL);
	cleanup_fd int fd = published(SOCK_STREAM, "127.0.0.1");
	uint8_t bytes[512];
	size_t length = encode_listen(bytes, sizeof(bytes), 1, &(struct listen){.target_port = 1});
	struct writer w;

	client_send_fds(&c, bytes, 1, &fd, 1);
	for (size_t i = 1; i < length; i++)
		client_send(&c, bytes + i, 1);
	c.last_id = 1;
	check_int(client_reply(&c).values[0], 0);
	length = 0;
	for (uint32_t id = 10; id < 20; id++) {
		w = frame_begin(bytes + length, sizeof(bytes) - length, RL_COUNT, id);
		length += frame_end(bytes + length, &w);
	}
	client_send(&c, bytes, length);
	for (uint32_t id = 10; id < 20; id++)
		check_int(read_counts(&c, id).ports, 1);
	client_end(&c);
}

/* Sends a frame with so many descriptors; portd must end by itself, while our end of its socket is open. */
static void check_ends(const uint8_t *bytes, size_t length, int count)
{
	struct client c = portd_start(NULL);
	cleanup_fd int fd = published(SOCK_STREAM, "127.0.0.1");
	int fds[2] = {fd, fd};

	client_send_fds(&c, bytes, length, fds, count);
	client_gone(&c);
	close(c.control);
}

static void rubbish(void)
{
	static const struct {
		uint8_t bytes[13];
		uint8_t length;
	} frames[] = {
		{{0, 0, 0, 0}, 4},                                  /* no head */
		{{0xff, 0xff, 0xff, 0xff}, 4},                      /* too long */
		{{5, 0, 0, 0, 99, 1, 0, 0, 0}, 9},                  /* unknown type */
		{{5, 0, 0, 0, RL_REPLY, 1, 0, 0, 0}, 9},            /* portd's to send */
		{{5, 0, 0, 0, RL_RUN, 1, 0, 0, 0}, 9},              /* init's */
		{{7, 0, 0, 0, RL_CLOSE, 1, 0, 0, 0, 1, 0}, 11},     /* half a number */
		{{6, 0, 0, 0, RL_COUNT, 1, 0, 0, 0, 0}, 10},        /* a body where there is none */
		{{5, 0, 0, 0, RL_LISTEN, 1, 0, 0, 0}, 9},           /* none where there is one */
	};
	static const uint8_t count[] = {5, 0, 0, 0, RL_COUNT, 1, 0, 0, 0};
	static uint8_t long_frame[4096] = {0, 32, 0, 0, RL_LISTEN}; /* allowed for init, but no request of ours has that length */
	uint8_t bytes[512];
	size_t length;

	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++)
		check_ends(frames[i].bytes, frames[i].length, 0);
	check_ends(count, sizeof(count), 1); /* a descriptor that no frame announced */
	check_ends(long_frame, sizeof(long_frame), 0);
	length = encode_listen(bytes, sizeof(bytes), 1, &(struct listen){.target_port = 1});
	check_ends(bytes, length, 0); /* without the descriptor that it announces */
	check_ends(bytes, length, 2);
	bytes[3] = 1; /* its body is not all there, and never will be */
	check_ends(bytes, length, 0);
	length = encode_listen(bytes, sizeof(bytes), 1, &(struct listen){.kind = 3});
	check_ends(bytes, length, 1);
	length = encode_listen(bytes, sizeof(bytes), 1, &(struct listen){.flags = 2});
	check_ends(bytes, length, 1);
}

static void end_of_socket(void)
{
	struct client c = portd_start(NULL);
	cleanup_fd int ours = published(SOCK_STREAM, "127.0.0.1"), target = listener();
	int client, served;

	check_int(portd_listen(&c, &(struct listen){.target_port = port_of(target)}, ours), 0);
	client = connected(SOCK_STREAM, "127.0.0.1", port_of(ours));
	served = accepted(target);
	pass(client, served, "hello");
	client_end(&c);
	check_end(client);
	check_end(served);
	close(client);
	close(served);
}

static void signals(void)
{
	static const int ignored[] = {SIGINT, SIGQUIT, SIGHUP, SIGTSTP, SIGPIPE};
	struct client c = portd_start(NULL);

	check_int(portd_count(&c).ports, 0);
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		send_signal(c.pid, ignored[i]);
	check_int(portd_count(&c).ports, 0);
	send_signal(c.pid, SIGSTOP);
	send_signal(c.pid, SIGCONT);
	check_int(portd_count(&c).ports, 0);
	client_end(&c);
}

#define MANY 500

/* The supervisor sends all that it has before it reads: portd must not wait for it to read first. */
static void without_reading(void)
{
	struct client c = portd_start(NULL);
	cleanup_fd int fd = published(SOCK_DGRAM, "127.0.0.1");
	const struct timeval deadline = {.tv_sec = DEADLINE / 1000};
	uint32_t id;

	check_int(setsockopt(c.control, SOL_SOCKET, SO_SNDTIMEO, &deadline, sizeof(deadline)), 0);
	for (uint32_t i = 0; i < MANY; i++)
		send_listen(&c, &(struct listen){.port = 100 + i, .kind = RL_DATAGRAM, .target_port = 1}, fd);
	for (int i = 0; i < 100; i++)
		send_count(&c);
	id = c.last_id;
	for (c.last_id = 1; c.last_id <= MANY; c.last_id++)
		check_int(client_reply(&c).values[0], 0);
	for (; c.last_id <= id; c.last_id++)
		check_int(read_counts(&c, c.last_id).ports, MANY);
	client_end(&c);
}

/* The value of a line of /proc/PID/status. */
static unsigned long long status_of(pid_t pid, const char *name, int base)
{
	char path[64];
	const char *at;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	at = strstr(content(path), name);
	check(at != NULL);
	return at ? strtoull(at + strlen(name), NULL, base) : 0;
}

static void confined(void)
{
	const unsigned long long needed = 1u << CAP_NET_ADMIN | 1u << CAP_NET_RAW | 1u << CAP_NET_BIND_SERVICE;
	struct client c = portd_start(NULL);

	check_int(portd_count(&c).ports, 0);
	check_int(status_of(c.pid, "\nCapPrm:", 16) & ~needed, 0);
	check_int(status_of(c.pid, "\nCapEff:", 16), status_of(c.pid, "\nCapPrm:", 16));
	check_int(status_of(c.pid, "\nCapInh:", 16), 0);
	check_int(status_of(c.pid, "\nCapAmb:", 16), 0);
	check_int(status_of(c.pid, "\nNoNewPrivs:", 10), 1);
	if (geteuid() == 0) /* else it may not */
		check_int(status_of(c.pid, "\nCapBnd:", 16) & ~needed, 0);
#ifndef __SANITIZE_ADDRESS__
	check_int(status_of(c.pid, "\nSeccomp:", 10), 2); /* a filter */
#endif
	client_end(&c);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	rlkit_ns = argv[1];
	run_test("answers requests, and refuses numbers that are taken or unknown and addresses that are none", requests);
	run_test("reads requests byte by byte, and many at once", pieces);
	run_test("ends on a malformed frame, and on descriptors that don't go with the frame", rubbish);
	run_test("ends at the end of the socket, and its connections with it", end_of_socket);
	run_test("ignores what a terminal sends to its process group, and survives being stopped", signals);
	run_test("takes hundreds of requests from a supervisor that does not read meanwhile", without_reading);
	run_test("keeps no privilege but three capabilities", confined);
	return finish();
}
