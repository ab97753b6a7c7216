// SPDX-License-Identifier: Apache-2.0
#include "ports.h"

/* HOLD: connections wait for a target that is away. */

static int portd_hold(struct client *c, uint32_t milliseconds)
{
	uint8_t bytes[32];
	struct writer w = frame_begin(bytes, sizeof(bytes), RL_HOLD, ++c->last_id);

	write_uint(&w, 4, milliseconds);
	client_send(c, bytes, frame_end(bytes, &w));
	return client_reply(c).values[0];
}

struct stage {
	struct client c;
	int ours; /* the published listener */
	int target;
};

static struct stage stage_new(void)
{
	struct stage s = {.c = portd_start(NULL), .ours = published(SOCK_STREAM, "127.0.0.1"), .target = bound(SOCK_STREAM, "127.0.0.1", 0)};

	check_int(portd_listen(&s.c, &(struct listen){.target_port = port_of(s.target)}, s.ours), 0);
	return s;
}

static void stage_end(struct stage *s)
{
	close(s->ours);
	close(s->target);
	client_end(&s->c);
}

static int client_of(const struct stage *s)
{
	return connected(SOCK_STREAM, "127.0.0.1", port_of(s->ours));
}

/* True if the client has been refused within `milliseconds`. */
static bool is_refused(int client, int milliseconds)
{
	struct pollfd p = {.fd = client, .events = POLLIN};
	char byte;

	return poll(&p, 1, milliseconds) == 1 && recv(client, &byte, 1, 0) <= 0;
}

static void waits(void)
{
	struct stage s = stage_new();
	int clients[3], served[3];

	check_int(portd_hold(&s.c, 60000), 0);
	for (int i = 0; i < 3; i++)
		clients[i] = client_of(&s);
	check(!is_refused(clients[0], 300));
	check_int(listen(s.target, 16), 0);
	for (int i = 0; i < 3; i++)
		served[i] = accepted(s.target);
	for (int i = 0; i < 3; i++)
		check_int(send(served[i], "x", 1, MSG_NOSIGNAL), 1);
	for (int i = 0; i < 3; i++) {
		char byte = 0;

		check_int(recv(clients[i], &byte, 1, 0), 1);
		check_int(byte, 'x');
		close(clients[i]);
		close(served[i]);
	}
	check_int(portd_count(&s.c).failed, 0);
	stage_end(&s);
}

static void ends(void)
{
	struct stage s = stage_new();
	int client;

	check(is_refused(client = client_of(&s), DEADLINE));
	close(client);
	check_int(portd_hold(&s.c, 60000), 0);
	check_int(portd_hold(&s.c, 0), 0);
	check(is_refused(client = client_of(&s), DEADLINE)); /* a new one is refused at once again */
	close(client);
	stage_end(&s);
}

static void runs_out(void)
{
	struct stage s = stage_new();
	int client;

	check_int(portd_hold(&s.c, 400), 0);
	client = client_of(&s);
	check(!is_refused(client, 150));
	check(is_refused(client, DEADLINE));
	close(client);
	check_int(portd_count(&s.c).failed, 1);
	stage_end(&s);
}

static void patience_stays(void)
{
	struct stage s = {.c = portd_start(NULL), .ours = published(SOCK_STREAM, "127.0.0.1"), .target = bound(SOCK_STREAM, "127.0.0.1", 0)};
	int client;

	check_int(portd_listen(&s.c, &(struct listen){.patience = 60000, .target_port = port_of(s.target)}, s.ours), 0);
	check_int(portd_hold(&s.c, 10), 0); /* less than the port's own */
	client = client_of(&s);
	check(!is_refused(client, 300));
	close(client);
	stage_end(&s);
}

static void malformed(void)
{
	uint8_t bytes[32];

	for (size_t size = 3; size <= 5; size += 2) {
		struct client c = portd_start(NULL);
		struct writer w = frame_begin(bytes, sizeof(bytes), RL_HOLD, 1);

		write_uint(&w, size, 0);
		client_send(&c, bytes, frame_end(bytes, &w));
		check_int(client_receive(&c).type, -1);
		close(c.control);
		client_gone(&c);
	}
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	rlkit_ns = argv[1];
	run_test("keeps clients waiting for a target that is away, and then serves them all", waits);
	run_test("refuses at once when nothing is held any more", ends);
	run_test("refuses those that have waited so long", runs_out);
	run_test("leaves a port's own patience as it is where that is longer", patience_stays);
	run_test("ends when HOLD is too short or too long", malformed);
	return finish();
}
