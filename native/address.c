// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>

#include "portd.h"

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

int address_parse_numeric(const char *text, uint16_t port, union address *out)
{
	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, text, &out->four.sin_addr) == 1) {
		out->four.sin_family = AF_INET;
		out->four.sin_port = htons(port);
		return 0;
	}
	if (inet_pton(AF_INET6, text, &out->six.sin6_addr) != 1)
		return -EINVAL;
	out->six.sin6_family = AF_INET6;
	out->six.sin6_port = htons(port);
	return 0;
}

socklen_t address_size(const union address *address)
{
	return address->any.sa_family == AF_INET ? sizeof(address->four) : sizeof(address->six);
}

void address_unmap(union address *address)
{
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = address->six.sin6_port};

	if (address->any.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&address->six.sin6_addr))
		return;
	memcpy(&four.sin_addr, &address->six.sin6_addr.s6_addr[12], 4);
	memset(address, 0, sizeof(*address));
	address->four = four;
}

bool address_is_loopback(const union address *address)
{
	if (address->any.sa_family == AF_INET)
		return ntohl(address->four.sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&address->six.sin6_addr);
}

bool address_is_link_local(const union address *address)
{
	return address->any.sa_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&address->six.sin6_addr);
}

bool address_same_host(const union address *a, const union address *b)
{
	if (a->any.sa_family != b->any.sa_family)
		return false;
	if (a->any.sa_family == AF_INET)
		return a->four.sin_addr.s_addr == b->four.sin_addr.s_addr;
	return a->six.sin6_scope_id == b->six.sin6_scope_id && IN6_ARE_ADDR_EQUAL(&a->six.sin6_addr, &b->six.sin6_addr);
}

bool address_equal(const union address *a, const union address *b)
{
	return address_same_host(a, b) && a->four.sin_port == b->four.sin_port; /* which lies at the same place in both */
}

void bind_stand_in(int fd, const struct port *port, const union address *client)
{
	const int yes = 1;

	union address plain = *client;

	address_unmap(&plain);
	if (port->stand_in.any.sa_family != port->target.any.sa_family || address_is_loopback(&plain))
		return;
	/* The port is chosen by connect(2), where the same one can serve different targets; without it 28,000 would be the end. */
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof(yes));
	if (bind(fd, &port->stand_in.any, address_size(&port->stand_in)) < 0)
		return; /* the interface is gone: better a client by the kernel's choice of address than none */
}
