import { expect, test } from "vitest";
import { AddressKeeper } from "./address-keeper.ts";
import type { AddressToSet, HostAddress, HostInterface, VrrpHost } from "./host.ts";

/** Addresses of one interface, and nothing else of a host. */
class Host {
  addresses: HostAddress[] = [];
  refuses = false;

  there(address: string, ours: boolean): void {
    this.addresses.push({ family: 4, address, prefix: 24, scope: 0, secondary: false, ours });
  }

  interfaces(): ReadonlyMap<string, HostInterface> {
    return new Map([["v0", { index: 1, up: true, mtu: 1500, mac: "", addresses: [...this.addresses] }]]);
  }

  addAddress(a: AddressToSet): void {
    if (this.refuses) throw new Error("EPERM");
    this.there(a.address, true);
  }

  removeAddress(a: AddressToSet): void {
    this.addresses = this.addresses.filter((x) => x.address !== a.address);
  }

  get list(): string[] {
    return this.addresses.map((a) => a.address);
  }
}

const want = (...addresses: string[]): AddressToSet[] =>
  addresses.map((address) => ({ device: "v0", address, prefix: 24, scope: 0, flags: [] }));

function bench(): { host: Host; keeper: AddressKeeper; told: string[] } {
  const host = new Host();
  const told: string[] = [];
  return {
    host,
    told,
    keeper: new AddressKeeper(host as unknown as VrrpHost, (_, __, address) => told.push(address)),
  };
}

test("what it set it takes back, and nothing else", () => {
  const { host, keeper } = bench();
  host.there("10.0.0.1", false);
  keeper.take("VI", want("10.0.0.100", "10.0.0.101"));
  expect(host.list).toEqual(["10.0.0.1", "10.0.0.100", "10.0.0.101"]);
  keeper.release("VI");
  expect(host.list).toEqual(["10.0.0.1"]);
});

test("an address that was there before is left alone, and told of", () => {
  const { host, keeper, told } = bench();
  host.there("10.0.0.100", false);
  keeper.adopt("VI", want("10.0.0.100"));
  expect(told).toEqual(["10.0.0.100"]);
  keeper.take("VI", want("10.0.0.100"));
  keeper.release("VI");
  expect(host.list).toEqual(["10.0.0.100"]);
});

test("what a killed run left behind goes when its instance starts", () => {
  const { host, keeper } = bench();
  host.there("10.0.0.100", true);
  keeper.adopt("VI", want("10.0.0.100"));
  expect(host.list).toEqual([]);
});

test("a new list is a difference: what stays is not touched", () => {
  const { host, keeper } = bench();
  keeper.take("VI", want("10.0.0.100", "10.0.0.101"));
  const [kept] = host.addresses;
  keeper.take("VI", want("10.0.0.100", "10.0.0.102"));
  expect(host.list).toEqual(["10.0.0.100", "10.0.0.102"]);
  expect(host.addresses[0]).toBe(kept);
});

test("an address of two instances stays until both have given it up", () => {
  const { host, keeper } = bench();
  keeper.take("A", want("10.0.0.100"));
  keeper.take("B", want("10.0.0.100"));
  keeper.release("A");
  expect(host.list).toEqual(["10.0.0.100"]);
  keeper.release("B");
  expect(host.list).toEqual([]);
});

test("what somebody removed is missing, and set again by the next take", () => {
  const { host, keeper } = bench();
  keeper.take("VI", want("10.0.0.100", "10.0.0.101"));
  host.removeAddress(want("10.0.0.101")[0]);
  const tracked = new Set(["10.0.0.100", "10.0.0.101"]);
  expect(keeper.missing("VI", tracked, host.interfaces())).toBe("10.0.0.101");
  expect(keeper.missing("VI", new Set(["10.0.0.100"]), host.interfaces())).toBeUndefined();
  keeper.take("VI", want("10.0.0.100", "10.0.0.101"));
  expect(host.list).toContain("10.0.0.101");
});

test("a refusal is told and no end", () => {
  const { host, keeper, told } = bench();
  host.refuses = true;
  keeper.take("VI", want("10.0.0.100"));
  expect(told).toEqual(["10.0.0.100"]);
  keeper.release("VI");
});
