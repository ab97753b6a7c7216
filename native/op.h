// SPDX-License-Identifier: Apache-2.0
#ifndef RLKIT_OP_H
#define RLKIT_OP_H

#include "frame.h"

/*
 * Carries operations out, in order, and writes a value or -errno for each to results, which has room for `count`. Returns how
 * many it wrote: fewer than `count` if one failed that may not, and then the last result is its error. After fork_pid1 it is
 * the new process that returns.
 */
int ops_run(const struct op *ops, int count, int32_t *results);

/* One function for each operation of protocol.h: takes the fields, returns a value or -errno. */
#define OP(name, fields) int op_##name(const union field *f);
RL_OPS(OP)
#undef OP

/* Joins the network namespace of detach_netns, if there is one: from there no way leads back. Returns 0 or -errno. */
int netns_enter(void);
bool netns_is_detached(void);

#endif
