import { expect, test } from "vitest";
import { hasDockerPackage, installCommand, parseDistribution } from "./distribution.ts";

const nothing = (): boolean => false;

test.each([
  ["Debian", 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nID=debian\n', "apt-get"],
  ["Ubuntu", 'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\n', "apt-get"],
  ["a derivative of one", 'ID=linuxmint\nID_LIKE="ubuntu debian"\n', "apt-get"],
  ["Fedora", "ID=fedora\nVERSION_ID=42\n", "dnf"],
  ["Rocky", 'ID="rocky"\nID_LIKE="rhel centos fedora"\n', "dnf"],
  ["openSUSE", 'ID="opensuse-leap"\nID_LIKE="suse opensuse"\n', "zypper"],
  ["Arch", "ID=arch\n", "pacman"],
  ["Manjaro", "ID=manjaro\nID_LIKE=arch\n", "pacman"],
  ["Alpine", "ID=alpine\nVERSION_ID=3.22.1\n", "apk"],
])("%s", (_, text, manager) => {
  expect(parseDistribution(text, nothing).manager).toBe(manager);
});

test("CentOS 7 has yum and no dnf", () => {
  const text =
    'NAME="CentOS Linux"\nID="centos"\nID_LIKE="rhel fedora"\nVERSION_ID="7"\nPRETTY_NAME="CentOS Linux 7 (Core)"\n';
  expect(parseDistribution(text, (program) => program === "yum")).toEqual({
    id: "centos",
    name: "CentOS Linux 7 (Core)",
    version: "7",
    manager: "yum",
  });
});

test("a distribution that nobody knows goes by the programs that it has", () => {
  expect(parseDistribution("ID=mine\n", (program) => program === "apk").manager).toBe("apk");
  expect(parseDistribution("", nothing)).toEqual({ id: "linux", name: "linux", version: "", manager: undefined });
});

test("one command installs the first of several packages that there is", () => {
  expect(installCommand("apt-get", "newuidmap")).toBe("apt-get install -y uidmap");
  expect(installCommand("apt-get", "network")).toBe("apt-get install -y passt || apt-get install -y slirp4netns");
  expect(installCommand("zypper", "newuidmap")).toBe("zypper --non-interactive install shadow");
});

test("dockerd comes from a distribution, or from Docker alone", () => {
  const has = (id: string) => hasDockerPackage(parseDistribution(`ID=${id}\n`, nothing));
  expect(["debian", "fedora", "alpine", "rhel", "centos"].map(has)).toEqual([true, true, true, false, false]);
});
