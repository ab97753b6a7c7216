// SPDX-License-Identifier: Apache-2.0
#ifndef RLKIT_PROTOCOL_H
#define RLKIT_PROTOCOL_H

/*
 * The control protocols: between the supervisor and `rlkit-ns init`, and between the supervisor and `rlkit-ns portd`, each on a
 * SOCK_STREAM socket of its own. This file is the whole of both; src/plan/operations.ts, src/plan/encoding.ts and
 * src/ports/portd-encoding.ts are the other side, and test/fixtures/protocol-vectors.tsv holds both to the same bytes.
 *
 * Integers are little-endian. "str" is a u32 length and that many bytes, none of them NUL; "bytes" is the same with any bytes.
 * "strs" is a u16 count and that many str. Descriptors that a frame announces come with its first byte (SCM_RIGHTS, unix(7)),
 * at most RL_FDS_MAX of them.
 *
 *   frame   u32 length of all that follows, u8 type, u32 id, body
 *
 * Supervisor to init:
 *   RUN     u16 count, then so often: u16 opcode, u8 op flags, the operation's fields
 *   SPAWN   u8 spawn flags, u8 count of descriptors, i32 soft RLIMIT_NOFILE (-1: leave it), str cwd ("": keep it), strs argv,
 *           strs env
 *           argv[0] is looked up in env's PATH. The descriptors that come with the frame become the process's 0, 1, 2, …;
 *           when there are none it gets init's 0 to 2. It has no other. With RL_LISTEN_PID its pid, as it sees it itself, takes
 *           the place of the ten digits in env's LISTEN_PID (sd_listen_fds(3)).
 *   SIGNAL  i32 pid (one that SPAWN returned), i32 signo
 *   WATCH   no body, with one descriptor: a Unix datagram socket. What comes there is passed on (NOTIFIED), until the next WATCH.
 *
 * Init to supervisor:
 *   REPLY   the request's id; u16 count, i32 results[count]: a value, or -errno
 *           RUN: one for each operation that was carried out or skipped. The first that fails without MAY_FAIL ends the run and
 *           the list. SPAWN: the pid as init sees it. SIGNAL: 0 sent, 1 not sent because the process has it already.
 *           WATCH: 0.
 *   EXITED  id 0; i32 pid (one that SPAWN returned), i32 status as waitpid(2) gives it
 *   NOTIFIED  id 0; bytes: a message as sd_notify(3) sends them, cut to RL_NOTIFY_MAX
 *
 * Supervisor to portd:
 *   LISTEN  u32 port (a number that the supervisor chooses), u8 kind (1 stream, 2 datagram), u8 listen flags, u32 patience,
 *           str target address (IPv4 or IPv6, numeric), u16 target port, str stand-in address, with one descriptor: the socket,
 *           bound (a stream's listening, too) in whatever network namespace
 *           A connection whose target refuses it is tried again for `patience` milliseconds. Clients from a loopback address
 *           appear at the target as such; all others with their own address and port (RL_KEEP_CLIENT, streams only), or else
 *           from the stand-in address, if it is not "" and of the target's family.
 *   CLOSE   u32 port: ends the port and every connection of it
 *   COUNT   no body
 *   HOLD    u32 milliseconds: until the next HOLD no port has less patience than this
 *
 * Portd to supervisor:
 *   REPLY   one result: 0 or -errno (LISTEN, CLOSE, HOLD). -EEXIST, -ENOENT: the port's number is taken, or unknown.
 *   COUNTS  the id of COUNT; u32 n, then so often: u32 port, u32 open connections (or UDP clients), u64 accepted, u64 bytes in
 *           (client to target), u64 bytes out, u64 failed (connections that the target did not take, datagrams dropped),
 *           u64 plain (of `accepted` with RL_KEEP_CLIENT: those whose client's address could not be kept)
 *
 * A frame that is too long or malformed means that the peer is broken: init and portd end as if the socket had been closed.
 */

#define RL_FRAME_MAX (1024 * 1024) /* the largest value of `length` */
#define RL_FDS_MAX 16
#define RL_NOTIFY_MAX 4096
#define RL_PORTS_MAX 16384 /* so that COUNTS fits in a frame */

