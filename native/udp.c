// SPDX-License-Identifier: Apache-2.0
#include <sys/socket.h>
#include <sys/syscall.h>

#include "portd.h"

/*
 * Datagrams. Each client of a port is a flow, with a connected socket inside: what comes back on it is for that client. A client is
 * its address together with the address of ours that it wrote to, because that is where the answer must come from (a socket
 * for all addresses would leave the choice to the routing table, and the client would not know the sender).
 */
#define BATCH 32
#define DATAGRAM_MAX 65536
#define FLOWS_MAX 8192
#define BUCKETS 4096 /* a power of two */
#define BUFFER (4 * 1024 * 1024) /* asked for each socket; the kernel grants net.core.rmem_max */
#define ROUNDS 8

struct flow {
	struct watch watch;
	int fd;
	struct port *port;
	union address client;
	union address local; /* port 0; the interface in sin6_scope_id */
	int64_t used;
	struct flow *bucket_next;
	struct flow *newer, *older;	    /* by use, all ports' */
	struct flow *port_next, *port_previous;
};

union control {
	struct cmsghdr head;
	uint8_t space[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

static struct flow *buckets[BUCKETS];
static struct flow *newest, *oldest;
static struct flow *over; /* to be freed at the end of the turn, which may have another event for them */
static int flows;

/* Only those pages of it that datagrams ever reached take memory. */
static uint8_t buffers[BATCH][DATAGRAM_MAX];
static struct iovec pieces[BATCH];
static union address senders[BATCH];
static union control controls[BATCH];
static struct mmsghdr messages[BATCH];

static void prepare_batch(bool with_sender)
{
	for (size_t i = 0; i < BATCH; i++) {
		pieces[i] = (struct iovec){.iov_base = buffers[i], .iov_len = DATAGRAM_MAX};
		messages[i].msg_hdr = (struct msghdr){.msg_iov = &pieces[i], .msg_iovlen = 1};
		if (!with_sender)
			continue;
		messages[i].msg_hdr.msg_name = &senders[i];
		messages[i].msg_hdr.msg_namelen = sizeof(senders[i]);
		messages[i].msg_hdr.msg_control = &controls[i];
		messages[i].msg_hdr.msg_controllen = sizeof(controls[i]);
	}
}

static uint32_t hash_bytes(uint32_t hash, const void *bytes, size_t length)
{
	for (const uint8_t *at = bytes; length--; at++)
		hash = (hash ^ *at) * 16777619u; /* FNV-1a */
	return hash;
}

static struct flow **bucket_of(const struct port *port, const union address *client, const union address *local)
{
	uint32_t hash = hash_bytes(2166136261u, &port->counters.port, sizeof(port->counters.port));

	/* Both were zeroed before they were filled in, so that all of their bytes count. */
	hash = hash_bytes(hash, client, sizeof(*client));
	hash = hash_bytes(hash, local, sizeof(*local));
	return &buckets[hash & (BUCKETS - 1)];
}

static void order_remove(struct flow *flow)
{
	*(flow->newer ? &flow->newer->older : &newest) = flow->older;
	*(flow->older ? &flow->older->newer : &oldest) = flow->newer;
}

static void order_newest(struct flow *flow)
{
	flow->used = now;
	flow->newer = NULL;
	flow->older = newest;
	*(newest ? &newest->newer : &oldest) = flow;
	newest = flow;
}

static void touch(struct flow *flow)
{
	order_remove(flow);
	order_newest(flow);
}

static void flow_end(struct flow *flow)
{
	struct flow **at = bucket_of(flow->port, &flow->client, &flow->local);

	while (*at != flow)
		at = &(*at)->bucket_next;
	*at = flow->bucket_next;
	order_remove(flow);
	*(flow->port_previous ? &flow->port_previous->port_next : &flow->port->flows) = flow->port_next;
	if (flow->port_next)
		flow->port_next->port_previous = flow->port_previous;
	flow->port->counters.open--;
	close(flow->fd); /* ours alone: epoll forgets it */
	flows--;
	flow->watch.kind = WATCH_NOTHING;
	flow->bucket_next = over;
	over = flow;
}

bool udp_evict(void)
{
	if (!oldest)
		return false;
	flow_end(oldest);
	return true;
}

static void large_buffers(int fd)
{
	const int size = BUFFER;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

/* A socket inside, connected to the target. Returns the descriptor or -errno. */
static int connect_flow(const struct port *port, const union address *client)
{
	cleanup_fd int fd = socket(port->target.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int connected;

	if (fd < 0)
		return -errno;
	bind_stand_in(fd, port, client);
	large_buffers(fd);
	if (connect(fd, &port->target.any, address_size(&port->target)) < 0)
		return -errno;
	connected = fd;
	fd = -1;
	return connected;
}

static struct flow *flow_new(struct port *port, const union address *client, const union address *local)
{
	struct flow *flow = calloc(1, sizeof(*flow));
	struct flow **bucket = bucket_of(port, client, local);

	if (!flow)
		return NULL;
	if (flows >= FLOWS_MAX)
		udp_evict();
	flow->watch.kind = WATCH_FLOW;
	flow->fd = connect_flow(port, client);
	if (flow->fd == -EMFILE && udp_evict())
		flow->fd = connect_flow(port, client);
	if (flow->fd < 0 || watch_add(flow->fd, &flow->watch, EPOLLIN) < 0) {
		if (flow->fd >= 0)
			close(flow->fd);
		free(flow);
		return NULL;
	}
	flow->port = port;
	flow->client = *client;
	flow->local = *local;
	flow->bucket_next = *bucket;
	*bucket = flow;
	flow->port_next = port->flows;
	if (port->flows)
		port->flows->port_previous = flow;
	port->flows = flow;
	order_newest(flow);
	flows++;
	port->counters.open++;
	port->counters.accepted++;
	return flow;
}

static struct flow *flow_of(struct port *port, const union address *client, const union address *local)
{
	for (struct flow *flow = *bucket_of(port, client, local); flow; flow = flow->bucket_next) {
		if (flow->port != port || !address_equal(&flow->client, client) || !address_equal(&flow->local, local))
			continue;
		touch(flow);
		return flow;
	}
	return flow_new(port, client, local);
}

/* The address of ours that a datagram was sent to. */
static union address local_of(struct msghdr *message)
{
	const struct cmsghdr *part = CMSG_FIRSTHDR(message); /* there is one at the most */
	union address local = {0};

	if (part && part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO) {
		struct in_pktinfo info;

		memcpy(&info, CMSG_DATA(part), sizeof(info));
		local.four.sin_family = AF_INET;
		local.four.sin_addr = info.ipi_spec_dst; /* for a broadcast, too, an address to answer from */
	} else if (part && part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_PKTINFO) {
		struct in6_pktinfo info;

		memcpy(&info, CMSG_DATA(part), sizeof(info));
		local.six.sin6_family = AF_INET6;
		local.six.sin6_addr = info.ipi6_addr;
		if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
			local.six.sin6_scope_id = info.ipi6_ifindex;
	}
	return local;
}

/* Writes the sender's address for an answer. Returns the bytes of control data. */
static socklen_t set_local(union control *control, const union address *local)
{
	memset(control, 0, sizeof(*control));
	if (local->any.sa_family == AF_INET) {
		struct in_pktinfo info = {.ipi_spec_dst = local->four.sin_addr};

		control->head = (struct cmsghdr){
			.cmsg_len = CMSG_LEN(sizeof(info)), .cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO};
		memcpy(CMSG_DATA(&control->head), &info, sizeof(info));
		return CMSG_SPACE(sizeof(info));
	}
	if (local->any.sa_family == AF_INET6) {
		struct in6_pktinfo info = {.ipi6_addr = local->six.sin6_addr, .ipi6_ifindex = local->six.sin6_scope_id};

		control->head = (struct cmsghdr){
			.cmsg_len = CMSG_LEN(sizeof(info)), .cmsg_level = IPPROTO_IPV6, .cmsg_type = IPV6_PKTINFO};
		memcpy(CMSG_DATA(&control->head), &info, sizeof(info));
		return CMSG_SPACE(sizeof(info));
	}
	return 0;
}

/* Sends messages[from…to-1]. What can't be sent is dropped, as UDP does; an error that an earlier one left is not this one's. */
static void send_batch(int fd, struct counters *counters, uint64_t *bytes, int from, int to)
{
	int stale = 1;

	while (from < to) {
		/* musl's own sends them one by one: its structure has other types than the kernel's, which are the same when zeroed. */
		int sent = (int)syscall(SYS_sendmmsg, fd, messages + from, to - from, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0 && errno == ECONNREFUSED && stale--)
			continue;
		if (sent < 0) {
			counters->failed += (uint64_t)(to - from);
			return;
		}
		for (int i = from; i < from + sent; i++)
			*bytes += messages[i].msg_len;
		from += sent;
	}
}

/* Hands on the datagrams of one client that follow each other. Returns the index of the first that is another's. */
static int forward_run(struct port *port, int from, int count)
{
	union address local = local_of(&messages[from].msg_hdr), client = senders[from];
	struct flow *flow = flow_of(port, &client, &local);
	int to = from;

	for (; to < count; to++) {
		struct msghdr *message = &messages[to].msg_hdr;

		if (to > from) {
			union address other = local_of(message);

			if (!address_equal(&senders[to], &client) || !address_equal(&other, &local))
				break;
		}
		pieces[to].iov_len = messages[to].msg_len;
	}
	for (int i = from; i < to; i++)
		messages[i].msg_hdr = (struct msghdr){.msg_iov = &pieces[i], .msg_iovlen = 1};
	if (flow)
		send_batch(flow->fd, &port->counters, &port->counters.in, from, to);
	else
		port->counters.failed += (uint64_t)(to - from);
	return to;
}

void udp_receive(struct port *port)
{
	for (int round = 0; round < ROUNDS; round++) {
		int count;

		memset(senders, 0, sizeof(senders));
		prepare_batch(true);
		count = recvmmsg(port->fd, messages, BATCH, MSG_DONTWAIT, NULL);
		if (count <= 0)
			return;
		for (int at = 0; at < count;)
			at = forward_run(port, at, count);
		if (count < BATCH)
			return;
	}
}

void udp_event(struct watch *watch)
{
	struct flow *flow = (struct flow *)watch;

	for (int round = 0; round < ROUNDS; round++) {
		socklen_t control;
		int count;

		prepare_batch(false);
		count = recvmmsg(flow->fd, messages, BATCH, MSG_DONTWAIT, NULL);
		if (count <= 0)
			return; /* ECONNREFUSED above all: nobody listens inside, and the client will notice by itself */
		touch(flow);
		control = set_local(&controls[0], &flow->local);
		for (int i = 0; i < count; i++) {
			pieces[i].iov_len = messages[i].msg_len;
			messages[i].msg_hdr.msg_name = &flow->client;
			messages[i].msg_hdr.msg_namelen = address_size(&flow->client);
			messages[i].msg_hdr.msg_control = control ? &controls[0] : NULL;
			messages[i].msg_hdr.msg_controllen = control;
		}
		send_batch(flow->port->fd, &flow->port->counters, &flow->port->counters.out, 0, count);
		if (count < BATCH)
			return;
	}
}

void udp_open(struct port *port)
{
	const int yes = 1;

	large_buffers(port->fd);
	/* On an IPv6 socket the second one is refused, or on an IPv4 socket the first: either is enough. */
	setsockopt(port->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &yes, sizeof(yes));
	setsockopt(port->fd, IPPROTO_IP, IP_PKTINFO, &yes, sizeof(yes));
}

int udp_tick(int64_t idle)
{
	while (oldest && oldest->used + idle <= now)
		flow_end(oldest);
	while (over) {
		struct flow *flow = over;

		over = flow->bucket_next;
		free(flow);
	}
	return oldest ? (int)(oldest->used + idle - now) : -1;
}

void udp_end(struct port *port)
{
	while (port->flows)
		flow_end(port->flows);
}
