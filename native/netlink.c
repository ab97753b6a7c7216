// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "op.h"

/* Interfaces, addresses and routes by rtnetlink(7): one request, one answer; a program like ip(8) may be missing. */

struct request {
	struct nlmsghdr head;
	union {
		struct ifinfomsg link;
		struct ifaddrmsg address;
		struct rtmsg route;
	} body;
	uint8_t attributes[128]; /* a name of 16 bytes, two addresses of 16 and an index at the most */
};

union answer {
	struct nlmsghdr head;
	uint8_t bytes[16 * 1024]; /* RTM_NEWLINK is the longest: about 2 KiB for a device of a namespace of ours */
};

struct address {
	uint8_t family;
	uint8_t length;
	uint8_t bytes[16];
};

/* Starts a request whose body, zeroed, has the given size. */
static struct request request_begin(uint16_t type, uint16_t flags, size_t body)
{
	struct request request = {0};

	request.head.nlmsg_len = (uint32_t)NLMSG_LENGTH(body);
	request.head.nlmsg_type = type;
	request.head.nlmsg_flags = NLM_F_REQUEST | flags;
	return request;
}

static void request_add(struct request *request, uint16_t type, const void *data, size_t length)
{
	size_t at = NLMSG_ALIGN(request->head.nlmsg_len);
	struct rtattr attribute = {.rta_len = (uint16_t)RTA_LENGTH(length), .rta_type = type};

	memcpy((uint8_t *)request + at, &attribute, sizeof(attribute));
	memcpy((uint8_t *)request + at + RTA_LENGTH(0), data, length);
	request->head.nlmsg_len = (uint32_t)(at + RTA_LENGTH(length));
}

static int request_add_name(struct request *request, const char *name)
{
	size_t length = strlen(name);

	if (!length || length >= IFNAMSIZ)
		return -EINVAL;
	request_add(request, IFLA_IFNAME, name, length + 1);
	return 0;
}

/* Sends a request and waits for the kernel's answer, which comes before sendto(2) returns. Returns 0 or -errno. */
static int request_answer(const struct request *request, union answer *answer)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	cleanup_fd int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	ssize_t got;
	int error;

	if (fd < 0)
		return -errno;
	if (sendto(fd, request, request->head.nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		return -errno;
	got = recv(fd, answer, sizeof(*answer), MSG_TRUNC);
	if (got < 0)
		return -errno;
	if ((size_t)got > sizeof(*answer) || (size_t)got < NLMSG_LENGTH(sizeof(struct ifinfomsg)))
		return -EBADMSG;
	if (answer->head.nlmsg_type != NLMSG_ERROR)
		return 0;
	memcpy(&error, NLMSG_DATA(&answer->head), sizeof(error)); /* struct nlmsgerr; 0 is the acknowledgement */
	return error;
}

static int request_run(struct request *request)
{
	union answer answer;

	request->head.nlmsg_flags |= NLM_F_ACK;
	return request_answer(request, &answer);
}

/* An interface's index by its name, or -errno. if_nametoindex(3) would need the ioctl that this file avoids. */
static int interface_index(const char *name)
{
	struct request request = request_begin(RTM_GETLINK, 0, sizeof(struct ifinfomsg));
	struct ifinfomsg found;
	union answer answer;
	int error = request_add_name(&request, name);

	if (!error)
		error = request_answer(&request, &answer);
	if (error)
		return error;
	if (answer.head.nlmsg_type != RTM_NEWLINK)
		return -EBADMSG;
	memcpy(&found, NLMSG_DATA(&answer.head), sizeof(found));
	return found.ifi_index;
}

/* Reads an IPv4 or IPv6 address. Returns 0 or -EINVAL. */
static int address_parse(const char *text, struct address *out)
{
	bool v6 = strchr(text, ':') != NULL;

	out->family = v6 ? AF_INET6 : AF_INET;
	out->length = v6 ? 16 : 4;
	return inet_pton(out->family, text, out->bytes) == 1 ? 0 : -EINVAL;
}

int op_link_up(const union field *f)
{
	struct request request = request_begin(RTM_NEWLINK, 0, sizeof(struct ifinfomsg));
	int error = request_add_name(&request, f[0].s);

	request.body.link.ifi_flags = IFF_UP;
	request.body.link.ifi_change = IFF_UP;
	return error ? error : request_run(&request);
}

int op_link_mtu(const union field *f)
{
	struct request request = request_begin(RTM_NEWLINK, 0, sizeof(struct ifinfomsg));
	uint32_t mtu = (uint32_t)f[1].i;
	int error = request_add_name(&request, f[0].s);

	if (error)
		return error;
	request_add(&request, IFLA_MTU, &mtu, sizeof(mtu));
	return request_run(&request);
}

int op_addr_add(const union field *f)
{
	struct request request = request_begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifaddrmsg));
	struct address address;
	int error = address_parse(f[1].s, &address);
	int index = interface_index(f[0].s);

	if (error || index < 0)
		return error ? error : index;
	if (f[2].i < 0 || f[2].i > address.length * 8)
		return -EINVAL;
	request.body.address = (struct ifaddrmsg){
		.ifa_family = address.family,
		.ifa_prefixlen = (uint8_t)f[2].i,
		/* Duplicate detection would keep the address from use for a second, on a link that has one other end: our own helper. */
		.ifa_flags = address.family == AF_INET6 ? IFA_F_NODAD : 0,
		.ifa_index = (uint32_t)index,
	};
	request_add(&request, IFA_LOCAL, address.bytes, address.length);
	request_add(&request, IFA_ADDRESS, address.bytes, address.length);
	error = request_run(&request);
	return error == -EEXIST ? 0 : error;
}