enum rl_frame_type {
	RL_RUN = 1,
	RL_SPAWN = 2,
	RL_SIGNAL = 3,
	RL_WATCH = 4,
	RL_LISTEN = 8,
	RL_CLOSE = 9,
	RL_COUNT = 10,
	RL_HOLD = 11,
	RL_REPLY = 16,
	RL_EXITED = 17,
	RL_COUNTS = 18,
	RL_NOTIFIED = 19,
};

enum rl_kind {
	RL_STREAM = 1,
	RL_DATAGRAM = 2,
};

enum rl_listen_flag {
	RL_KEEP_CLIENT = 1, /* the routes and rules that bring the answers back are in place */
};

enum rl_op_flag {
	RL_MAY_FAIL = 1,  /* go on when it fails */
	RL_IF_FAILED = 2, /* carry it out only if the last one that was carried out failed; a skipped one gives 0 */
};

enum rl_spawn_flag {
	RL_SETSID = 1, /* a session of its own */
	RL_TARGET = 2, /* signals that somebody sends to init itself are passed on to this process */
	RL_LISTEN_PID = 4,
	RL_IN_NETWORK = 8, /* in the network namespace of detach_netns, if there is one */
};

/*
 * The operations. The opcode is the position, counted from 1; fields are i = i32, l = u64, s = str, b = bytes.
 *
 *   unshare        CLONE_NEW* flags
 *   fork_pid1      after unshare(CLONE_NEWPID): go on as pid 1 of the new namespace; gives the pid that the supervisor sees
 *   set_ids        uid, gid, as numbered inside the namespace; drops the supplementary groups where that is allowed
 *   mount          source, target, type, flags, data ("" for what there is none of)
 *   umount         target, flags
 *   mkdir          path, mode (the umask does not count, here and below)
 *   rmdir          path
 *   unlink         path
 *   symlink        text, path of the link
 *   write_file     path, open(2) flags, mode, bytes
 *   link_entries   from, to, prefix: for each entry of `from` that `to` lacks, a symlink with the same text if it is a symlink,
 *                  else with the text prefix + name; gives how many were made
 *   link_up        interface
 *   link_mtu       interface, bytes
 *   tap            interface: a persistent tap device of that name, which may exist already
 *   addr_add       interface, IPv4 or IPv6 address, prefix length; success if it is there already
 *   route_default  interface, gateway's IPv4 or IPv6 address; success if it is there already
 *   mknod          path, mode: an empty regular file to bind another one to; success if there is something already
 *   netlink        netlink family, messages as netlink(7) has them, back to back: sent in one go; gives the first error that one
 *                  of those with NLM_F_ACK is answered with
 *   detach_netns   path: a network namespace beside init's own, bound to that file (made if need be, mode 0400). From then on the
 *                  operations on interfaces, addresses and routes, netlink, and write_file below /proc/sys/net are carried out there.
 *                  Gives the pid, as init sees it, of a process that holds it
 */
#define RL_OPS(OP)              \
	OP(unshare, "i")        \
	OP(fork_pid1, "")       \
	OP(set_ids, "ii")       \
	OP(mount, "sssls")      \
	OP(umount, "si")        \
	OP(mkdir, "si")         \
	OP(rmdir, "s")          \
	OP(unlink, "s")         \
	OP(symlink, "ss")       \
	OP(write_file, "siis")  \
	OP(link_entries, "sss") \
	OP(link_up, "s")        \
	OP(link_mtu, "si")      \
	OP(tap, "s")            \
	OP(addr_add, "ssi")     \
	OP(route_default, "ss") \
	OP(mknod, "si")         \
	OP(netlink, "ib")       \
	OP(detach_netns, "s")

#define RL_OP_FIELDS_MAX 5

enum rl_opcode {
	RL_OP_NONE = 0,
#define OP(name, fields) RL_OP_##name,
	RL_OPS(OP)
#undef OP
	RL_OP_END,
};

#endif
