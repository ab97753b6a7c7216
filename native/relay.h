// SPDX-License-Identifier: Apache-2.0
#ifndef RLKIT_RELAY_H
#define RLKIT_RELAY_H

#include "portd.h"

/* A connection of a client (side 0, accepted) with the target (side 1, connected by us). */

/* One side, and the way of the bytes that come from it. */
struct side {
	struct watch watch;
	uint8_t index;
	bool readable : 1; /* there may be something to read; only EAGAIN says that there is nothing */
	bool writable : 1;
	bool ended : 1;	 /* the peer has sent its last byte */
	bool shut : 1;	 /* … and the other side has been told */
	bool broken : 1; /* it was reset */
	bool bulk : 1;	 /* it comes in such amounts that a large buffer pays */
	bool large : 1;	 /* `bytes` is a borrowed one, and not a block of its own */
	int fd;		 /* -1: not connected */
	uint8_t *bytes;	 /* what is on its way to the other side, from `at` on */
	uint32_t at;
	uint32_t length;
};

struct connection {
	struct side sides[2];
	struct port *port;
	struct connection *next, *previous; /* of the port */
	struct connection *waiting_next, *waiting_previous;
	struct connection *turn;	    /* the next one to go on in the next turn, or to be freed */
	int64_t began;
	int64_t due; /* when to try again, or to give the attempt up; 0: neither */
	uint8_t attempts;
	bool connecting;
	bool keep;	/* the client's address is to be kept */
	bool has_turn;	/* it is in the list of the next turn */
	bool over;
};

/* --- relay.c --- */

#define STARVED_RETRY 200 /* milliseconds after which descriptors are asked for again */

/* Has something done with a connection at a time of `now`'s clock; or not any more. */
void wait_until(struct connection *connection, int64_t due);
void wait_no_more(struct connection *connection);

/* Has a connection go on in the next turn, when the others have had theirs. */
void relay_again(struct connection *connection);

/* Ends a connection; `reset` tells both sides that something was lost. The memory stays until the end of the turn. */
void connection_end(struct connection *connection, bool reset);

/* --- connect.c --- */

/* Connects to the target for a client with that address; whatever comes of it, the connection is in good order afterwards. */
void connect_from(struct connection *connection, const union address *client);

/* The same, once more. */
void connect_target(struct connection *connection);

/* An attempt that was on its way has come to its end: `error` is an errno, or 0. */
void connect_ended(struct connection *connection, int error);

/* --- pump.c --- */

/* Moves what can be moved, both ways. Ends the connection when nothing more will come, or when a side is broken. */
void pump(struct connection *connection);

/* Lets go of what a side holds. */
void side_release(struct side *side);

#endif
