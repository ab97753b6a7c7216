// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "api.h"
#include "child.h"
#include "init.h"

/*
 * `rootlesskit-docker-proxy ARGS…`: rootless dockerd up to 27 starts one of these in place of docker-proxy for each published port.
 * It shows the supervisor its arguments, which publishes the port outside, and then runs docker-proxy, which listens inside. On
 * fd 3 dockerd waits for "0\n", or for "1\n" and a sentence; docker-proxy writes that itself when it runs. SIGINT, SIGTERM, or
 * docker-proxy's own end is the end of the port, too. The port belongs to our connection: if we are killed the supervisor
 * removes it. But dockerd's death, which sends SIGTERM to us, is no wish of its: the supervisor decides what becomes of the port.
 */
#define STATUS_FD 3
#define DYING_WITHIN 200 /* milliseconds */
#define HOST " HTTP/1.1\r\nHost: rlkit\r\n"

struct proxy {
	char **argv; /* docker-proxy's */
	char **env;
	int signals;
	int parent; /* a pidfd of dockerd */
	struct api api;
};

/* One write(2) for all that the texts say. */
static void say(int fd, const char *const *texts, int count)
{
	struct iovec pieces[8];

	for (int i = 0; i < count; i++)
		pieces[i] = (struct iovec){.iov_base = (char *)texts[i], .iov_len = strlen(texts[i])};
	if (writev(fd, pieces, count) < 0)
		return; /* nobody listens; the exit status says it, too */
}

/* Tells dockerd, and whoever reads standard error, why there is no port: "what object: why". Returns our exit status. */
static int fail(const char *what, const char *object, const char *why)
{
	const char *colon = why ? ": " : "";

	why = why ? why : "";
	say(STATUS_FD, (const char *const[]){"1\n", what, object, colon, why}, 5);
	say(STDERR_FILENO, (const char *const[]){"rootlesskit-docker-proxy: ", what, object, colon, why, "\n"}, 6);
	return 1;
}

/* Without a dockerd there is no fd 3: the number must not become that of something else. */
static void fill_status_fd(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STATUS_FD);
	if (fd >= 0)
		close(fd);
}

/* Shows the supervisor our arguments, one a line. Returns 0 or -errno. */
static int ask_what_to_do(struct proxy *proxy, struct answer *answer)
{
	cleanup_free char *request = NULL;
	size_t body = 0;
	char *at;

	for (char **arg = proxy->argv + 1; *arg; arg++)
		body += strlen(*arg) + 1;
	request = malloc(body + 128);
	if (!request)
		return -ENOMEM;
	at = stpcpy(request, "POST /v1/docker-proxy" HOST "Content-Type: text/plain\r\nContent-Length: ");
	at = stpcpy(put_number(at, body), "\r\n\r\n");
	for (char **arg = proxy->argv + 1; *arg; arg++)
		at = stpcpy(stpcpy(at, *arg), "\n");
	return api_ask(&proxy->api, request, (size_t)(at - request), proxy->signals, answer);
}

/* Has the supervisor remove the port. It does so, too, when it sees our connection end, but then nobody would have waited for it. */
static void remove_port(struct proxy *proxy, const char *id)
{
	char request[sizeof("DELETE /v1/ports/" HOST "\r\n") + ID_DIGITS];
	const char *end = stpcpy(stpcpy(stpcpy(request, "DELETE /v1/ports/"), id), HOST "\r\n");
	struct answer answer;

	api_ask(&proxy->api, request, (size_t)(end - request), -1, &answer);
}

/* The value of docker-proxy's flag -host-ip: the word behind it, or what follows the = in it. NULL if `word` is another one. */
static const char *host_ip_flag(const char *word)
{
	static const char name[] = "-host-ip";

	word += word[0] == '-' && word[1] == '-';
	if (strncmp(word, name, strlen(name)))
		return NULL;
	word += strlen(name);
	return !*word || *word == '=' ? word : NULL;
}

/* Makes docker-proxy listen on another address. Returns 0 or -ENOMEM; the arguments are never freed. */
static int replace_host_ip(struct proxy *proxy, char *child_ip)
{
	static char flag[] = "-host-ip";
	char **from = proxy->argv, **to;
	bool given = false;
	size_t count = 0;

	for (; from[count]; count++)
		given = given || host_ip_flag(from[count]);
	to = malloc((2 * count + 3) * sizeof(*to));
	if (!to)
		return -ENOMEM;
	proxy->argv = to;
	*to++ = *from++;
	if (!given) {
		*to++ = flag;
		*to++ = child_ip;
	}
	for (; *from; from++) {
		const char *value = host_ip_flag(*from);

		*to++ = value ? flag : *from;
		if (!value)
			continue;
		*to++ = child_ip;
		if (!*value && from[1])
			from++;
	}
	*to = NULL;
	return 0;
}

