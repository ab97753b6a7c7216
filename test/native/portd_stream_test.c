// SPDX-License-Identifier: Apache-2.0
#include "ports.h"

/* Connections through `rlkit-ns portd`. */

#define MIB (1024 * 1024)

/* A portd with one stream port, and where it leads. */
struct stage {
	struct client c;
	int ours; /* the published listener */
	int target;
};

static struct stage stage_patient(uint32_t patience)
{
	struct stage s = {.c = portd_start(NULL), .ours = published(SOCK_STREAM, "127.0.0.1"), .target = bound(SOCK_STREAM, "127.0.0.1", 0)};

	check_int(portd_listen(&s.c, &(struct listen){.patience = patience, .target_port = port_of(s.target)}, s.ours), 0);
	return s;
}

static struct stage stage_new(void)
{
	struct stage s = stage_patient(0);

	check_int(listen(s.target, 1024), 0);
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

/* Both ends of a connection through portd. */
struct pair {
	int client, served;
};

static struct pair pair_new(const struct stage *s)
{
	struct pair p = {.client = client_of(s)};

	p.served = accepted(s->target);
	return p;
}

/* Bytes on their way from one socket to another; they are told by their position. */
struct way {
	int from, to;
	size_t total, sent, received;
	bool wrong;
};

static uint8_t byte_at(size_t position)
{
	return (uint8_t)(position * 2654435761u >> 13);
}

static bool send_some(struct way *way)
{
	static uint8_t bytes[65536];
	size_t length = way->total - way->sent < sizeof(bytes) ? way->total - way->sent : sizeof(bytes);
	ssize_t sent;

	for (size_t i = 0; i < length; i++)
		bytes[i] = byte_at(way->sent + i);
	sent = length ? send(way->from, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
	way->sent += sent > 0 ? (size_t)sent : 0;
	return sent > 0;
}

static bool receive_some(struct way *way)
{
	static uint8_t bytes[65536];
	ssize_t got = way->received < way->total ? recv(way->to, bytes, sizeof(bytes), MSG_DONTWAIT) : 0;

	for (ssize_t i = 0; i < got; i++)
		way->wrong |= bytes[i] != byte_at(way->received + (size_t)i);
	way->received += got > 0 ? (size_t)got : 0;
	return got > 0;
}

/* Sends and receives it all, all ways at the same time. */
static void transfer(struct way *ways, size_t count)
{
	long end = now_ms() + DEADLINE;
	bool done = false;

	while (!done && now_ms() < end) {
		bool moved = false;

		done = true;
		for (size_t i = 0; i < count; i++) {
			moved |= send_some(&ways[i]);
			moved |= receive_some(&ways[i]);
			done &= ways[i].received >= ways[i].total;
		}
		if (!moved && !done)
			poll(NULL, 0, 1);
	}
	for (size_t i = 0; i < count; i++) {
		check_int(ways[i].received, ways[i].total);
		check(!ways[i].wrong);
	}
}

static void little(void)
{
	struct stage s = stage_new();
	struct pair p = pair_new(&s);
	struct counts counts;

	pass(p.client, p.served, "a question");
	pass(p.served, p.client, "an answer");
	pass(p.client, p.served, "and another question");
	until(portd_count(&s.c).in == 30); /* counted after it was sent */
	counts = portd_count(&s.c);
	check_int(counts.open, 1);
	check_int(counts.accepted, 1);
	check_int(counts.in, 30);
	check_int(counts.out, 9);
	check_int(counts.failed + counts.plain, 0);
	close(p.client);
	check_end(p.served);
	close(p.served);
	until(portd_count(&s.c).open == 0);
	check_int(portd_count(&s.c).accepted, 1);
	stage_end(&s);
}

static void much(void)
{
	struct stage s = stage_new();
	struct pair p = pair_new(&s);
	struct way ways[2] = {{.from = p.client, .to = p.served, .total = 48 * MIB + 3}, {.from = p.served, .to = p.client, .total = 32 * MIB + 1}};

	transfer(ways, 2);
	pass(p.client, p.served, "a question");
	pass(p.served, p.client, "an answer");
	close(p.served);
	check_end(p.client);
	close(p.client);
	until(portd_count(&s.c).open == 0);
	check_int(portd_count(&s.c).in, 48 * MIB + 3 + 10);
	check_int(portd_count(&s.c).out, 32 * MIB + 1 + 9);
	stage_end(&s);
}

/* One side has said all, and gets long answers nevertheless. */
static void half_closed(void)
{
	struct stage s = stage_new();

	for (int which = 0; which < 2; which++) {
		struct pair p = pair_new(&s);
		int quiet = which ? p.served : p.client, talking = which ? p.client : p.served;

		pass(quiet, talking, "that is all");
		check_int(shutdown(quiet, SHUT_WR), 0);
		check_end(talking);
		pass(talking, quiet, "more");
		transfer(&(struct way){.from = talking, .to = quiet, .total = 4 * MIB}, 1);
		check_int(portd_count(&s.c).open, 1);
		check_int(shutdown(talking, SHUT_WR), 0);
		check_end(quiet);
		until(portd_count(&s.c).open == 0);
		close(quiet);
		close(talking);
	}
	stage_end(&s);
}

/* All arrives that was sent before the end, however much it is. */
static void last_words(void)
{
	struct stage s = stage_new();
	struct pair p = pair_new(&s);
	struct way way = {.from = p.client, .to = p.served, .total = 3 * MIB};
	long end = now_ms() + DEADLINE;

	while (way.sent < way.total && now_ms() < end)
		if (!send_some(&way) && !receive_some(&way))
			poll(NULL, 0, 1);
	close(p.client);
	transfer(&way, 1);
	check_end(p.served);
	close(p.served);
	stage_end(&s);
}

/* Sends until nothing has moved for so long. */
static void fill(struct way *way)
{
	struct pollfd p = {.fd = way->from, .events = POLLOUT};

	while (way->sent < way->total && poll(&p, 1, 300) > 0)
		send_some(way);
}

static void resets(void)
{
	struct stage s = stage_new();

	for (int which = 0; which < 4; which++) {
		struct pair p = pair_new(&s);
		int dying = which % 2 ? p.served : p.client, other = which % 2 ? p.client : p.served;

		pass(dying, other, "hello");
		if (which >= 2) /* in the middle of a bulk transfer */
			fill(&(struct way){.from = other, .to = dying, .total = 64 * MIB});
		reset(dying);
		check_reset(other);
		close(other);
		until(portd_count(&s.c).open == 0);
	}
	stage_end(&s);
}

/* A side that takes nothing more: there is nothing to read from it, and no room for what the other one said before its reset. */
static void reset_behind_a_jam(void)
{
	struct stage s = stage_new();

	for (int which = 0; which < 2; which++) {
		struct pair p = pair_new(&s);
		int dying = which ? p.served : p.client, jammed = which ? p.client : p.served;

		pass(dying, jammed, "hello");
		fill(&(struct way){.from = dying, .to = jammed, .total = 64 * MIB});
		reset(dying);
		until(portd_count(&s.c).open == 0);
		check_reset(jammed);
		close(jammed);
	}
	stage_end(&s);
}

static void refused(void)
{
	struct stage s = stage_patient(300);
	long began = now_ms();
	int client = client_of(&s);

	check_reset(client);
	check(now_ms() - began >= 250); /* the next attempt would have been too late */
	close(client);
	check_int(portd_count(&s.c).failed, 1);
	check_int(portd_count(&s.c).open, 0);
	check_int(portd_close(&s.c, PORT), 0);
	check_int(portd_listen(&s.c, &(struct listen){.target_port = port_of(s.target)}, s.ours), 0);
	client = client_of(&s);
	check_reset(client);
	close(client);
	check_int(portd_count(&s.c).failed, 1);
	stage_end(&s);
}

/* The target listens only after clients came: one that waits, one that has said all that it will say, and one that gives up. */
static void late(void)
{
	struct stage s = stage_patient(DEADLINE);
	int waiting = client_of(&s), served, brief, impatient;

	until(portd_count(&s.c).accepted == 1);
	brief = client_of(&s);
	check_int(send(brief, "brief", 5, 0), 5);
	check_int(shutdown(brief, SHUT_WR), 0);
	until(portd_count(&s.c).accepted == 2);
	impatient = client_of(&s);
	until(portd_count(&s.c).accepted == 3);
	check_int(portd_count(&s.c).open, 3);
	reset(impatient);
	until(portd_count(&s.c).open == 2);
	check_int(listen(s.target, 8), 0);
	for (int i = 0; i < 2; i++) {
		char first = 0;

		served = accepted(s.target);
		check_int(send(waiting, "W", 1, MSG_NOSIGNAL), 1); /* the brief one's connection doesn't get it */
		check_int(recv(served, &first, 1, 0), 1);
		if (first == 'b') {
			check_int(send(served, "ok", 2, 0), 2);
			close(served); /* after "rief" was not read: reset */
			check_reset(brief);
			continue;
		}
		check_int(first, 'W');
		pass(served, waiting, "hello");
		close(served);
	}
	check_int(portd_count(&s.c).failed, 0);
	close(waiting);
	close(brief);
	stage_end(&s);
}

/* Bytes that fit between a writer and a reader that does not read, at the most: the sockets' buffers and one of portd's. */
#define HELD_MAX (24 * MIB)

/* Fixed buffers: those that the kernel chooses may grow to any size. */
static void small_buffers(const struct stage *s)
{
	const int size = 256 * 1024;

	check_int(setsockopt(s->ours, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
	check_int(setsockopt(s->target, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
}

/* Kibibytes of data; 0 with the sanitizer, which keeps what was freed. */
static long memory_of(pid_t pid)
{
#ifdef __SANITIZE_ADDRESS__
	return 0 * pid;
#else
	char path[64];
	const char *at;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	at = strstr(content(path), "VmData:");
	check(at != NULL);
	return at ? atol(at + 7) : 0;
#endif
}

static void back_pressure(void)
{
	struct stage s = stage_new();
	struct pair p, other;
	struct way way = {.total = 64 * MIB};
	long memory;

	check_int(portd_count(&s.c).ports, 1);
	memory = memory_of(s.c.pid);
	small_buffers(&s);
	p = pair_new(&s);
	other = pair_new(&s);
	way.from = p.client;
	way.to = p.served;
	fill(&way);
	check(way.sent < HELD_MAX);
	pass(other.client, other.served, "others go on");
	pass(p.served, p.client, "and the other way, too");
	transfer(&way, 1);
	until(memory_of(s.c.pid) < memory + 256); /* an idle connection holds no buffer */
	check_int(portd_count(&s.c).open, 2);
	pass(p.client, p.served, "still there");
	close(p.client);
	close(p.served);
	close(other.client);
	close(other.served);
	stage_end(&s);
}

static void removal(void)
{
	struct stage s = stage_new();
	struct pair p = pair_new(&s), full = pair_new(&s);
	struct way way = {.from = full.client, .to = full.served, .total = 64 * MIB};
	int idle = descriptors_of(s.c.pid, "") - 5; /* two connections, and the listener */

	pass(p.client, p.served, "hello");
	fill(&way);
	check_int(portd_close(&s.c, PORT), 0);
	check_reset(p.client);
	check_reset(p.served);
	check_reset(full.client);
	check_reset(full.served);
	check_int(portd_count(&s.c).ports, 0);
	until(descriptors_of(s.c.pid, "") == idle);
	close(p.client);
	close(p.served);
	close(full.client);
	close(full.served);
	p.client = client_of(&s); /* the supervisor has the listener still: a client waits in its queue … */
	check_int(portd_listen(&s.c, &(struct listen){.target_port = port_of(s.target)}, s.ours), 0);
	p.served = accepted(s.target); /* … until another portd, say, takes it */
	pass(p.client, p.served, "hello");
	close(p.client);
	close(p.served);
	stage_end(&s);
}

#define CROWD 40

/* There are descriptors for three connections: the crowd is served one after the other, and the one that was there goes on. */
static void out_of_descriptors(void)
{
	struct stage s = stage_new();
	struct pair old = pair_new(&s);
	int clients[CROWD], served;

	pass(old.client, old.served, "hello");
	limit_descriptors(s.c.pid, 7);
	for (int i = 0; i < CROWD; i++) {
		clients[i] = client_of(&s);
		check_int(send(clients[i], &(uint8_t){(uint8_t)i}, 1, 0), 1);
	}
	pass(old.client, old.served, "hello again");
	transfer(&(struct way){.from = old.client, .to = old.served, .total = 2 * MIB}, 1);
	for (int i = 0; i < CROWD; i++) {
		uint8_t which = CROWD;

		served = accepted(s.target);
		check_int(recv(served, &which, 1, 0), 1);
		check(which < CROWD && clients[which] >= 0);
		if (which >= CROWD || clients[which] < 0)
			break;
		pass(served, clients[which], "your turn");
		pass(old.served, old.client, "goes on");
		close(clients[which]);
		clients[which] = -1;
		check_end(served);
		close(served);
	}
	for (int i = 0; i < CROWD; i++)
		if (clients[i] >= 0)
			close(clients[i]);
	check_int(portd_count(&s.c).accepted, CROWD + 1);
	check_int(portd_count(&s.c).failed, 0);
	limit_descriptors(s.c.pid, -1); /* the sanitizer needs some at the end */
	close(old.client);
	close(old.served);
	stage_end(&s);
}

#define AT_ONCE 200

static void many(void)
{
	static struct pair pairs[AT_ONCE];
	static struct way ways[2 * AT_ONCE];
	struct stage s = stage_new();

	for (size_t i = 0; i < AT_ONCE; i++) {
		pairs[i] = pair_new(&s);
		ways[2 * i] = (struct way){.from = pairs[i].client, .to = pairs[i].served, .total = 100 * 1024 + i};
		ways[2 * i + 1] = (struct way){.from = pairs[i].served, .to = pairs[i].client, .total = 50 * 1024 + i};
	}
	check_int(portd_count(&s.c).open, AT_ONCE);
	transfer(ways, 2 * AT_ONCE);
	for (size_t i = 0; i < AT_ONCE; i++) {
		close(pairs[i].client);
		check_end(pairs[i].served);
		close(pairs[i].served);
	}
	until(portd_count(&s.c).open == 0);
	stage_end(&s);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	rlkit_ns = argv[1];
	run_test("forwards questions and answers, and counts them", little);
	run_test("forwards much, both ways at once", much);
	run_test("forwards that one side is at its end, while the other goes on", half_closed);
	run_test("forwards all that came before the end", last_words);
	run_test("passes a reset on, both ways", resets);
	run_test("passes a reset on although the other side takes nothing", reset_behind_a_jam);
	run_test("tries a target that refuses again for as long as the port has patience, then resets", refused);
	run_test("connects clients to a target that listens late", late);
	run_test("lets a reader that does not read hold its writer up, and nobody else, and gives its memory back", back_pressure);
	run_test("resets a port's connections when it is removed", removal);
	run_test("serves clients one after the other when descriptors are few", out_of_descriptors);
	run_test("serves hundreds at once", many);
	return finish();
}
