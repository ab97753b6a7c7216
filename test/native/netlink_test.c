// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <sched.h>

#include "../../native/op.h"
#include "harness.h"

/* Interfaces, addresses and routes in a network namespace of our own; the kernel's tables say what came of it. */

#define call(name, ...) op_##name((const union field[]){__VA_ARGS__})
#define S(text) {.s = (char *)(text)}
#define I(number) {.i = (number)}

static bool reaches(const char *address)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
	cleanup_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, address, &to.sin_addr);
	return connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0;
}

/* The namespaces, with ourselves as root in them. */
static void isolate(void)
{
	char map[64];
	uid_t uid = geteuid();
	gid_t gid = getegid();

	check_int(call(unshare, I(CLONE_NEWUSER | CLONE_NEWNET)), 0);
	write_text("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u 1", uid);
	write_text("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "0 %u 1", gid);
	write_text("/proc/self/gid_map", map);
	check_int(call(set_ids, I(0), I(0)), 0);
	check_int(getuid() + getgid(), 0);
}

static void loopback(void)
{
	check(!reaches("127.0.0.1"));
	check_int(call(link_up, S("lo")), 0);
	check(reaches("127.0.0.1"));
	check(strstr(content("/proc/net/fib_trie"), "127.0.0.1") != NULL);
	check_int(call(link_up, S("lo")), 0);
	check_int(call(link_mtu, S("lo"), I(1400)), 0);
	check_int(call(link_mtu, S("lo"), I(-1)), -EINVAL);
}

static void missing(void)
{
	check_int(call(link_up, S("none0")), -ENODEV);
	check_int(call(link_mtu, S("none0"), I(1500)), -ENODEV);
	check_int(call(addr_add, S("none0"), S("10.0.2.100"), I(24)), -ENODEV);
	check_int(call(route_default, S("none0"), S("10.0.2.2")), -ENODEV);
}

static void tap(void)
{
	if (access("/dev/net/tun", R_OK | W_OK) < 0) {
		skipped("/dev/net/tun cannot be opened");
		return;
	}
	check(!strstr(content("/proc/net/dev"), "tap0:"));
	check_int(call(tap, S("tap0")), 0);
	check(strstr(content("/proc/net/dev"), "tap0:") != NULL);
	check_int(call(tap, S("tap0")), 0); /* one that exists */
	check_int(call(link_mtu, S("tap0"), I(65520)), 0);
	check_int(call(link_up, S("tap0")), 0);

	check_int(call(addr_add, S("tap0"), S("10.0.2.100"), I(24)), 0);
	check_int(call(addr_add, S("tap0"), S("10.0.2.100"), I(24)), 0);
	/* the connected route: destination 10.0.2.0, mask 255.255.255.0, in the byte order of this table */
	check(strstr(content("/proc/net/route"), "tap0\t0002000A\t00000000\t0001\t0\t0\t0\t00FFFFFF") != NULL);
	check(!reaches("192.0.2.1"));
	check_int(call(route_default, S("tap0"), S("10.0.2.2")), 0);
	check_int(call(route_default, S("tap0"), S("10.0.2.2")), 0);
	check(strstr(content("/proc/net/route"), "tap0\t00000000\t0202000A\t0003\t0\t0\t0\t00000000") != NULL);
	check(reaches("192.0.2.1"));
	check_int(call(route_default, S("tap0"), S("10.9.9.9")), -ENETUNREACH);
}

static void tap_v6(void)
{
	if (access("/dev/net/tun", R_OK | W_OK) < 0 || access("/proc/net/if_inet6", R_OK) < 0) {
		skipped("/dev/net/tun cannot be opened, or there is no IPv6");
		return;
	}
	check_int(call(tap, S("tap6")), 0);
	check_int(call(link_up, S("tap6")), 0);
	check_int(call(addr_add, S("tap6"), S("fd00::64"), I(64)), 0);
	check_int(call(addr_add, S("tap6"), S("fd00::64"), I(64)), 0);
	/* address, index, prefix length 0x40, scope global, flags: permanent 0x80 and no DAD 0x02 */
	check(strstr(content("/proc/net/if_inet6"), "fd000000000000000000000000000064 ") != NULL);
	check(strstr(content("/proc/net/if_inet6"), " 40 00 82     tap6") != NULL);
	check_int(call(route_default, S("tap6"), S("fd00::2")), 0);
	check_int(call(route_default, S("tap6"), S("fd00::2")), 0);
	check(strstr(content("/proc/net/ipv6_route"), "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
						      "fd000000000000000000000000000002") != NULL);
}

/* The mtu through sysfs of this network namespace would need a mount; the route shows what TCP may send. */
static void mtu(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
	cleanup_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int value = 0;
	socklen_t size = sizeof(value);

	inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
	check_int(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	check_int(getsockopt(fd, IPPROTO_IP, 14 /* IP_MTU */, &value, &size), 0);
	check_int(value, 1400);
}

int main(void)
{
	run_test("unshare and set_ids make us root of namespaces of our own", isolate);
	run_test("link_up and link_mtu reach lo", loopback);
	run_test("link_mtu is what the kernel then counts with", mtu);
	run_test("an interface that is not there is -ENODEV", missing);
	run_test("a tap gets its name, address and default route", tap);
	run_test("a tap gets its IPv6 address, usable at once, and default route", tap_v6);
	return finish();
}
