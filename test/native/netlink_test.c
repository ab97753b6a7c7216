// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <sys/socket.h>

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

/* Messages for op netlink, back to back. */
struct batch {
	size_t length;
	uint8_t bytes[64 * 1024];
};

/* Appends a message whose body is followed by one attribute. */
static void add(struct batch *batch, int type, int flags, const void *body, size_t size, int attribute, const void *data, size_t length)
{
	struct nlmsghdr head = {.nlmsg_type = (uint16_t)type, .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags)};
	struct rtattr attr = {.rta_type = (uint16_t)attribute, .rta_len = (uint16_t)RTA_LENGTH(length)};
	uint8_t *at = batch->bytes + batch->length;

	head.nlmsg_len = (uint32_t)(NLMSG_SPACE(size) + (data ? RTA_LENGTH(length) : 0));
	memcpy(at, &head, sizeof(head));
	memcpy(at + NLMSG_HDRLEN, body, size);
	if (data) {
		memcpy(at + NLMSG_SPACE(size), &attr, sizeof(attr));
		memcpy(at + NLMSG_SPACE(size) + RTA_LENGTH(0), data, length);
	}
	batch->length += NLMSG_ALIGN(head.nlmsg_len);
}

/* Gives lo an address 10.9.a.b/32. */
static void add_address(struct batch *batch, int flags, uint8_t a, uint8_t b)
{
	const struct ifaddrmsg body = {.ifa_family = AF_INET, .ifa_prefixlen = 32, .ifa_index = 1};

	add(batch, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL | flags, &body, sizeof(body), IFA_LOCAL, (uint8_t[]){10, 9, a, b}, 4);
}

static int run(int family, const struct batch *batch)
{
	cleanup_free uint8_t *exact = malloc(batch->length ? batch->length : 1); /* for the sanitizer */

	memcpy(exact, batch->bytes, batch->length);
	return call(netlink, I(family), {.b = {.at = exact, .length = batch->length}});
}

static bool has_address(const char *address)
{
	char line[64];

	snprintf(line, sizeof(line), "|-- %s\n", address);
	return strstr(content("/proc/net/fib_trie"), line) != NULL;
}

static void messages(void)
{
	struct batch batch = {0};

	add_address(&batch, NLM_F_ACK, 0, 1);
	add_address(&batch, 0, 0, 2); /* not acknowledged */
	add_address(&batch, NLM_F_ACK, 0, 3);
	check_int(run(NETLINK_ROUTE, &batch), 0);
	check(has_address("10.9.0.1") && has_address("10.9.0.2") && has_address("10.9.0.3"));

	batch.length = 0;
	add_address(&batch, NLM_F_ACK, 0, 4);
	add_address(&batch, NLM_F_ACK, 0, 1); /* has it already */
	add_address(&batch, NLM_F_ACK, 0, 5);
	check_int(run(NETLINK_ROUTE, &batch), -EEXIST);
	check(has_address("10.9.0.4") && has_address("10.9.0.5"));

	batch.length = 0;
	for (int i = 0; i < 200; i++)
		add_address(&batch, NLM_F_ACK, 1, (uint8_t)i);
	check_int(run(NETLINK_ROUTE, &batch), 0);
	check_int(run(NETLINK_ROUTE, &batch), -EEXIST); /* two hundred times */
	batch.length = 0;
	add_address(&batch, 0, 2, 1);
	check_int(run(NETLINK_ROUTE, &batch), 0); /* waits for no answer */
	check(has_address("10.9.2.1"));
	check_int(run(99, &batch), -EPROTONOSUPPORT);
}

static void cut_messages(void)
{
	struct batch batch = {0};
	size_t whole;

	add_address(&batch, NLM_F_ACK, 3, 1);
	whole = batch.length;
	for (batch.length = 1; batch.length < whole; batch.length++)
		check_int(run(NETLINK_ROUTE, &batch), -EINVAL);
	add_address(&batch, NLM_F_ACK, 3, 2);
	for (batch.length = whole + 1; batch.length < 2 * whole; batch.length++)
		check_int(run(NETLINK_ROUTE, &batch), -EINVAL);
	for (uint8_t length = 0; length < NLMSG_HDRLEN; length++) {
		batch.bytes[0] = length; /* shorter than its own head: would be read for ever */
		check_int(run(NETLINK_ROUTE, &batch), -EINVAL);
	}
	check(!has_address("10.9.3.1"));
}

#define NFT(message) (NFNL_SUBSYS_NFTABLES << 8 | (message))

static void add_nft(struct batch *batch, int message, int flags, int attribute, const char *name)
{
	const struct nfgenmsg body = {.nfgen_family = 2 /* NFPROTO_IPV4 */};

	add(batch, NFT(message), NLM_F_ACK | flags, &body, sizeof(body), attribute, name, strlen(name) + 1);
}

/* Runs a batch that creates table `name` if there is none, and with `missing` makes two mistakes. */
static int make_table(const char *name, bool missing)
{
	const struct nfgenmsg nftables = {.res_id = htons(NFNL_SUBSYS_NFTABLES)};
	struct batch batch = {0};

	add(&batch, NFNL_MSG_BATCH_BEGIN, 0, &nftables, sizeof(nftables), 0, NULL, 0);
	add_nft(&batch, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL, NFTA_TABLE_NAME, name);
	if (missing) {
		add_nft(&batch, NFT_MSG_NEWCHAIN, NLM_F_CREATE, NFTA_CHAIN_TABLE, "none");
		add_nft(&batch, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL, NFTA_TABLE_NAME, "one");
	}
	add(&batch, NFNL_MSG_BATCH_END, 0, &nftables, sizeof(nftables), 0, NULL, 0);
	return run(NETLINK_NETFILTER, &batch);
}

static void nftables(void)
{
	int first = make_table("one", false);

	if (first == -EPROTONOSUPPORT || first == -EOPNOTSUPP) {
		skipped("the kernel has no nf_tables");
		return;
	}
	check_int(first, 0);
	check_int(make_table("one", false), -EEXIST);
	check_int(make_table("two", true), -ENOENT); /* answered with two errors, and undone as a whole */
	check_int(make_table("two", false), 0);
}

int main(void)
{
	run_test("unshare and set_ids make us root of namespaces of our own", isolate);
	run_test("link_up and link_mtu reach lo", loopback);
	run_test("link_mtu is what the kernel then counts with", mtu);
	run_test("an interface that is not there is -ENODEV", missing);
	run_test("netlink sends messages at once, carries them all out, and gives the first error", messages);
	run_test("netlink refuses messages that are cut off", cut_messages);
	run_test("netlink sends batches to nftables, all or nothing", nftables);
	run_test("a tap gets its name, address and default route", tap);
	run_test("a tap gets its IPv6 address, usable at once, and default route", tap_v6);
	return finish();
}
