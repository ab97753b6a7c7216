// SPDX-License-Identifier: Apache-2.0
#include "child.h"
#include "init.h"

/*
 * `rootlesskit-docker-proxy ARGS…`: rootless dockerd up to 27 starts this in place of docker-proxy. On fd 3 it waits for "0\n"
 * when the port is forwarded, or "1\n" and a sentence; the real docker-proxy writes that itself.
 */
int docker_proxy_main(char **argv, char **env)
{
	static char name[] = "docker-proxy";
	const char *reason;
	char report[256];
	size_t length;

	argv[0] = name;
	reason = strerror(-child_exec(argv, env));
	length = (size_t)(stpncpy(stpcpy(report, "1\ncannot start docker-proxy: "), reason, 128) - report);
	report[length++] = '\n';
	if (write(3, report, length) < 0)
		return 1; /* nobody listens; the exit status says it too */
	return 1;
}
