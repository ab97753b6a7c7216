import type { Addresses, ReasonedInstruction } from "./driver.ts";

/** A tap device that is there before its helper: it keeps its addresses when the helper is started again. */
export const makeTap = (ifname: string): ReasonedInstruction => ({
  op: ["tap", ifname],
  why: "a persistent tap device, so that its addresses outlive the helper",
});

/** What a tap device gets once its helper is ready. `mtu` is in bytes. */
export function configureTap(ifname: string, mtu: number, addresses: Addresses): ReasonedInstruction[] {
  const { child, gateway, prefix } = addresses;
  return [
    { op: ["link_mtu", ifname, mtu], why: "large frames: fewer of them, more throughput" },
    { op: ["link_up", ifname], why: "the tap carries packets from here on" },
    { op: ["addr_add", ifname, child, prefix], why: "the address that the helper forwards to" },
    { op: ["route_default", ifname, gateway], why: "the helper is the router" },
  ];
}
