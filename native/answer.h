// SPDX-License-Identifier: Apache-2.0
#ifndef RLKIT_ANSWER_H
#define RLKIT_ANSWER_H

#include "util.h"

/* What the supervisor's API answers to docker-proxy (src/api/routes.ts), as bytes and as structures; no system calls here. */

#define ID_DIGITS 20

struct answer {
	int status;
	char *body; /* NUL-terminated, without newlines at its end */
};

enum todo {
	TODO_PLAIN,   /* run docker-proxy as if we were not there */
	TODO_SKIP,    /* nothing, and say that it is done */
	TODO_FORWARD, /* run docker-proxy on child_ip, and remove the port `id` afterwards */
};

struct decision {
	enum todo todo;
	char *id; /* at most ID_DIGITS */
	char *child_ip;
};

/*
 * Looks for a whole HTTP/1.1 answer with a Content-Length at the start of `bytes`, which has room for one byte behind `length`.
 * Returns how many bytes it takes, 0 if more must be read, -EPROTO if it is no such answer. *out points into `bytes`, and the byte
 * behind the body is changed.
 */
int answer_cut(char *bytes, size_t length, struct answer *out);

/* Reads the first line of a body in place: "plain", "skip" or "forward ID CHILDIP". Returns 0 or -EPROTO. */
int decision_read(char *body, struct decision *out);

#endif
