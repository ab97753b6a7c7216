// SPDX-License-Identifier: Apache-2.0
#include "ports.h"

/* Datagrams through `rlkit-ns portd`. */

/* A portd with one datagram port, and where it leads. */
struct stage {
	struct client c;
	int ours; /* the published socket */
	int target;
	struct sockaddr_in last; /* whom the target heard last */
};

static struct stage stage_at(const char *address, const char *idle)
{
	struct stage s = {.c = portd_start(idle), .ours = published(SOCK_DGRAM, address), .target = bound(SOCK_DGRAM, "127.0.0.1", 0)};

	check_int(portd_listen(&s.c, &(struct listen){.kind = RL_DATAGRAM, .target_port = port_of(s.target)}, s.ours), 0);
	return s;
}

static struct stage stage_new(void)
{
	return stage_at("127.0.0.1", NULL);
}

static void stage_end(struct stage *s)
{
	close(s->ours);
	close(s->target);
	client_end(&s->c);
}

/* A client of the port, at one of the host's addresses. */
static int client_at(const struct stage *s, const char *address)
{
	return connected(SOCK_DGRAM, address, port_of(s->ours));
}

static int client_of(const struct stage *s)
{
	return client_at(s, "127.0.0.1");
}

static uint8_t byte_at(size_t position, uint8_t seed)
{
	return (uint8_t)((position * 2654435761u >> 13) + seed);
}

static void check_bytes(const uint8_t *bytes, ssize_t got, size_t length, uint8_t seed)
{
	bool wrong = false;

	check_int(got, length);
	for (ssize_t i = 0; i < got; i++)
		wrong |= bytes[i] != byte_at((size_t)i, seed);
	check(!wrong);
}

/* Asks the target something of that length; it is told by its seed. */
static void ask(int client, size_t length, uint8_t seed)
{
	static uint8_t bytes[65536];

	for (size_t i = 0; i < length; i++)
		bytes[i] = byte_at(i, seed);
	check_int(send(client, bytes, length, 0), length);
}

/* The target takes a question, and sends it back with another seed. */
static void answer(struct stage *s, size_t length, uint8_t seed)
{
	static uint8_t bytes[65536];
	socklen_t size = sizeof(s->last);

	check_bytes(bytes, recvfrom(s->target, bytes, sizeof(bytes), 0, (struct sockaddr *)&s->last, &size), length, seed);
	for (size_t i = 0; i < length; i++)
		bytes[i] = byte_at(i, (uint8_t)(seed + 1));
	check_int(sendto(s->target, bytes, length, 0, (struct sockaddr *)&s->last, size), length);
}

static void check_answer(int client, size_t length, uint8_t seed)
{
	static uint8_t bytes[65536];

	check_bytes(bytes, recv(client, bytes, sizeof(bytes), 0), length, (uint8_t)(seed + 1));
}

/* Question and answer. */
static void echo(struct stage *s, int client, size_t length, uint8_t seed)
{
	ask(client, length, seed);
	answer(s, length, seed);
	check_answer(client, length, seed);
}

static void sizes(void)
{
	static const size_t lengths[] = {1, 100, 1472, 1473, 9000, 60000, 65507 /* the largest */, 0, 5};
	struct stage s = stage_new();
	int client = client_of(&s);
	uint64_t bytes = 0;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		echo(&s, client, lengths[i], (uint8_t)i);
		bytes += lengths[i];
	}
	until(portd_count(&s.c).out == bytes); /* counted after it was sent */
	check_int(portd_count(&s.c).in, bytes);
	check_int(portd_count(&s.c).open, 1);
	check_int(portd_count(&s.c).accepted, 1);
	check_int(portd_count(&s.c).failed, 0);
	close(client);
	stage_end(&s);
}

