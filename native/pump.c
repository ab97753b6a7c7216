// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/socket.h>

#include "relay.h"

/*
 * Moving bytes. What is little is copied: one recv(2), one send(2). A side that fills the buffer is a bulk transfer, and gets a pipe:
 * splice(2) moves pages, and copies nothing. Whatever can't be sent at once stays in the pipe, or in a block of exactly its size,
 * and nothing more is read until it is gone: so a slow reader slows its writer. An idle connection holds neither.
 */
#define ROUNDS 16 /* then others have their turn */

static uint8_t buffer[65536];

static void count(const struct connection *connection, const struct side *from, size_t bytes)
{
	struct counters *counters = &connection->port->counters;

	*(from->index ? &counters->out : &counters->in) += bytes;
}

/* Sends without waiting. Returns the bytes sent, 0 if there is no room, or -errno. */
static ssize_t send_now(struct side *to, const uint8_t *bytes, size_t length)
{
	ssize_t sent = send(to->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (sent < 0 && errno != EAGAIN)
		return -errno;
	to->writable = sent == (ssize_t)length;
	return sent < 0 ? 0 : sent;
}

/* Sends what an earlier round left. Returns 1 if it is all gone, 0 or -errno. */
static int flush_rest(struct connection *connection, struct side *from, struct side *to)
{
	ssize_t sent = send_now(to, from->rest + from->at, from->length);

	if (sent < 0)
		return (int)sent;
	count(connection, from, (size_t)sent);
	from->at += (uint32_t)sent;
	from->length -= (uint32_t)sent;
	if (from->length)
		return 0;
	free(from->rest);
	from->rest = NULL;
	return 1;
}

static int keep_rest(struct side *from, const uint8_t *bytes, size_t length)
{
	from->rest = malloc(length);
	if (!from->rest)
		return -ENOMEM;
	memcpy(from->rest, bytes, length);
	from->at = 0;
	from->length = (uint32_t)length;
	return 0;
}

/* One round by copying. Returns 1 if something moved, 0 if nothing can, or -errno. */
static int copy(struct connection *connection, struct side *from, struct side *to)
{
	ssize_t got, sent;

	if (!to->writable)
		return 0;
	if (from->rest)
		return flush_rest(connection, from, to);
	if (!from->readable || from->ended)
		return 0;
	got = recv(from->fd, buffer, sizeof(buffer), MSG_DONTWAIT);
	if (got < 0 && errno != EAGAIN)
		return -errno;
	if (got <= 0) {
		from->readable = false;
		from->ended = got == 0;
		return 0;
	}
	from->bulk = got == sizeof(buffer);
	sent = send_now(to, buffer, (size_t)got);
	if (sent < 0)
		return (int)sent;
	count(connection, from, (size_t)sent);
	return sent == got ? 1 : keep_rest(from, buffer + sent, (size_t)(got - sent));
}

/* One round through the pipe. Returns as `copy`. */
static int splice_round(struct connection *connection, struct side *from, struct side *to)
{
	int moved = 0;
	ssize_t got;

	if (from->readable && !from->ended && from->length < from->pipe->size) {
		got = splice(from->fd, NULL, from->pipe->in, NULL, from->pipe->size - from->length, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
		if (got < 0 && errno != EAGAIN)
			return -errno;
		if (got > 0) {
			from->length += (uint32_t)got;
			moved = 1;
		} else if (got == 0) {
			from->ended = true;
		} else if (!from->length) { /* otherwise it may be the pipe that is full: small pieces take a page each */
			from->readable = false;
		}
	}
	if (from->length && to->writable) {
		got = splice(from->pipe->out, NULL, to->fd, NULL, from->length, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
		if (got < 0 && errno != EAGAIN)
			return -errno;
		to->writable = got == (ssize_t)from->length;
		if (got > 0) {
			from->length -= (uint32_t)got;
			count(connection, from, (size_t)got);
			moved = 1;
		}
	}
	return moved;
}

/* All that can be moved from one side to the other now. Returns 0 or -errno. */
static int pump_way(struct connection *connection, struct side *from, struct side *to)
{
	int moved = 1;

	for (int round = 0; moved > 0; round++) {
		if (round == ROUNDS) {
			relay_again(connection);
			return 0;
		}
		if (from->bulk && !from->pipe && !from->rest && from->readable && to->writable)
			from->pipe = pipe_borrow();
		moved = from->pipe ? splice_round(connection, from, to) : copy(connection, from, to);
	}
	if (moved < 0)
		return moved;
	if (from->pipe && !from->length) {
		pipe_return(from->pipe);
		from->pipe = NULL;
	}
	if (from->ended && !from->length && !from->shut) {
		from->shut = true;
		/* ENOTCONN: it has been reset meanwhile, and its own turn to say so comes. */
		if (shutdown(to->fd, SHUT_WR) < 0 && errno != ENOTCONN)
			return -errno;
	}
	return 0;
}

void pump(struct connection *connection)
{
	struct side *client = &connection->sides[0], *target = &connection->sides[1];
	int error = pump_way(connection, client, target);

	if (!error)
		error = pump_way(connection, target, client);
	if (error)
		connection_end(connection, true);
	else if (client->shut && target->shut)
		connection_end(connection, false);
}
