/** A text of which part is replaced. */
type Replacement = readonly [of: RegExp, by: string];

/**
 * Something in which rlkit differs from the RootlessKit that it is compared with, and why. What it replaces in the texts of the two
 * takes exactly this difference away; where nothing else is left, the case is the same.
 */
export interface Difference {
  readonly what: string;
  readonly why: string;
  /** The cases in which it may show, by their ids; all if there is none. */
  readonly in?: RegExp;
  readonly theirs?: Replacement;
  readonly ours?: Replacement;
}

const NEWER = "RootlessKit 3.1 does so; the one that this was compared with is 1.1";
const ALL: Replacement = [/^[\s\S]*$/, ""];

/** All that is known. One that shows nowhere any more is an error, and so is what none of them takes away. */
export const differences: readonly Difference[] = [
  {
    what: "`Incorrect Usage:` with a colon before a mistake on the command line",
    why: NEWER,
    theirs: [/^Incorrect Usage\./, "Incorrect Usage:"],
  },
  {
    what: "Log lines begin with `[rootlesskit:parent]`",
    why: NEWER,
    ours: [/msg="\[rootlesskit:parent\] /g, 'msg="'],
  },
  {
    what: "The warning about the host's loopback names pasta as well",
    why: NEWER,
    theirs: [/requires slirp4netns or VPNKit/, "requires a network"],
    ours: [/requires pasta, slirp4netns, or VPNKit/, "requires a network"],
  },
  {
    what: "`--net=none`",
    why: NEWER,
    in: /--net=none|without a port driver/,
    theirs: ALL,
    ours: ALL,
  },
  {
    what: "`--copy-up=/etc,/run` are two directories",
    why: NEWER,
    in: /--copy-up=\/etc,/,
    theirs: ALL,
    ours: ALL,
  },
  {
    what: "`custom cidr is not supported for --net=host`",
    why: NEWER,
    theirs: [/custom cidr is supported only for --net=slirp4netns/, "no custom cidr"],
    ours: [/custom cidr is not supported for --net=host/, "no custom cidr"],
  },
  {
    what: "`apiVersion` is 1.1.2",
    why: NEWER,
    theirs: [/1\.1\.1/g, "VERSION"],
    ours: [/1\.1\.2/g, "VERSION"],
  },
  {
    what: "`unsupported port protocol sctp`",
    why: NEWER,
    theirs: [/spec was not validated\?/, "no sctp"],
    ours: [/unsupported port protocol sctp/, "no sctp"],
  },
  {
    what: "An address that is none is called `invalid ParentIP`",
    why: "the words of the API's own check, here and there",
    theirs: [/unexpected ParentIP in (PortSpec string: "[^"]*")/, "$1"],
    ours: [/invalid (PortSpec string: "[^"]*"): invalid ParentIP: "[^"]*"/, "$1"],
  },
  {
    what: "`portDriver` in the API's info has `capabilities`",
    why: "rlkit's own: clients of RootlessKit ignore what they don't know",
    ours: [/,\s*"capabilities": ?\{[^}]*\}/, ""],
  },
  {
    what: "No temporary state directory is left behind when the command line is refused",
    why: "RootlessKit makes it before its checks, and forgets it",
    theirs: [/^rootlesskitN$/, ""],
  },
  {
    what: "Errors go on with what to do about them (`To do: …`)",
    why: "the words that people and scripts look for stay in front",
    ours: [/\. To do: [^\n"]*/g, ""],
  },
  {
    what: "A port that is none is printed as a number",
    why: "RootlessKit prints it as a character",
    theirs: [/invalid (Parent|Child)Port: '[^']*'/, "invalid $1Port"],
    ours: [/(invalid PortSpec string: "[^"]*": )?invalid (Parent|Child)Port: \d+/, "invalid $2Port"],
  },
  {
    what: "A state directory that can't be made: which one, and why",
    why: "one sentence for every cause, with what to do",
    theirs: [/mkdir \/proc\/x: no such file or directory|creating a state directory: stat \/none: no such .*/, "none"],
    ours: [/cannot use the state directory \S+: it can't be made \(\w+\)/, "none"],
  },
  {
    what: "A state directory that is in use: by whom",
    why: "the sentence is RootlessKit's; who it is stands behind it",
    ours: [/ \(pid \d+ \(.*\)\)/, ""],
  },
  {
    what: "A state directory that can't be removed at the end is told",
    why: "RootlessKit leaves it there without a word",
    in: /chown 1:1/,
    ours: [/^time="T" level=warning msg="cannot remove the state directory .*\n/, ""],
  },
  {
    what: "A privileged port: no advice to give capabilities to the launcher",
    why: "rlkit is Node, which nobody should give capabilities",
    theirs: [/failed to expose port \{.*?\}: (.*), or set CAP_NET_BIND_SERVICE on rootlesskit binary/, "$1"],
  },
  {
    what: "newuidmap that is not found: the packages that bring it",
    why: "RootlessKit prints the command that failed",
    theirs: [/failed to setup UID\/GID map: newuidmap .*/, "no newuidmap"],
    ours: [/newuidmap and newgidmap not found on PATH.*/, "no newuidmap"],
  },
  {
    what: "The state directory is 0700 and api.sock 0600, and only the owner may connect",
    why: "whoever reaches the API publishes ports as the user",
    in: /^the state directory/,
    theirs: [/^755 directory \.(\n[\s\S]*)755 socket/, "700 directory .$1600 socket"],
  },
  {
    what: "No published ports are `[]` and not `null`",
    why: "clients take both",
    in: /^API/,
    theirs: [/\nnull$/, "\n[]"],
  },
  {
    what: "Errors of the API have the content type `application/json`",
    why: "RootlessKit sets it too late; clients look at the body",
    in: /^API/,
    theirs: [
      /^(HTTP\/1\.1 400 Bad Request\n)Content-Type: text\/plain; charset=utf-8/,
      "$1Content-Type: application/json",
    ],
  },
  {
    what: "`POST /v1/ports` takes an array as well: all of it is published, or nothing",
    why: "rlkit's own",
    in: /^API, requests that are wrong/,
    theirs: [/^[\s\S]*cannot unmarshal array into Go value of type port\.Spec[\s\S]*$/, "array"],
    ours: [/^HTTP\/1\.1 201 Created\n.*\n\[\]$/, "array"],
  },
];
