// SPDX-License-Identifier: Apache-2.0
#include <sys/un.h>

#include "client.h"

/* What init passes on for a target: messages of sd_notify(3), and sockets of a service manager. */

/* A pair of datagram sockets; init watches the second. */
static void watch(struct client *c, int *ends)
{
	uint8_t bytes[16];
	struct writer w = frame_begin(bytes, sizeof(bytes), RL_WATCH, ++c->last_id);

	check_int(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends), 0);
	client_send_fds(c, bytes, frame_end(bytes, &w), &ends[1], 1);
	check_int(client_reply(c).values[0], 0);
}

static void tell(int fd, const char *text, size_t length)
{
	check_int(send(fd, text, length, MSG_NOSIGNAL), length);
}

static void check_notified(const struct client *c, const char *text)
{
	struct message m = client_receive(c);

	check_int(m.type, RL_NOTIFIED);
	check_int(m.id, 0);
	check_text(m.text, text);
}

static void messages(void)
{
	struct client c = client_start();
	int ends[2];

	watch(&c, ends);
	tell(ends[0], "READY=1", 7);
	check_notified(&c, "READY=1");
	tell(ends[0], "", 0); /* is nothing to tell */
	tell(ends[0], "STATUS=a\nb", 10);
	check_notified(&c, "STATUS=a\nb");
	for (int i = 0; i < 3; i++)
		tell(ends[0], i == 0 ? "one" : i == 1 ? "two" : "six", 3);
	check_notified(&c, "one");
	check_notified(&c, "two");
	check_notified(&c, "six");
	close(ends[0]);
	close(ends[1]);
	client_end(&c);
}

static void long_message(void)
{
	static char text[RL_NOTIFY_MAX + 100], expected[RL_NOTIFY_MAX + 1];
	struct client c = client_start();
	int ends[2];

	memset(text, 'x', sizeof(text));
	memset(expected, 'x', RL_NOTIFY_MAX);
	watch(&c, ends);
	tell(ends[0], text, sizeof(text));
	check_notified(&c, expected);
	tell(ends[0], "next", 4);
	check_notified(&c, "next");
	client_end(&c);
}

/* A descriptor in a message goes nowhere, and stays open nowhere. */
static void descriptor_in_message(void)
{
	struct client c = client_start(), *sender = &c;
	int ends[2], pipes[2];

	watch(&c, ends);
	check_int(pipe2(pipes, O_CLOEXEC), 0);
	client_send_fds(&(struct client){.control = ends[0]}, (const uint8_t *)"FDSTORE=1", 9, &pipes[1], 1);
	check_notified(sender, "FDSTORE=1");
	close(pipes[1]);
	check_text(read_until(pipes[0], -1), "");
	client_end(&c);
}

static void before_the_end(void)
{
	struct client c = client_start();
	int ends[2];

	watch(&c, ends);
	for (int i = 0; i < 20; i++) {
		int pid = client_spawn(&c, &(struct process){
						   .argv = {"sh", "-c", "echo -n STOPPING=1 >&3"},
						   .fd_count = 4,
						   .fds = {open("/dev/null", O_RDWR | O_CLOEXEC), 1, 2, ends[0]},
					   });

		check_notified(&c, "STOPPING=1");
		check_int(client_exited(&c, pid), 0);
	}
	client_end(&c);
}

static void another(void)
{
	struct client c = client_start();
	int first[2], second[2];

	watch(&c, first);
	watch(&c, second);
	close(first[1]);
	check(send(first[0], "lost", 4, MSG_NOSIGNAL) < 0); /* nobody has the other end any more */
	tell(second[0], "heard", 5);
	check_notified(&c, "heard");
	client_end(&c);
}

static void malformed(void)
{
	uint8_t bytes[16];

	for (int extra = 0; extra < 2; extra++) {
		struct client c = client_start();
		struct writer w = frame_begin(bytes, sizeof(bytes), RL_WATCH, 1);

		if (extra)
			write_uint(&w, 1, 0); /* it has no body */
		client_send_fds(&c, bytes, frame_end(bytes, &w), (int[]){2}, extra); /* and needs a descriptor */
		check_int(client_receive(&c).type, -1);
		close(c.control);
		client_gone(&c);
	}
}

