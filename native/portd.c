// SPDX-License-Identifier: Apache-2.0
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include "init.h"
#include "portd.h"
#include "receive.h"

/*
 * `rlkit-ns portd FD [MILLISECONDS]`: forwards published ports. init started it inside the target's namespaces; the supervisor, at
 * the other end of the socket FD, sends it sockets that are bound in the host's network namespace, and a socket stays in the
 * namespace it was made in: portd accepts there, and connects here. The end of the socket FD ends it. MILLISECONDS is the
 * time after which a silent UDP client is forgotten.
 */
#define UDP_IDLE 90000
#define TRIM_AFTER 1000 /* milliseconds without an event, after which unused buffers are given back */
#define EVENTS 128
#define BUCKETS 1024 /* a power of two */

int64_t now;
int epoll_fd;
uint32_t hold;

static struct port *buckets[BUCKETS];
static uint32_t port_count;

static int control;
static struct received received;
static struct watch control_watch = {.kind = WATCH_CONTROL};
static uint8_t *output; /* for the supervisor, when it has room */
static size_t output_length;
static size_t have; /* bytes in `input` */
static uint8_t input[4096]; /* LISTEN is the longest request: two addresses as text */

int watch_add(int fd, struct watch *watch, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};

	return result_of(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event));
}

static struct port **find(uint32_t number)
{
	struct port **at = &buckets[number & (BUCKETS - 1)];

	while (*at && (*at)->counters.port != number)
		at = &(*at)->next;
	return at;
}

/* What accepted sockets inherit: small messages leave at once, and a client that has vanished is noticed some day. */
static void prepare_listener(int fd)
{
	const int yes = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof(yes));
}

/* Serves a port. The descriptor is the port's, whatever becomes of it. Returns 0 or -errno. */
static int port_listen(const struct listen_request *request, int fd)
{
	struct port **at = find(request->port);
	struct port *port = *at || port_count == RL_PORTS_MAX ? NULL : calloc(1, sizeof(*port));
	int error = *at ? -EEXIST : port_count == RL_PORTS_MAX ? -ENOSPC : port ? 0 : -ENOMEM;

	if (!error)
		error = address_parse_numeric(request->target, request->target_port, &port->target);
	if (!error && *request->stand_in)
		error = address_parse_numeric(request->stand_in, 0, &port->stand_in);
	if (!error) {
		port->watch.kind = request->kind == RL_STREAM ? WATCH_LISTENER : WATCH_DATAGRAMS;
		port->fd = fd;
		port->kind = request->kind;
		port->keep_client = request->flags & RL_KEEP_CLIENT;
		port->patience = request->patience;
		port->counters.port = request->port;
		if (request->kind == RL_DATAGRAM)
			udp_open(port);
		else
			prepare_listener(fd);
		error = watch_add(fd, &port->watch, EPOLLIN);
	}
	if (error) {
		free(port);
		close(fd);
		return error;
	}
	*at = port;
	port_count++;
	return 0;
}

static int port_close(uint32_t number)
{
	struct port **at = find(number);
	struct port *port = *at;

	if (!port)
		return -ENOENT;
	/* Closing is not enough: the supervisor has a duplicate, and epoll goes by what it is a duplicate of. */
	epoll_ctl(epoll_fd, EPOLL_CTL_DEL, port->fd, NULL);
	close(port->fd);
	relay_end(port);
	udp_end(port);
	*at = port->next;
	port_count--;
	free(port);
	return 0;
}

void ports_feed(void)
{
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct port *port = buckets[i]; port; port = port->next) {
			struct epoll_event event = {.events = EPOLLIN, .data.ptr = &port->watch};

			if (port->starved)
				epoll_ctl(epoll_fd, EPOLL_CTL_MOD, port->fd, &event);
			port->starved = false;
		}
}

/* Sends what is queued, as far as there is room; epoll tells when there is more. Returns 0 or -errno. */
static int flush_output(void)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = &control_watch};
	ssize_t sent = output_length ? send(control, output, output_length, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;

	if (sent < 0 && errno != EAGAIN)
		return -errno;
	if (sent > 0) {
		output_length -= (size_t)sent;
		memmove(output, output + sent, output_length);
	}
	if (output_length)
		event.events |= EPOLLOUT;
	return result_of(epoll_ctl(epoll_fd, EPOLL_CTL_MOD, control, &event));
}

/* Queues bytes for the supervisor: it may be waiting for us to read, and then we must not wait for it. Returns where to write them. */
static uint8_t *queue_output(size_t length)
{
	uint8_t *larger = realloc(output, output_length + length);
	uint8_t *at = larger ? larger + output_length : NULL;

	if (!larger)
		return NULL;
	output = larger;
	output_length += length;
	return at;
}

