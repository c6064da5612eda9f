/**
 * The interfaces with virtual hardware addresses that instances have (use_vmac): made, made again when they went away with the interface
 * they are on, and removed.
 * @module
 */
import type { HostInterface, VrrpHost } from "./host.ts";
import type { VrrpSpec } from "./spec.ts";
import { virtualMac, vmacName } from "./vmac.ts";

interface VirtualInterface {
  readonly name: string;
  readonly over: string;
  readonly mac: string;
}

export class VirtualInterfaces {
  readonly #host: VrrpHost;
  readonly #byInstance = new Map<string, VirtualInterface>();

  constructor(host: VrrpHost) {
    this.#host = host;
  }

  /** The name of an instance's; undefined for an instance without. */
  of(instance: string): string | undefined {
    return this.#byInstance.get(instance)?.name;
  }

  get names(): ReadonlySet<string> {
    return new Set([...this.#byInstance.values()].map((v) => v.name));
  }

  /** Makes what is wanted; what cannot be made. */
  make(spec: VrrpSpec): string[] {
    const problems: string[] = [];
    for (const i of spec.instances) {
      if (!i.vmac) continue;
      const wanted = { name: vmacName(i), over: i.interface, mac: virtualMac(i) };
      const former = this.#byInstance.get(i.name);
      if (former?.name === wanted.name && former.over !== wanted.over)
        this.#host.removeVirtualInterface(former.name);
      if (spec.dynamicInterfaces && !this.#host.interfaces().has(i.interface)) {
        this.#byInstance.set(i.name, wanted); // made when its base comes
        continue;
      }
      try {
        this.#host.virtualInterface(wanted.name, wanted.over, wanted.mac);
        this.#byInstance.set(i.name, wanted);
      } catch (error) {
        problems.push(`(${i.name}) use_vmac: ${(error as Error).message}`);
      }
    }
    return problems;
  }

  /** Makes those again whose base is there and that are not. Whether any was made. */
  makeLost(
    interfaces: ReadonlyMap<string, HostInterface>,
    onTrouble: (instance: string, text: string) => void,
  ): boolean {
    let made = false;
    for (const [instance, { name, over, mac }] of this.#byInstance) {
      if (interfaces.has(name) || !interfaces.has(over)) continue;
      try {
        this.#host.virtualInterface(name, over, mac);
        made = true;
      } catch (error) {
        onTrouble(instance, `use_vmac: ${(error as Error).message}`);
      }
    }
    return made;
  }

  /** Removes those that nothing in the specification wants. */
  removeUnwanted(spec: VrrpSpec): void {
    for (const [instance, { name, over }] of this.#byInstance) {
      const wanted = spec.instances.find((i) => i.name === instance);
      if (wanted?.vmac && vmacName(wanted) === name && wanted.interface === over) continue;
      this.#byInstance.delete(instance);
      if (!this.names.has(name)) this.#host.removeVirtualInterface(name);
    }
  }
}
