// SPDX-License-Identifier: Apache-2.0
#include <sys/socket.h>

#include "relay.h"

/* Connections: accepted from a listener of the host, watched, and ended. */

#define ACCEPT_MAX 64		/* for each turn of a listener */

static struct connection *waiting; /* with something due */
static struct connection *turns;   /* to go on in the next turn */
static struct connection *over;	   /* to be freed at the end of this one */
static int64_t next_due;
static struct port *starving; /* any port that is */
static bool descriptors_free;

void wait_until(struct connection *connection, int64_t due)
{
	if (!connection->due) {
		connection->waiting_previous = NULL;
		connection->waiting_next = waiting;
		if (waiting)
			waiting->waiting_previous = connection;
		waiting = connection;
	}
	connection->due = due;
	if (!next_due || due < next_due)
		next_due = due;
}

void wait_no_more(struct connection *connection)
{
	if (!connection->due)
		return;
	connection->due = 0;
	if (connection->waiting_previous)
		connection->waiting_previous->waiting_next = connection->waiting_next;
	else
		waiting = connection->waiting_next;
	if (connection->waiting_next)
		connection->waiting_next->waiting_previous = connection->waiting_previous;
}

void relay_again(struct connection *connection)
{
	if (connection->has_turn)
		return;
	connection->has_turn = true;
	connection->turn = turns;
	turns = connection;
}

static void side_end(struct side *side, bool reset)
{
	const struct linger now_or_never = {.l_onoff = 1};

	if (side->fd >= 0) {
		if (reset)
			setsockopt(side->fd, SOL_SOCKET, SO_LINGER, &now_or_never, sizeof(now_or_never));
		close(side->fd);
	}
	side->fd = -1;
	side_release(side);
}

void connection_end(struct connection *connection, bool reset)
{
	struct port *port = connection->port;

	if (connection->over)
		return;
	connection->over = true;
	wait_no_more(connection);
	side_end(&connection->sides[0], reset);
	side_end(&connection->sides[1], reset);
	if (connection->previous)
		connection->previous->next = connection->next;
	else
		port->connections = connection->next;
	if (connection->next)
		connection->next->previous = connection->previous;
	port->counters.open--;
	descriptors_free = true;
	/* Not now: this turn may have another event for it. One that has a turn is freed when that comes. */
	if (connection->has_turn)
		return;
	connection->turn = over;
	over = connection;
}

static struct connection *connection_new(struct port *port, int fd, const union address *client)
{
	struct connection *connection = calloc(1, sizeof(*connection));

	if (!connection)
		return NULL;
	for (uint8_t i = 0; i < 2; i++) {
		connection->sides[i].watch.kind = WATCH_SIDE;
		connection->sides[i].index = i;
		connection->sides[i].fd = -1;
	}
	connection->sides[0].fd = fd;
	connection->port = port;
	connection->began = now;
	connection->keep = port->keep_client && client->any.sa_family == port->target.any.sa_family &&
			   !address_is_loopback(client) && !address_is_link_local(client);
	connection->next = port->connections;
	if (port->connections)
		port->connections->previous = connection;
	port->connections = connection;
	port->counters.open++;
	port->counters.accepted++;
	return connection;
}

/* Stops watching a listener until there are descriptors again: it would report the same clients for ever. */
static void starve(struct port *port)
{
	struct epoll_event nothing = {.data.ptr = &port->watch};

	if (!port->starved)
		epoll_ctl(epoll_fd, EPOLL_CTL_MOD, port->fd, &nothing);
	port->starved = true;
	starving = port;
}

void relay_accept(struct port *port)
{
	for (int i = 0; i < ACCEPT_MAX; i++) {
		union address client = {0};
		socklen_t size = sizeof(client);
		struct connection *connection;
		int fd = accept4(port->fd, &client.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
				starve(port);
			if (errno == ECONNABORTED || errno == EINTR)
				continue;
			return;
		}
		address_unmap(&client);
		connection = connection_new(port, fd, &client);
		if (!connection) {
			close(fd);
			starve(port);
			return;
		}
		if (watch_add(fd, &connection->sides[0].watch, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET) < 0)
			connection_end(connection, true);
		else
			connect_from(connection, &client);
	}
}

static int socket_error(int fd)
{
	int error = 0;
	socklen_t size = sizeof(error);

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? errno : error;
}

void relay_event(struct watch *watch, uint32_t events)
{
	struct side *side = (struct side *)watch;
	struct connection *connection = (struct connection *)(side - side->index);

	if (connection->over || side->fd < 0)
		return;
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		side->readable = true;
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		side->writable = true;
	if (events & EPOLLERR)
		side->broken = true;
	if (connection->sides[1].fd >= 0 && !connection->connecting) {
		pump(connection);
	} else if (side->index == 1 && events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) {
		connect_ended(connection, socket_error(side->fd));
	} else if (side->index == 0 && events & (EPOLLHUP | EPOLLERR)) {
		connection_end(connection, true); /* the client did not wait for the target */
	}
}

/* Goes through what waits, and does what is due. */
static void do_due(void)
{
	struct connection *next;

	if (!next_due || now < next_due)
		return;
	next_due = 0;
	for (struct connection *connection = waiting; connection; connection = next) {
		next = connection->waiting_next;
		if (connection->due > now) {
			if (!next_due || connection->due < next_due)
				next_due = connection->due;
		} else if (connection->connecting) {
			connect_ended(connection, ETIMEDOUT);
		} else {
			connect_target(connection);
		}
	}
}

/* Lets those go on that had let others go first. */
static void do_turns(void)
{
	struct connection *list = turns;

	turns = NULL;
	while (list) {
		struct connection *connection = list;

		list = connection->turn;
		connection->has_turn = false;
		if (!connection->over) {
			pump(connection);
			continue;
		}
		connection->turn = over;
		over = connection;
	}
}

static void free_over(void)
{
	while (over) {
		struct connection *connection = over;

		over = connection->turn;
		free(connection);
	}
}

int relay_tick(void)
{
	static int64_t fed;

	do_turns();
	do_due();
	free_over();
	if (starving && (descriptors_free || now - fed >= STARVED_RETRY)) {
		starving = NULL;
		fed = now;
		ports_feed();
	}
	descriptors_free = false;
	if (turns)
		return 0;
	if (!next_due)
		return starving ? STARVED_RETRY : -1;
	return next_due <= now ? 0 : starving && next_due - now > STARVED_RETRY ? STARVED_RETRY : (int)(next_due - now);
}

void relay_end(struct port *port)
{
	while (port->connections)
		connection_end(port->connections, true);
}
