// SPDX-License-Identifier: Apache-2.0
#ifndef RLKIT_API_H
#define RLKIT_API_H

#include "answer.h"

/* A connection to the supervisor's API. */
struct api {
	int fd;
	char buffer[8 * 1024]; /* the last answer; an error's sentence is the longest */
};

/* Connects to api.sock in the state directory. Returns 0 or -errno. */
int api_connect(struct api *api, const char *state_dir);

/*
 * Sends an HTTP request and waits for its answer, which lies in the connection's buffer. Returns 0; -ETIMEDOUT after ten
 * seconds; -ECANCELED as soon as the descriptor `cancel`, if it is not -1, can be read; -EPROTO, or another -errno.
 */
int api_ask(struct api *api, const char *request, size_t length, int cancel, struct answer *answer);

#endif
