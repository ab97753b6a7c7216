// SPDX-License-Identifier: Apache-2.0
#ifndef LOAD_H
#define LOAD_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/*
 * What the two ends of the port benchmark share: load.c is the client, serve.c the server. Both end with status 1 and a line on
 * stderr at the first error, for a sample with an error in it is none.
 */

/* The size of a datagram, and of the message of a round trip, in bytes. */
#define DATAGRAM_SIZE 1400
#define MESSAGE_SIZE 64

/*
 * What a datagram begins with. A run is one client's stream of datagrams; its number is the time at which it began, so the server
 * knows a new run from stragglers of the last. A question has a number of its own; 0 is none.
 */
struct datagram {
	uint64_t run;
	uint64_t question;
};

/* The server's answer to a question: what has come of that run, and the nanoseconds between the first and the last of it. */
struct report {
	uint64_t run;
	uint64_t question;
	uint64_t received;
	uint64_t span;
};

_Noreturn static inline void fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

/* Nanoseconds of a clock that is the same in every network namespace. */
static inline uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static inline struct sockaddr_in loopback(const char *port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(port)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static inline void set_option(int fd, int level, int name, int value)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)) < 0)
		fail("setsockopt");
}

#endif