static int reply(uint32_t id, int32_t result)
{
	uint8_t *bytes = queue_output(FRAME_REPLY_SIZE(1));

	if (!bytes)
		return -ENOMEM;
	frame_encode_reply(bytes, id, &result, 1);
	return 0;
}

static int reply_counts(uint32_t id)
{
	uint8_t *bytes = queue_output(PORT_FRAME_COUNTS_HEAD + (size_t)port_count * PORT_FRAME_COUNTS_EACH);

	if (!bytes)
		return -ENOMEM;
	bytes += port_frame_encode_counts(bytes, id, port_count);
	for (size_t i = 0; i < BUCKETS; i++)
		for (const struct port *port = buckets[i]; port; port = port->next)
			bytes += port_frame_encode_counters(bytes, &port->counters);
	return 0;
}

static int handle_listen(struct frame *frame)
{
	struct listen_request request;
	int error = port_frame_decode_listen(&frame->body, &request);
	int fd;

	if (!error)
		error = claim_fds(&received, &fd, 1);
	if (error)
		return error;
	return reply(frame->id, port_listen(&request, fd));
}

static int handle(struct frame *frame)
{
	uint32_t number;
	int error;

	switch (frame->type) {
	case RL_LISTEN:
		return handle_listen(frame);
	case RL_CLOSE:
		error = port_frame_decode_close(&frame->body, &number);
		return error ? error : reply(frame->id, port_close(number));
	case RL_HOLD:
		error = port_frame_decode_hold(&frame->body, &hold);
		return error ? error : reply(frame->id, 0);
	case RL_COUNT:
		error = port_frame_decode_count(&frame->body);
		return error ? error : reply_counts(frame->id);
	default:
		return -EPROTO;
	}
}

/* Reads once and handles every whole frame. Returns 0, or -errno when the supervisor is gone or broken. */
static int read_requests(void)
{
	ssize_t got = receive(control, input + have, sizeof(input) - have, &received);
	size_t used = 0;
	int length;

	if (got < 0)
		return got == -EAGAIN ? 0 : (int)got;
	if (got == 0)
		return -EPIPE;
	have += (size_t)got;
	for (;;) {
		struct frame frame;
		int error;

		length = frame_cut(input + used, have - used, &frame);
		if (length <= 0)
			break;
		used += (size_t)length;
		error = handle(&frame);
		if (error)
			return error;
	}
	have -= used;
	memmove(input, input + used, have);
	if (!have && received.count) /* they came with frames that announced fewer */
		return -EPROTO;
	return length < 0 || have < sizeof(input) ? length : -EPROTO;
}

static void read_clock(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	now = (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* What epoll reports but for the control socket, which may end ports that the same batch speaks of. Returns whether it is there. */
static bool dispatch(struct epoll_event *events, int count)
{
	bool asked = false;

	for (int i = 0; i < count; i++) {
		struct watch *watch = events[i].data.ptr;

		switch (watch->kind) {
		case WATCH_CONTROL:
			asked = true;
			break;
		case WATCH_LISTENER:
			relay_accept((struct port *)watch);
			break;
		case WATCH_DATAGRAMS:
			udp_receive((struct port *)watch);
			break;
		case WATCH_SIDE:
			relay_event(watch, events[i].events);
			break;
		case WATCH_FLOW:
			udp_event(watch);
			break;
		case WATCH_NOTHING:
			break;
		}
	}
	return asked;
}

static int shorter(int a, int b)
{
	return a < 0 ? b : b < 0 || a < b ? a : b;
}

static int serve(int64_t udp_idle)
{
	static struct epoll_event events[EVENTS];
	bool trimmed = true;

	for (;;) {
		int wait = shorter(relay_tick(), udp_tick(udp_idle)), count, error = 0;

		count = epoll_wait(epoll_fd, events, EVENTS, trimmed ? wait : shorter(wait, TRIM_AFTER));
		if (count < 0 && errno != EINTR)
			return -errno;
		read_clock();
		if (count == 0 && wait && !trimmed)
			buffers_trim();
		trimmed = count == 0 && wait; /* with no wait a transfer goes on, whose buffer is still to come back */
		if (dispatch(events, count))
			error = read_requests();
		if (!error && output_length)
			error = flush_output();
		if (error)
			return error;
	}
}

int portd_main(int argc, char **argv)
{
	/* What a terminal sends to its whole process group is for the target. */
	static const int ignored[] = {SIGINT, SIGQUIT, SIGHUP, SIGTSTP, SIGPIPE};
	struct rlimit files;

	if (argc < 1 || argc > 2)
		return 2;
	control = atoi(argv[0]);
	for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
		signal(ignored[i], SIG_IGN);
	/* Two for each connection. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0 || confine() < 0 || watch_add(control, &control_watch, EPOLLIN) < 0)
		return 1;
	read_clock();
	serve(argc == 2 ? atoi(argv[1]) : UDP_IDLE);
	return 0;
}
