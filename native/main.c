// SPDX-License-Identifier: Apache-2.0
#include "init.h"

/*
 * rlkit-ns: one static program at a path of its own, as AppArmor allows user namespaces by path. Its role is its name or argv[1].
 */
int main(int argc, char **argv, char **env)
{
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	const char *role = argc > 1 ? argv[1] : "";

	if (argc > 0 && !strcmp(slash ? slash + 1 : argv[0], "rootlesskit-docker-proxy"))
		return docker_proxy_main(argv, env);
	if (!strcmp(role, "init"))
		return init_main(argc - 2, argv + 2);
	if (!strcmp(role, "enter"))
		return enter_main(argc - 2, argv + 2, env);
	if (!strcmp(role, "guard"))
		return guard_main(argc - 2, argv + 2, env);
	if (!strcmp(role, "portd"))
		return portd_main(argc - 2, argv + 2);
	if (!strcmp(role, "bind"))
		return bind_main(argc - 2, argv + 2);
	if (!strcmp(role, "ethernet"))
		return ethernet_main(argc - 2, argv + 2, env);
	if (!strcmp(role, "docker-proxy"))
		return docker_proxy_main(argv + 1, env);
	return 2;
}
