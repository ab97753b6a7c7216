// SPDX-License-Identifier: Apache-2.0
#ifndef RLKIT_PORTD_H
#define RLKIT_PORTD_H

#include <netinet/in.h>
#include <sys/epoll.h>

#include "port_frame.h"

/*
 * The parts of portd: portd.c has the control socket, the ports and the loop; relay.c the connections, connect.c their way to the
 * target, pump.c their bytes, buffers.c what these need for a moment; udp.c the datagrams; confine.c gives up what none of
 * them needs. One thread, no locks.
 */

union address {
	struct sockaddr any;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
};

/* What epoll reports: the first member of each structure that it watches. */
struct watch {
	enum { WATCH_CONTROL, WATCH_LISTENER, WATCH_DATAGRAMS, WATCH_SIDE, WATCH_FLOW, WATCH_NOTHING } kind;
};

struct connection;
struct flow;

struct port {
	struct watch watch;
	int fd;
	uint8_t kind;
	bool keep_client;
	bool starved; /* not watched, until there are descriptors again */
	uint32_t patience;
	union address target;
	union address stand_in; /* family AF_UNSPEC: none */
	struct counters counters;
	struct connection *connections;
	struct flow *flows;
	struct port *next; /* in its bucket */
};

/* Milliseconds of a clock that never jumps; read once in each turn of the loop. */
extern int64_t now;
extern int epoll_fd;

/* The least patience that any port has for now; milliseconds. */
extern uint32_t hold;

/* Adds a descriptor to epoll, edge-triggered or not. Returns 0 or -errno. */
int watch_add(int fd, struct watch *watch, uint32_t events);

/* Watches again the listeners that had no descriptors for their clients. */
void ports_feed(void);

/* --- addresses (address.c) --- */

/* Reads a numeric address. Returns 0 or -EINVAL. */
int address_parse_numeric(const char *text, uint16_t port, union address *out);

/* IPv4 in IPv6's clothes (::ffff:192.0.2.1) becomes IPv4. */
void address_unmap(union address *address);
bool address_is_loopback(const union address *address);
bool address_is_link_local(const union address *address);
bool address_same_host(const union address *a, const union address *b);
bool address_equal(const union address *a, const union address *b);
socklen_t address_size(const union address *address);

/* Binds a socket to the address that stands for a client which is not to appear as 127.0.0.1; does nothing where there is none. */
void bind_stand_in(int fd, const struct port *port, const union address *client);

/* --- relay.c --- */

/* Takes what has come to a stream port's listener. */
void relay_accept(struct port *port);

/* Handles what epoll says of a connection's side. */
void relay_event(struct watch *watch, uint32_t events);

/* Carries on with what is due: connections to try again, transfers that had to let others go first, ports without descriptors.
 * Returns the milliseconds until it wants to be called again, -1 for never. */
int relay_tick(void);

/* Resets all connections of a port. */
void relay_end(struct port *port);

/* --- udp.c --- */

void udp_open(struct port *port);
void udp_receive(struct port *port);
void udp_event(struct watch *watch);

/* Ends flows that have been idle for `idle` milliseconds. Returns the milliseconds until the next one is due, -1 for never. */
int udp_tick(int64_t idle);
void udp_end(struct port *port);

/* Ends the flow that has been idle longest, for its descriptor. Returns false if there is none. */
bool udp_evict(void);

/* --- buffers.c --- */

#define BUFFER_SIZE (768 * 1024) /* bytes: less wakes both sides more often, more leaves the processor's cache */

/* A buffer of that size, or NULL when there is none to be had. */
uint8_t *buffer_borrow(void);
void buffer_return(uint8_t *buffer);

/* Gives back the memory of those that nobody borrows. */
void buffers_trim(void);

/* --- confine.c --- */

/* Gives up every privilege but those that keeping clients' addresses takes. Returns 0 or -errno. */
int confine(void);

/* Gives up all capabilities but those in `keep`, a mask of the first 32, and whatever execve(2) could give. Returns 0 or -errno. */
int drop_privileges(uint32_t keep);

#endif
