// SPDX-License-Identifier: Apache-2.0
#ifndef RLKIT_UNIX_PATH_H
#define RLKIT_UNIX_PATH_H

#include <sys/un.h>

/*
 * Fills in the address of a socket at `path`. A path that is too long for it (108 bytes) goes through its directory, opened as
 * *directory, which must stay open until bind(2) or connect(2). Returns 0 or -errno.
 */
int unix_path(const char *path, struct sockaddr_un *address, int *directory);

#endif
