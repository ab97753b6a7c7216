import { type HelperDriver, usualAddresses } from "./driver.ts";

/** pasta: translates between the tap and ordinary sockets without a TCP stack of its own; faster than slirp4netns. */
export const pasta: HelperDriver = {
  name: "pasta",
  program: "pasta",
  addresses: usualAddresses,
  defaultMtu: 65520,
  probes: [
    ...["--config-net", "--ns-ifname", "--dns-forward", "--no-map-gw", "--ipv4-only", "--host-lo-to-ns-lo", "--pid"],
    "--conf-path", // since 2026: forwards can be changed while it runs, by pesto
  ],
  required: ["--config-net", "--ns-ifname", "--dns-forward", "--pid"],

  // Before it writes its pid it looks for ports that listen, which takes up to 40 ms. Its tap holds packets as soon as there is a
  // route to it, and IPv4's is the last thing that it sets up there.
  ready: ({ ipv6 }, { kind }) => (kind === "all" && !ipv6 ? "route" : "pid-file"),

  args(options, helper, forwarding) {
    const { child, gateway, dns, prefix } = usualAddresses(options);
    const args = ["--foreground", "--stderr"];
    if (this.ready(options, forwarding) === "pid-file") args.push("--pid", "{pid-file}");
    args.push("--config-net");
    args.push("--ns-ifname", options.ifname, "--mtu", String(options.mtu ?? this.defaultMtu));
    args.push("--address", child, "--netmask", String(prefix), "--gateway", gateway, "--dns-forward", dns);
    // Left alone, pasta maps every listening port of the host's loopback into the namespace.
    const none = ["--tcp-ns", "none", "--udp-ns", "none"];
    if (forwarding.kind === "all") {
      args.push("--tcp-ports", "auto", "--udp-ports", "auto");
      // Pasta of 2023 can't be kept from it then: its --tcp-ports auto does not work without --tcp-ns auto.
      if (options.disableHostLoopback && helper.features.has("--host-lo-to-ns-lo")) args.push(...none);
    } else args.push("--tcp-ports", "none", "--udp-ports", "none", ...none);
    if (forwarding.kind === "socket") args.push("--conf-path", forwarding.path);
    if (options.disableHostLoopback) args.push("--no-map-gw");
    if (!options.ipv6) args.push("--ipv4-only");
    if (helper.features.has("--host-lo-to-ns-lo")) args.push("--host-lo-to-ns-lo");
    return [...args, "{child}"];
  },

  before: () => [],
  after: () => [], // --config-net: pasta configures its interface itself
};
