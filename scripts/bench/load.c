// SPDX-License-Identifier: Apache-2.0
#include <sys/un.h>

#include "load.h"

/*
 * The clients of the port benchmark, against serve.c behind 127.0.0.1:PORT. Each prints one line of JSON.
 *   load short PORT SECONDS           connections one after the other: connect, a byte each way, close
 *   load trip PORT SECONDS PAUSE      round trips of 64 bytes on one connection, PAUSE seconds (under 1) apart: their mean
 *   load hold PORT COUNT              opens connections, prints, and keeps them until its stdin ends
 *   load datagrams PORT SECONDS RATE  datagrams of 1,400 bytes, RATE of them a second; 0: as fast as it can
 *   load publish SOCKET PORT COUNT    ports from PORT on, a request each, over one connection to a launcher's API
 */

/* A read or write that takes longer has failed: nothing of a benchmark may hang. */
#define PATIENCE 10

static int open_socket(int type, const char *port)
{
	struct sockaddr_in address = loopback(port);
	struct timeval patience = {.tv_sec = PATIENCE};
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		fail("socket");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
		fail("setsockopt");
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		fail("connect");
	return fd;
}

/* Sends `length` bytes and waits until as many have come back. Returns false at the end of the connection or an error. */
static int exchange(int fd, char *bytes, size_t length)
{
	size_t got = 0;

	if (write(fd, bytes, length) != (ssize_t)length)
		return 0;
	while (got < length) {
		ssize_t part = read(fd, bytes + got, length - got);

		if (part == 0)
			errno = ECONNRESET;
		if (part <= 0)
			return 0;
		got += (size_t)part;
	}
	return 1;
}

static uint64_t nanoseconds(const char *seconds)
{
	return (uint64_t)(atof(seconds) * 1e9);
}

/* At least one connection, also in no time at all. */
static void short_connections(const char *port, uint64_t duration)
{
	uint64_t began = now(), time, count = 0;
	char byte = 'x';

	do {
		int fd = open_socket(SOCK_STREAM, port);

		if (!exchange(fd, &byte, 1))
			fail("short connection");
		close(fd);
		count++;
		time = now() - began;
	} while (time < duration);
	printf("{\"perSecond\": %f}\n", (double)count * 1e9 / (double)time);
}

/* The pauses are not counted. At least one trip, also in no time at all. */
static void round_trips(const char *port, uint64_t duration, const char *pause)
{
	struct timespec apart = {.tv_nsec = (long)nanoseconds(pause)};
	char message[MESSAGE_SIZE] = "ping";
	int fd = open_socket(SOCK_STREAM, port);
	uint64_t began = now(), before, after, travelled = 0, count = 0;

	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	do {
		before = now();
		if (!exchange(fd, message, sizeof(message)))
			fail("round trip");
		after = now();
		travelled += after - before;
		count++;
		if (apart.tv_nsec > 0)
			nanosleep(&apart, NULL);
	} while (after - began < duration);
	printf("{\"microseconds\": %f}\n", (double)travelled / 1e3 / (double)count);
}

/* Every connection has carried a byte each way before the next is opened. Prints how many it has got. */
static void hold(const char *port, long wanted)
{
	long held = 0;
	char byte = 'x';

	while (held < wanted && exchange(open_socket(SOCK_STREAM, port), &byte, 1))
		held++;
	printf("{\"held\": %ld}\n", held);
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
}

/* A datagram that finds no room on the way is sent, and lost: what send() says is of no interest. */
static uint64_t send_for(int fd, uint64_t run, uint64_t duration, double rate)
{
	char bytes[DATAGRAM_SIZE] = {0};
	struct datagram datagram = {.run = run};
	struct timespec tick = {.tv_nsec = 100000};
	uint64_t sent = 0, time;

	memcpy(bytes, &datagram, sizeof(datagram));
	while ((time = now() - run) < duration) {
		uint64_t due = rate > 0 ? (uint64_t)((double)time * rate / 1e9) : sent + 1;

		for (; sent < due; sent++)
			send(fd, bytes, sizeof(bytes), 0);
		if (rate > 0)
			nanosleep(&tick, NULL);
	}
	return sent;
}

