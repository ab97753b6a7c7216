// SPDX-License-Identifier: Apache-2.0
#include <sys/epoll.h>

#include "load.h"

/*
 * `serve PORT`: the server of the port benchmark, on 127.0.0.1. Over TCP it echoes, and closes when the client does. Datagrams it
 * counts, and tells the count when it is asked.
 */

#define BATCH 64

static int listen_on(int type, const char *port)
{
	struct sockaddr_in address = loopback(port);
	int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		fail("socket");
	if (type == SOCK_STREAM)
		set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	else
		set_option(fd, SOL_SOCKET, SO_RCVBUF, 4 << 20); /* the kernel takes less where less is allowed */
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		fail("bind");
	if (type == SOCK_STREAM && listen(fd, 4096) < 0)
		fail("listen");
	return fd;
}

static void watch(int epoll, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		fail("epoll_ctl");
}

/* One read's worth. Whatever goes wrong with a connection ends that connection only: the client sees it. */
static void echo(int fd)
{
	char bytes[4096];
	ssize_t length = read(fd, bytes, sizeof(bytes));

	if (length < 0 && errno == EAGAIN)
		return;
	if (length <= 0 || write(fd, bytes, (size_t)length) != length)
		close(fd);
}

static void accept_all(int epoll, int listener)
{
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && errno == ECONNABORTED)
			continue;
		if (fd < 0 && errno == EAGAIN)
			return;
		if (fd < 0)
			fail("accept");
		set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
		watch(epoll, fd);
		echo(fd); /* often its first bytes are here already */
	}
}

/* Counts a datagram, or answers it. A run that began later than the one that is counted replaces it. */
static void take(int fd, struct report *report, const struct datagram *datagram, struct msghdr *from)
{
	static uint64_t first;
	uint64_t time = now();

	if (datagram->question) {
		struct report answer = *report;

		if (report->run != datagram->run)
			answer = (struct report){.run = datagram->run};
		answer.question = datagram->question;
		sendto(fd, &answer, sizeof(answer), 0, from->msg_name, from->msg_namelen); /* lost ones are asked for again */
		return;
	}
	if (datagram->run > report->run) {
		*report = (struct report){.run = datagram->run};
		first = time;
	}
	if (datagram->run != report->run)
		return;
	report->received++;
	report->span = time - first;
}

static void receive_all(int fd)
{
	static char bytes[BATCH][DATAGRAM_SIZE];
	static struct report report;
	struct mmsghdr messages[BATCH];
	struct iovec vectors[BATCH];
	struct sockaddr_in from[BATCH];
	int count;

	for (int i = 0; i < BATCH; i++) {
		vectors[i] = (struct iovec){.iov_base = bytes[i], .iov_len = DATAGRAM_SIZE};
		messages[i].msg_hdr = (struct msghdr){
			.msg_iov = &vectors[i], .msg_iovlen = 1, .msg_name = &from[i], .msg_namelen = sizeof(from[i])};
	}
	count = recvmmsg(fd, messages, BATCH, 0, NULL);
	for (int i = 0; i < count; i++) {
		struct datagram datagram;

		if (messages[i].msg_len < sizeof(datagram))
			continue;
		memcpy(&datagram, bytes[i], sizeof(datagram));
		take(fd, &report, &datagram, &messages[i].msg_hdr);
	}
}

int main(int argc, char **argv)
{
	struct epoll_event events[BATCH];
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	int stream, datagrams;

	if (argc != 2 || epoll < 0)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	stream = listen_on(SOCK_STREAM, argv[1]);
	datagrams = listen_on(SOCK_DGRAM, argv[1]);
	watch(epoll, stream);
	watch(epoll, datagrams);
	for (;;) {
		int count = epoll_wait(epoll, events, BATCH, -1);

		for (int i = 0; i < count; i++) {
			if (events[i].data.fd == stream)
				accept_all(epoll, stream);
			else if (events[i].data.fd == datagrams)
				receive_all(datagrams);
			else
				echo(events[i].data.fd);
		}
	}
}
