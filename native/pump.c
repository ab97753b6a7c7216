// SPDX-License-Identifier: Apache-2.0
#include <sys/socket.h>

#include "relay.h"

/*
 * Moving bytes: recv(2) into a buffer, send(2) from it. What fills the small buffer, which all share, is a bulk transfer, and gets a
 * large one for as long as it goes on. (splice(2) through a pipe copies nothing, but hands the kernel single pages: with the large
 * segments that the namespace's lo is set to, copying is the faster way.) What can't be sent at once stays in the large buffer, or
 * in a block of exactly its size, and nothing more is read until it is gone: so a slow reader slows its writer. An idle
 * connection holds nothing.
 */
#define SMALL 65536 /* bytes */
#define ROUNDS 16 /* then others have their turn; a large buffer's worth is a turn of its own, */
#define LARGE_ROUNDS 1 /* … or small messages would wait milliseconds for it */

static uint8_t small[SMALL];

static void count(const struct connection *connection, const struct side *from, size_t bytes)
{
	struct counters *counters = &connection->port->counters;

	*(from->index ? &counters->out : &counters->in) += bytes;
}

void side_release(struct side *side)
{
	if (side->large)
		buffer_return(side->bytes);
	else
		free(side->bytes);
	side->bytes = NULL;
	side->large = false;
	side->length = 0;
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
static int flush(struct connection *connection, struct side *from, struct side *to)
{
	ssize_t sent = send_now(to, from->bytes + from->at, from->length);

	if (sent < 0)
		return (int)sent;
	count(connection, from, (size_t)sent);
	from->at += (uint32_t)sent;
	from->length -= (uint32_t)sent;
	if (from->length)
		return 0;
	if (!from->large)
		side_release(from);
	return 1;
}

/* Keeps what could not be sent of `got` bytes that were read. Returns 0 or -ENOMEM. */
static int keep(struct side *from, size_t got, size_t sent)
{
	if (!from->large) {
		from->bytes = malloc(got - sent);
		if (!from->bytes)
			return -ENOMEM;
		memcpy(from->bytes, small + sent, got - sent);
	}
	from->at = from->large ? (uint32_t)sent : 0;
	from->length = (uint32_t)(got - sent);
	return 0;
}

/* One round. Returns 1 if something moved, 0 if nothing can, or -errno. */
static int move(struct connection *connection, struct side *from, struct side *to)
{
	ssize_t got, sent;

	if (!to->writable)
		return 0;
	if (from->length)
		return flush(connection, from, to);
	if (!from->readable || from->ended)
		return 0;
	if (from->bulk && !from->large) {
		from->bytes = buffer_borrow();
		from->large = from->bytes != NULL;
	}
	got = recv(from->fd, from->large ? from->bytes : small, from->large ? BUFFER_SIZE : SMALL, MSG_DONTWAIT);
	if (got < 0 && errno != EAGAIN)
		return -errno;
	if (got <= 0) {
		from->readable = false;
		from->ended = got == 0;
		return 0;
	}
	from->bulk = got >= SMALL;
	sent = send_now(to, from->large ? from->bytes : small, (size_t)got);
	if (sent < 0)
		return (int)sent;
	count(connection, from, (size_t)sent);
	return sent == got ? 1 : keep(from, (size_t)got, (size_t)sent);
}

/* All that can be moved from one side to the other now. Returns 0 or -errno. */
static int pump_way(struct connection *connection, struct side *from, struct side *to)
{
	int moved = 1;

	for (int round = 0; moved > 0; round++) {
		if (round >= (from->large ? LARGE_ROUNDS : ROUNDS)) {
			relay_again(connection);
			return 0;
		}
		moved = move(connection, from, to);
	}
	if (moved < 0)
		return moved;
	if (from->large && !from->length)
		side_release(from);
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
	/* What had come before a reset has been handed on; a side that takes nothing must not keep the rest, and the connection, for ever. */
	if (error || ((client->broken || target->broken) && !connection->has_turn))
		connection_end(connection, true);
	else if (client->shut && target->shut)
		connection_end(connection, false);
}
