// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "child.h"
#include "frames.h"
#include "init.h"
#include "portd.h"
#include "unix_path.h"

/*
 * `rlkit-ns ethernet READY_FD PID INTERFACE SOCKET PROGRAM ARGS…`: runs PROGRAM (vpnkit, gvproxy), which listens at SOCKET, and carries
 * Ethernet frames between it and the tap device INTERFACE in the user and network namespace of PID. A byte to READY_FD says that frames
 * are carried. It ends when PROGRAM does, and PROGRAM with it. The protocol is vpnkit's (its doc/ethernet.md, and hyperkit's
 * pci_virtio_net_vpnkit.c): both sides say hello, the client asks for an interface, and what follows are frames.
 */
#define HELLO_SIZE (5 + 4 + 40)	   /* "VMN3T", the version as u32, a commit's hash */
#define REQUEST_SIZE (1 + 36 + 4)  /* the kind, a UUID, an IPv4 address or 0 */
#define ANSWER_SIZE (1 + 1 + 256)  /* the kind; an interface's MTU and frame size (u16), MAC, filling; or a refusal's length (u8), text */
#define INTERFACE 1		   /* the kind of a request for one, and of its answer */
#define VERSION 22
#define CONNECT_PAUSE_MAX 20000000 /* nanoseconds */

/* Says on standard error what is wrong, in one line. Returns the exit status. */
static int fail(const char *what, const char *object, const char *why)
{
	const char *texts[] = {what, object, why ? ": " : "", why ? why : "", "\n"};
	struct iovec pieces[5];

	for (int i = 0; i < 5; i++)
		pieces[i] = (struct iovec){.iov_base = (char *)texts[i], .iov_len = strlen(texts[i])};
	return writev(STDERR_FILENO, pieces, 5) < 0 ? 2 : 1;
}

struct command {
	char **argv;
	char **env;
};

static int run(void *argument)
{
	const struct command *command = argument;

	return child_exec(command->argv, command->env);
}

static int connect_once(const char *path)
{
	struct sockaddr_un address = {0};
	cleanup_fd int directory = -1;
	int fd, error = unix_path(path, &address, &directory);

	if (error)
		return error;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	error = -errno;
	close(fd);
	return error;
}

/* Connects as soon as the program listens. Returns the socket, or -errno: -ECHILD when the program, now 0, has ended instead. */
static int connect_to(const char *path, pid_t *program)
{
	struct timespec pause = {.tv_nsec = 1000000};

	for (;;) {
		int fd = connect_once(path);

		if (fd >= 0 || (fd != -ENOENT && fd != -ECONNREFUSED))
			return fd;
		if (waitpid(*program, NULL, WNOHANG) == *program) {
			*program = 0;
			return -ECHILD;
		}
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < CONNECT_PAUSE_MAX)
			pause.tv_nsec *= 2;
	}
}

static bool send_all(int fd, const uint8_t *bytes, size_t length)
{
	return send(fd, bytes, length, MSG_NOSIGNAL) == (ssize_t)length; /* less than any socket's buffer */
}

static bool receive_all(int fd, uint8_t *bytes, size_t length)
{
	return recv(fd, bytes, length, MSG_WAITALL) == (ssize_t)length;
}

static bool say_hello(int peer)
{
	uint8_t hello[HELLO_SIZE] = "VMN3T";
	struct writer w = {hello + 5, hello + sizeof(hello), false};

	write_uint(&w, 4, VERSION);
	return send_all(peer, hello, sizeof(hello)) && receive_all(peer, hello, sizeof(hello)) && !memcmp(hello, "VMN3T", 5);
}

/* Asks for an interface, by an id that nobody else has. */
static bool ask(int peer)
{
	uint8_t request[REQUEST_SIZE] = {INTERFACE};
	cleanup_fd int random = open("/proc/sys/kernel/random/uuid", O_RDONLY | O_CLOEXEC);

	return random >= 0 && read(random, request + 1, 36) == 36 && send_all(peer, request, sizeof(request));
}