/* Asks until an answer comes, but not for ever. */
static struct report ask(int fd, uint64_t run)
{
	static struct datagram question;
	struct timeval patience = {.tv_usec = 200000};
	struct report report;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
		fail("setsockopt");
	question.run = run;
	question.question++;
	for (int tries = 0; tries < 25; tries++) {
		send(fd, &question, sizeof(question), 0);
		while (recv(fd, &report, sizeof(report), 0) == (ssize_t)sizeof(report))
			if (report.run == run && report.question == question.question)
				return report;
	}
	fail("report");
}

/* The count is final when it is the same again a while later: until then datagrams are still on their way. */
static void datagrams(const char *port, uint64_t duration, double rate)
{
	int fd = open_socket(SOCK_DGRAM, port);
	struct timespec a_while = {.tv_nsec = 50000000};
	struct report report = {0}, last;
	uint64_t run = now(), sent = send_for(fd, run, duration, rate), took = now() - run;

	do {
		last = report;
		nanosleep(&a_while, NULL);
		report = ask(fd, run);
	} while (report.received != last.received);
	if (report.span > took)
		took = report.span;
	printf("{\"sent\": %lu, \"received\": %lu, \"seconds\": %f}\n", sent, report.received, (double)took / 1e9);
}

/* Writes a request and reads until the answer is whole: both launchers say how long it is. Returns its status. */
static int post(int fd, const char *path, const char *body)
{
	char text[4096], *end, *length;
	int size = snprintf(text, sizeof(text), "POST %s HTTP/1.1\r\nHost: rootlesskit\r\nContent-Type: application/json\r\n"
			    "Content-Length: %zu\r\n\r\n%s", path, strlen(body), body);
	size_t got = 0;

	if (write(fd, text, (size_t)size) != size)
		fail("request");
	for (;;) {
		ssize_t part = read(fd, text + got, sizeof(text) - 1 - got);

		if (part <= 0)
			fail("answer");
		got += (size_t)part;
		text[got] = '\0';
		end = strstr(text, "\r\n\r\n");
		length = strcasestr(text, "content-length:");
		if (end && length && got >= (size_t)(end + 4 - text) + strtoul(length + 15, NULL, 10))
			return atoi(text + strlen("HTTP/1.1 "));
	}
}

static void publish(const char *path, int first, int count)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint64_t began = now();
	char body[200];

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		fail(path);
	for (int port = first; port < first + count; port++) {
		snprintf(body, sizeof(body), "{\"proto\":\"tcp\",\"parentIP\":\"127.0.0.1\",\"parentPort\":%d,\"childPort\":%d}",
			 port, port);
		if (post(fd, "/v1/ports", body) != 201)
			fail("a port was not published");
	}
	printf("{\"milliseconds\": %f}\n", (double)(now() - began) / 1e6);
}

int main(int argc, char **argv)
{
	const char *what = argc > 3 ? argv[1] : "";

	signal(SIGPIPE, SIG_IGN);
	if (strcmp(what, "short") == 0)
		short_connections(argv[2], nanoseconds(argv[3]));
	else if (strcmp(what, "trip") == 0 && argc > 4)
		round_trips(argv[2], nanoseconds(argv[3]), argv[4]);
	else if (strcmp(what, "hold") == 0)
		hold(argv[2], atol(argv[3]));
	else if (strcmp(what, "datagrams") == 0 && argc > 4)
		datagrams(argv[2], nanoseconds(argv[3]), atof(argv[4]));
	else if (strcmp(what, "publish") == 0 && argc > 4)
		publish(argv[2], atoi(argv[3]), atoi(argv[4]));
	else
		return 2;
	return 0;
}