int op_route_default(const union field *f)
{
	struct request request = request_begin(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct rtmsg));
	struct address gateway;
	int error = address_parse(f[1].s, &gateway);
	int index = interface_index(f[0].s);
	uint32_t out_index = (uint32_t)index;

	if (error || index < 0)
		return error ? error : index;
	request.body.route = (struct rtmsg){
		.rtm_family = gateway.family,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_BOOT,
		.rtm_scope = RT_SCOPE_UNIVERSE,
		.rtm_type = RTN_UNICAST,
	};
	request_add(&request, RTA_GATEWAY, gateway.bytes, gateway.length);
	request_add(&request, RTA_OIF, &out_index, sizeof(out_index));
	error = request_run(&request);
	return error == -EEXIST ? 0 : error;
}

/* How many of the messages ask to be acknowledged. -EINVAL if they are cut off. */
static int count_acks(const struct bytes *messages)
{
	struct nlmsghdr head;
	int acks = 0;

	for (size_t at = 0; at < messages->length; at += NLMSG_ALIGN(head.nlmsg_len)) {
		if (messages->length - at < sizeof(head))
			return -EINVAL;
		memcpy(&head, messages->at + at, sizeof(head));
		if (head.nlmsg_len < sizeof(head) || head.nlmsg_len > messages->length - at)
			return -EINVAL;
		acks += (head.nlmsg_flags & NLM_F_ACK) != 0;
	}
	return acks;
}

/* Takes what one datagram from the kernel answers: adds to *answered; returns the first error in it, or 0. */
static int take_answers(const uint8_t *bytes, size_t length, int *answered)
{
	struct nlmsghdr head;
	int error = 0;

	for (size_t at = 0; length - at >= sizeof(head); at += NLMSG_ALIGN(head.nlmsg_len)) {
		int32_t one;

		memcpy(&head, bytes + at, sizeof(head));
		if (head.nlmsg_len < NLMSG_LENGTH(0) || head.nlmsg_len > length - at)
			return -EBADMSG;
		if (head.nlmsg_type == NLMSG_ERROR && head.nlmsg_len >= NLMSG_LENGTH(sizeof(one))) {
			memcpy(&one, bytes + at + NLMSG_LENGTH(0), sizeof(one));
			++*answered;
			if (!error)
				error = one;
		}
		if (NLMSG_ALIGN(head.nlmsg_len) > length - at)
			break;
	}
	return error;
}

int op_netlink(const union field *f)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	int acks = count_acks(&f[1].b), answered = 0, error = 0;
	cleanup_fd int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, f[0].i);
	union answer answer;

	if (acks < 0)
		return acks;
	if (fd < 0)
		return -errno;
	if (sendto(fd, f[1].b.at, f[1].b.length, 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		return -errno;
	/* All answers are there when sendto(2) returns; a batch that nobody took as one gives fewer than were asked for. */
	while (!error && answered < acks) {
		ssize_t got = recv(fd, &answer, sizeof(answer), MSG_DONTWAIT);

		if (got < 0)
			return errno == EAGAIN ? -EBADMSG : -errno;
		error = take_answers(answer.bytes, (size_t)got, &answered);
	}
	return error;
}