/* Takes the answer; returns NULL and the interface's address, or why there is none. */
static const char *take_answer(int peer, uint8_t mac[static 6])
{
	static uint8_t answer[ANSWER_SIZE + 1];

	if (!receive_all(peer, answer, 2))
		return "it does not answer";
	if (answer[0] != INTERFACE) {
		ssize_t length = recv(peer, answer + 2, answer[1], MSG_WAITALL); /* what follows is not always as long as it should be */

		answer[2 + (length > 0 ? length : 0)] = 0;
		return (char *)answer + 2;
	}
	if (!receive_all(peer, answer + 2, ANSWER_SIZE - 2))
		return "its answer is too short";
	memcpy(mac, answer + 5, 6);
	return NULL;
}

/* Joins a namespace of a process, given as text. Returns 0 or -errno. */
static int join(const char *pid, const char *which, int kind)
{
	char path[64];
	cleanup_fd int fd = -1;

	if (strlen(pid) > 16)
		return -EINVAL;
	stpcpy(stpcpy(stpcpy(path, "/proc/"), pid), which);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : result_of(setns(fd, kind));
}

/* Opens the tap device and gives it the address that its frames are to come from. Returns its descriptor or -errno. */
static int open_tap(const char *interface, const uint8_t mac[static 6])
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	cleanup_fd int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int fd;

	if (control < 0)
		return -errno;
	if (strlen(interface) >= sizeof(request.ifr_name))
		return -EINVAL;
	stpcpy(request.ifr_name, interface);
	fd = result_of(open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK));
	if (fd < 0)
		return fd;
	if (ioctl(fd, TUNSETIFF, &request) == 0) {
		request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
		memcpy(request.ifr_hwaddr.sa_data, mac, 6);
		if (ioctl(control, SIOCSIFHWADDR, &request) == 0)
			return fd;
	}
	control = -errno;
	close(fd);
	return control;
}

/* Goes to where the tap device is. The death signal, which the kernel clears on the way, is set once more. Returns it or -errno. */
static int enter(char **argv, const uint8_t mac[static 6])
{
	pid_t guard = getppid();
	int tap, error = join(argv[0], "/ns/user", CLONE_NEWUSER);

	if (!error)
		error = join(argv[0], "/ns/net", CLONE_NEWNET);
	if (error)
		return error;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != guard)
		return -ESRCH;
	tap = open_tap(argv[1], mac);
	if (tap < 0)
		return tap;
	error = drop_privileges(0); /* what comes from the peer is not looked at, but nothing here needs them */
	return error ? error : tap;
}

static int carry(int ready, char **argv, pid_t *program)
{
	const char *name = argv[3], *refusal = "it speaks another protocol";
	uint8_t mac[6];
	cleanup_fd int peer = connect_to(argv[2], program), tap = -1;
	int error;

	if (peer == -ECHILD)
		return fail(name, " ended before it was ready", NULL);
	if (peer < 0)
		return fail("cannot connect to ", argv[2], strerror(-peer));
	if (say_hello(peer))
		refusal = ask(peer) ? take_answer(peer, mac) : "it takes no request";
	if (refusal)
		return fail(name, " gives no interface", refusal);
	tap = enter(argv, mac);
	if (tap < 0)
		return fail("cannot open the tap device ", argv[1], strerror(-tap));
	if (fcntl(peer, F_SETFL, O_NONBLOCK) < 0 || write(ready, "1", 1) != 1)
		return fail("cannot say that the network is ready", "", strerror(errno));
	close(ready);
	error = frames_carry(tap, peer);
	return fail(name, " ended the connection", error ? strerror(-error) : NULL);
}

int ethernet_main(int argc, char **argv, char **env)
{
	struct command command = {argv + 4, env};
	const struct child_start start = {.run = run, .argument = &command, .death_signal = SIGKILL};
	pid_t program;
	int ready, status;

	if (argc < 5)
		return 125;
	ready = atoi(argv[0]);
	if (fcntl(ready, F_SETFD, FD_CLOEXEC) < 0)
		return 125;
	unlink(argv[3]); /* of one that was killed */
	program = child_start(&start);
	if (program < 0)
		return fail("cannot start ", argv[4], strerror(-program));
	status = carry(ready, argv + 1, &program);
	if (program && kill(program, SIGKILL) == 0)
		waitpid(program, NULL, 0);
	return status;
}