/* More than are taken in one go, from several clients in turn: each has its own answers, in order. */
static void clients(void)
{
	enum { CLIENTS = 5, EACH = 40 };
	struct stage s = stage_new();
	int fds[CLIENTS];

	for (int i = 0; i < CLIENTS; i++)
		fds[i] = client_of(&s);
	send_signal(s.c.pid, SIGSTOP); /* so that they wait for it together */
	for (uint8_t n = 0; n < EACH; n++)
		for (uint8_t i = 0; i < CLIENTS; i++)
			ask(fds[i], 10u + i, n);
	send_signal(s.c.pid, SIGCONT);
	for (int n = 0; n < CLIENTS * EACH; n++) {
		uint8_t bytes[64];
		socklen_t size = sizeof(s.last);
		ssize_t got = recvfrom(s.target, bytes, sizeof(bytes), 0, (struct sockaddr *)&s.last, &size);

		check(got >= 10 && got < 10 + CLIENTS);
		if (got < 0)
			break;
		bytes[0]++;
		check_int(sendto(s.target, bytes, (size_t)got, 0, (struct sockaddr *)&s.last, size), got);
	}
	for (uint8_t i = 0; i < CLIENTS; i++)
		for (uint8_t n = 0; n < EACH; n++) {
			uint8_t bytes[64] = {0};

			check_int(recv(fds[i], bytes, sizeof(bytes), 0), 10 + i);
			check_int(bytes[0], (uint8_t)(byte_at(0, n) + 1));
		}
	check_int(portd_count(&s.c).open, CLIENTS);
	check_int(portd_count(&s.c).accepted, CLIENTS);
	for (int i = 0; i < CLIENTS; i++)
		close(fds[i]);
	stage_end(&s);
}

static void unasked(void)
{
	struct stage s = stage_new();
	int client = client_of(&s);

	echo(&s, client, 10, 1);
	for (uint8_t i = 0; i < 3; i++) { /* the target says more than it was asked */
		uint8_t byte = i, got = 99;

		check_int(sendto(s.target, &byte, 1, 0, (struct sockaddr *)&s.last, sizeof(s.last)), 1);
		check_int(recv(client, &got, 1, 0), 1);
		check_int(got, i);
	}
	close(client);
	stage_end(&s);
}

static void idle(void)
{
	struct stage s = stage_at("127.0.0.1", "150");
	int client = client_of(&s), descriptors = descriptors_of(s.c.pid, "");
	uint16_t before;

	echo(&s, client, 10, 1);
	before = s.last.sin_port;
	check_int(portd_count(&s.c).open, 1);
	until(portd_count(&s.c).open == 0);
	until(descriptors_of(s.c.pid, "") == descriptors);
	echo(&s, client, 10, 2);
	check(s.last.sin_port != before); /* from a socket of its own */
	check_int(portd_count(&s.c).accepted, 2);
	for (int i = 0; i < 30; i++) { /* who is not silent stays, for longer than that */
		echo(&s, client, 10, 3);
		poll(NULL, 0, 10);
	}
	for (uint8_t i = 0; i < 30; i++) { /* nor needs it answers for that */
		ask(client, 10, i);
		poll(NULL, 0, 10);
	}
	check_int(portd_count(&s.c).accepted, 2);
	close(client);
	stage_end(&s);
}

/* A connected socket takes datagrams only from the address that it wrote to. */
static void from_the_address_asked(void)
{
	struct stage s = stage_at("0.0.0.0", NULL);
	int second = client_at(&s, "127.0.0.2"), third = client_at(&s, "127.0.0.3");
	int both = bound(SOCK_DGRAM, "127.0.0.1", 0);

	echo(&s, second, 10, 1);
	echo(&s, third, 10, 2);
	echo(&s, second, 60000, 3);
	check_int(portd_count(&s.c).accepted, 2);
	for (uint8_t i = 2; i < 5; i++) { /* one socket that asks at several addresses */
		char text[16];
		struct sockaddr_in address, from = {0};
		socklen_t size = sizeof(from);
		uint8_t byte;

		snprintf(text, sizeof(text), "127.0.0.%d", i);
		address = ipv4(text, port_of(s.ours));
		byte = byte_at(0, i);
		check_int(sendto(both, &byte, 1, 0, (struct sockaddr *)&address, sizeof(address)), 1);
		answer(&s, 1, i);
		check_int(recvfrom(both, &byte, 1, 0, (struct sockaddr *)&from, &size), 1);
		check_int(from.sin_addr.s_addr, address.sin_addr.s_addr);
	}
	close(both);
	close(second);
	close(third);
	stage_end(&s);
}