static void listen_pid(void)
{
	struct client c = client_start();
	const char *const argv[] = {"sh", "-c", "test $LISTEN_PID = $$ && exit 3"};
	struct process p = {.flags = RL_LISTEN_PID, .variable = "LISTEN_PID=0000000000", .path = "/usr/bin:/bin"};

	memcpy(p.argv, argv, sizeof(argv));
	for (int i = 0; i < 3; i++)
		check_int(client_exited(&c, client_spawn(&c, &p)), 3 << 8);
	p.flags = 0; /* another's: left as it is */
	p.argv[2] = "test $LISTEN_PID = 0000000000 && exit 4";
	check_int(client_exited(&c, client_spawn(&c, &p)), 4 << 8);
	p.flags = RL_LISTEN_PID; /* not in this form: left as it is */
	p.variable = "LISTEN_PID=17";
	p.argv[2] = "test $LISTEN_PID = 17 && exit 5";
	check_int(client_exited(&c, client_spawn(&c, &p)), 5 << 8);
	client_end(&c);
}

/* What /proc/PID/ns/net of a process is. */
static const char *network_of(int pid)
{
	static char text[2][64];
	static int which;
	char path[64];

	which = !which;
	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	memset(text[which], 0, sizeof(text[which]));
	check(readlink(path, text[which], sizeof(text[which]) - 1) > 0);
	return text[which];
}

static void detached_network(void)
{
	struct client c = client_start();
	char path[256];
	int holder, pid;

	enter_scratch();
	client_isolate(&c, CLONE_NEWNS);
	snprintf(path, sizeof(path), "%s/netns", scratch);
	holder = client_op(&c, RL_OP_detach_netns, path);
	check(holder > 1);
	check(!strcmp(network_of(c.pid), network_of(getpid())));
	check(strcmp(network_of(holder), network_of(getpid())));
	check_int(client_op(&c, RL_OP_detach_netns, path), -EEXIST);

	/* operations on the network go there, all others do not; this machine's own lo would be up already */
	check_int(client_op(&c, RL_OP_link_up, "lo"), 0);
	check_int(client_op(&c, RL_OP_addr_add, "lo", "192.0.2.1", 32), 0);
	check_int(client_op(&c, RL_OP_write_file, "/proc/sys/net/ipv4/ip_forward", O_WRONLY, 0, "1"), 0);
	pid = client_spawn(&c, &(struct process){
				       .flags = RL_IN_NETWORK,
				       .path = "/usr/bin:/bin:/sbin:/usr/sbin",
				       .argv = {"sh", "-c", "ip -4 -o address show dev lo | grep -q 192.0.2.1 && exit 3"},
			       });
	check_int(client_exited(&c, pid), 3 << 8);
	pid = client_spawn_probe(&c, 0, "stay");
	check(!strcmp(network_of(pid), network_of(getpid())));
	check_int(client_signal(&c, pid, SIGKILL), 0);
	check_int(client_exited(&c, pid), SIGKILL);
	client_end(&c); /* and with it whoever held the namespace */
	leave_scratch();
}

static void no_place_for_it(void)
{
	struct client c = client_start();

	client_isolate(&c, CLONE_NEWNS);
	check_int(client_op(&c, RL_OP_detach_netns, "/none/netns"), -ENOENT);
	check_int(client_op(&c, RL_OP_link_up, "lo"), -EPERM); /* this machine's, still */
	client_end(&c);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	rlkit_ns = argv[1];
	probe = argv[2];
	run_test("passes on what comes to the socket that it watches", messages);
	run_test("cuts what is longer than a message may be", long_message);
	run_test("closes descriptors that come with a message", descriptor_in_message);
	run_test("passes on what a process has said before it tells its end", before_the_end);
	run_test("watches one socket, the last", another);
	run_test("ends when WATCH has a body, or no descriptor", malformed);
	run_test("tells a process its own pid in LISTEN_PID", listen_pid);
	run_test("makes a network namespace beside its own, and works there", detached_network);
	run_test("leaves nothing of a network namespace for which there is no place", no_place_for_it);
	return finish();
}