static int run(void *argument)
{
	const struct proxy *proxy = argument;

	return child_exec(proxy->argv, proxy->env);
}

/*
 * Whether SIGTERM came because dockerd is dying. The kernel sends it when the thread ends that started us, which need not be
 * dockerd's last one; somebody who sends it by hand can wait.
 */
static bool dockerd_is_dying(const struct proxy *proxy)
{
	struct pollfd dead = {.fd = proxy->parent, .events = POLLIN};

	return poll(&dead, 1, DYING_WITHIN) > 0;
}

/* Waits for docker-proxy's end, or ends it when dockerd wants that. Returns our exit status, and what signal came, if one did. */
static int wait_for_end(const struct proxy *proxy, pid_t pid, uint32_t *signo)
{
	struct signalfd_siginfo info;
	int status = 0;

	for (;;) {
		if (read(proxy->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
			continue;
		*signo = info.ssi_signo;
		if (*signo != SIGCHLD)
			break;
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	}
	kill(pid, SIGKILL); /* it has nothing to put in order */
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return 0;
}

static int forward(struct proxy *proxy, const struct decision *decision)
{
	const struct child_start start = {.run = run, .argument = proxy, .death_signal = SIGKILL};
	char id[ID_DIGITS + 1];
	uint32_t signo = 0;
	int pid, status;

	strcpy(id, decision->id); /* the next answer will come where it lies */
	pid = replace_host_ip(proxy, decision->child_ip);
	if (!pid)
		pid = child_start(&start);
	if (pid < 0) {
		remove_port(proxy, id);
		return fail("cannot start docker-proxy", "", strerror(-pid));
	}
	close(STATUS_FD); /* so that dockerd sees it end when docker-proxy ends without a word */
	status = wait_for_end(proxy, pid, &signo);
	if (signo != SIGTERM || !dockerd_is_dying(proxy))
		remove_port(proxy, id);
	return status;
}

/* Does what the supervisor has decided. Returns our exit status. */
static int act(struct proxy *proxy, const struct answer *answer, const sigset_t *mask)
{
	struct decision decision;

	if (answer->status != 200)
		return fail(answer->body, "", NULL);
	if (decision_read(answer->body, &decision) < 0)
		return fail("cannot understand what rlkit answers", "", answer->body);
	switch (decision.todo) {
	case TODO_FORWARD:
		return forward(proxy, &decision);
	case TODO_SKIP:
		return write(STATUS_FD, "0\n", 2) < 0;
	case TODO_PLAIN:
		break;
	}
	sigprocmask(SIG_SETMASK, mask, NULL); /* what has come meanwhile takes effect here */
	return fail("cannot start docker-proxy", "", strerror(-child_exec(proxy->argv, proxy->env)));
}

/* Blocks what docker-proxy is ended by, so that it is never lost. Returns a descriptor for it, or -errno. */
static int block_signals(sigset_t *before)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGPIPE); /* of STATUS_FD when nobody reads it */
	sigprocmask(SIG_BLOCK, &set, before);
	sigdelset(&set, SIGPIPE);
	return result_of(signalfd(-1, &set, SFD_CLOEXEC));
}

int docker_proxy_main(char **argv, char **env)
{
	static struct proxy proxy;
	static char name[] = "docker-proxy";
	const char *state_dir = getenv("ROOTLESSKIT_STATE_DIR");
	struct answer answer;
	sigset_t mask;
	int error;

	argv[0] = name;
	proxy.argv = argv;
	proxy.env = env;
	fill_status_fd();
	proxy.parent = (int)syscall(SYS_pidfd_open, getppid(), 0);
	proxy.signals = block_signals(&mask);
	if (!state_dir || !*state_dir)
		return fail("ROOTLESSKIT_STATE_DIR is not set: this runs below rlkit run only", "", NULL);
	error = proxy.signals < 0 ? proxy.signals : api_connect(&proxy.api, state_dir);
	if (error)
		return fail("cannot connect to api.sock in ", state_dir, strerror(-error));
	error = ask_what_to_do(&proxy, &answer);
	if (error == -ECANCELED)
		return 128 + SIGTERM; /* or SIGINT: nobody wants the port any more, and it goes with the connection */
	if (error)
		return fail("no answer from api.sock in ", state_dir, strerror(-error));
	return act(&proxy, &answer, &mask);
}