/* An error that the target left when it was not there does not cost the datagram that comes next. */
static void late_target(void)
{
	struct stage s = stage_new();
	int client = client_of(&s), other = client_of(&s);
	uint16_t port = port_of(s.target);

	close(s.target);
	send_signal(s.c.pid, SIGSTOP); /* so that the first one's error is there before the third is sent */
	ask(client, 10, 1);
	ask(other, 10, 1);
	ask(client, 10, 1);
	send_signal(s.c.pid, SIGCONT);
	until(portd_count(&s.c).in == 30); /* into the void */
	check_int(portd_count(&s.c).failed, 0);
	s.target = bound(SOCK_DGRAM, "127.0.0.1", port);
	echo(&s, client, 10, 2);
	close(client);
	close(other);
	stage_end(&s);
}

static void removal(void)
{
	struct stage s = stage_new();
	int client = client_of(&s), other = client_of(&s), descriptors = descriptors_of(s.c.pid, "");

	echo(&s, client, 10, 1);
	echo(&s, other, 10, 2);
	check_int(descriptors_of(s.c.pid, ""), descriptors + 2);
	check_int(portd_close(&s.c, PORT), 0);
	check_int(descriptors_of(s.c.pid, ""), descriptors - 1);
	check_int(portd_listen(&s.c, &(struct listen){.kind = RL_DATAGRAM, .target_port = port_of(s.target)}, s.ours), 0);
	check_int(portd_count(&s.c).open, 0);
	echo(&s, client, 10, 3);
	close(client);
	close(other);
	stage_end(&s);
}

/* New clients are served at the cost of the one that has been silent longest. */
static void out_of_descriptors(void)
{
	enum { CLIENTS = 8, FLOWS = 3 };
	struct stage s = stage_new();
	int fds[CLIENTS];

	limit_descriptors(s.c.pid, FLOWS);
	for (uint8_t i = 0; i < CLIENTS; i++) {
		fds[i] = client_of(&s);
		echo(&s, fds[i], 10, i);
	}
	check_int(portd_count(&s.c).open, FLOWS);
	check_int(portd_count(&s.c).failed, 0);
	for (uint8_t i = 0; i < CLIENTS; i++) {
		echo(&s, fds[i], 10, i);
		close(fds[i]);
	}
	limit_descriptors(s.c.pid, -1); /* the sanitizer needs some at the end */
	stage_end(&s);
}

/* 127.0.0.1 is for loopback clients only: others must not be taken for them (CVE-2021-20199). */
static void stand_in(void)
{
	struct client c = portd_start(NULL);
	cleanup_fd int ours = published(SOCK_DGRAM, "127.0.0.1"), target = bound(SOCK_DGRAM, "0.0.0.0", 0);
	struct listen request = {.kind = RL_DATAGRAM, .target_port = port_of(target), .stand_in = "127.0.0.77"};
	struct sockaddr_in from = {0};
	socklen_t size = sizeof(from);
	char byte;
	int client;

	check_int(portd_listen(&c, &request, ours), 0);
	client = connected(SOCK_DGRAM, "127.0.0.1", port_of(ours));
	check_int(send(client, "?", 1, 0), 1);
	check_int(recvfrom(target, &byte, 1, 0, (struct sockaddr *)&from, &size), 1);
	check_int(from.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	close(client);
	client_end(&c);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	rlkit_ns = argv[1];
	run_test("forwards datagrams of all sizes and their answers, and counts them", sizes);
	run_test("forwards bursts of several clients in order, and each has its own answers", clients);
	run_test("forwards what a target says without being asked again", unasked);
	run_test("forgets a client that is silent for the time in argv, and no other", idle);
	run_test("answers from the address that was asked", from_the_address_asked);
	run_test("forwards to a target that was not there before", late_target);
	run_test("forgets a port's clients when it is removed", removal);
	run_test("serves new clients instead of the one that was silent longest when descriptors are few", out_of_descriptors);
	run_test("leaves a loopback client its address", stand_in);
	return finish();
}
