// SPDX-License-Identifier: Apache-2.0
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "relay.h"

/* The way to the target: from the client's own address where that can be kept, and again while the target refuses. */

#define CONNECT_TIMEOUT 10000	/* milliseconds */
#define KEEP_TIMEOUT 1000	/* … from the client's own address: where that is not routed back, nothing answers */
#define RETRY_STEP 5
#define RETRY_MAX 50
#define CONNECT_MARK 0x726c0001 /* src/ports/transparency-rules.ts marks what comes back by it */

/* The target has refused: again in a moment, or no more. */
static void refused(struct connection *connection)
{
	const uint32_t patience = connection->port->patience > hold ? connection->port->patience : hold;
	int64_t delay = RETRY_STEP * (int64_t)connection->attempts;

	if (delay > RETRY_MAX)
		delay = RETRY_MAX;
	if (connection->attempts < UINT8_MAX)
		connection->attempts++;
	if (now - connection->began + delay <= patience) {
		wait_until(connection, now + (delay ? delay : 1));
		return;
	}
	connection->port->counters.failed++;
	connection_end(connection, true);
}

/* Makes a socket appear as the client. Returns 0 or -errno. */
static int keep_client(int fd, const union address *client)
{
	const int yes = 1, mark = CONNECT_MARK;
	bool four = client->any.sa_family == AF_INET;

	if (setsockopt(fd, four ? IPPROTO_IP : IPPROTO_IPV6, four ? IP_TRANSPARENT : IPV6_TRANSPARENT, &yes, sizeof(yes)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) < 0 ||
	    /* One client may have several connections from one port: to other ports of ours, or to one in TIME_WAIT. */
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0)
		return -errno;
	return result_of(bind(fd, &client->any, address_size(client)));
}

static void established(struct connection *connection)
{
	const int yes = 1;

	wait_no_more(connection);
	connection->connecting = false;
	setsockopt(connection->sides[1].fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)); /* the client's: prepare_listener */
	setsockopt(connection->sides[1].fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof(yes));
	connection->sides[1].writable = true;
	connection->sides[0].writable = true;
	connection->sides[0].readable = true; /* it costs one recv to find out, and mostly there is something */
	pump(connection);
}

/*
 * Clients whose attempts from their own address came to nothing: one that inside is the address of a neighbour, say, because
 * the host and the target have the same private network. Each would wait a second each time.
 */
#define HOPELESS 64
#define HOPELESS_FOR 10000 /* milliseconds: a container that has just started loses packets, too */

static struct {
	const struct port *port;
	union address client;
	int64_t until;
} hopeless[HOPELESS];
static size_t hopeless_next;

static void remember_hopeless(const struct port *port, const union address *client)
{
	hopeless[hopeless_next].port = port;
	hopeless[hopeless_next].client = *client;
	hopeless[hopeless_next].until = now + HOPELESS_FOR;
	hopeless_next = (hopeless_next + 1) % HOPELESS;
}

static bool is_hopeless(const struct port *port, const union address *client)
{
	for (size_t i = 0; i < HOPELESS; i++)
		if (hopeless[i].port == port && hopeless[i].until > now && address_same_host(&hopeless[i].client, client))
			return true;
	return false;
}

/* The address could not be kept: from here on without. */
static void give_address_up(struct connection *connection)
{
	connection->keep = false;
	connection->port->counters.plain++;
}

/* Starts a connection to the target. Returns 1 when it is there already, 0 when it is on its way, or -errno. */
static int begin_connect(struct connection *connection, const union address *client)
{
	struct port *port = connection->port;
	struct side *side = &connection->sides[1];
	cleanup_fd int fd = socket(port->target.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int result;

	if (fd < 0)
		return -errno;
	if (connection->keep && keep_client(fd, client) < 0) {
		give_address_up(connection);
		return begin_connect(connection, client);
	}
	if (!connection->keep)
		bind_stand_in(fd, port, client);
	result = result_of(connect(fd, &port->target.any, address_size(&port->target)));
	if (result == -EINPROGRESS) /* on this machine it takes no time: asking again spares a turn of the loop */
		result = result_of(connect(fd, &port->target.any, address_size(&port->target)));
	if (result < 0 && result != -EALREADY)
		return result;
	if (watch_add(fd, &side->watch, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET) < 0)
		return -errno;
	side->fd = fd;
	fd = -1;
	return result == 0;
}

/* Connects inside; whatever comes of it, the connection is in good order afterwards. */
void connect_from(struct connection *connection, const union address *client)
{
	int result;

	if (connection->keep && is_hopeless(connection->port, client))
		give_address_up(connection);
	result = begin_connect(connection, client);
	if (result == -EMFILE || result == -ENFILE || result == -ENOBUFS || result == -ENOMEM) {
		wait_until(connection, now + STARVED_RETRY);
	} else if (result > 0) {
		established(connection);
	} else if (result == 0) {
		connection->connecting = true;
		wait_until(connection, now + (connection->keep ? KEEP_TIMEOUT : CONNECT_TIMEOUT));
	} else if (connection->keep && result != -ECONNREFUSED) {
		give_address_up(connection);
		connect_from(connection, client);
	} else {
		refused(connection);
	}
}

/* The same, once more. */
void connect_target(struct connection *connection)
{
	union address client = {0};
	socklen_t size = sizeof(client);

	wait_no_more(connection);
	if (getpeername(connection->sides[0].fd, &client.any, &size) < 0) {
		connection_end(connection, true); /* gone meanwhile */
		return;
	}
	address_unmap(&client);
	connect_from(connection, &client);
}

/* An attempt that was on its way has come to its end. */
void connect_ended(struct connection *connection, int error)
{
	struct side *side = &connection->sides[1];

	if (!error) {
		established(connection);
		return;
	}
	close(side->fd);
	side->fd = -1;
	connection->connecting = false;
	wait_no_more(connection);
	if (connection->keep && error != ECONNREFUSED) {
		union address client = {0};
		socklen_t size = sizeof(client);

		if (error == ETIMEDOUT && getpeername(connection->sides[0].fd, &client.any, &size) == 0) {
			address_unmap(&client);
			remember_hopeless(connection->port, &client);
		}
		give_address_up(connection);
		connect_target(connection);
	} else if (error == ETIMEDOUT) {
		connection->port->counters.failed++;
		connection_end(connection, true);
	} else {
		refused(connection);
	}
}
