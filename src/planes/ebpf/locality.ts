/**
 * What lblc and lblcr remember: the destinations chosen for an address, by number.
 * @module
 */
import { LITTLE_ENDIAN } from "../../wire/netlink.ts";
import { LOCALITY, LOCALITY_KEY } from "./layout.ts";
import type { Maps } from "./maps.ts";

/** Takes a destination's number, which will be another's, out of every entry: 0 stands for one that is gone. */
export function forgetMember(maps: Maps, id: number): void {
  const map = maps.map("locality");
  for (const { count, keys, values } of map.batches()) {
    const v = new DataView(values.buffer);
    for (let i = 0; i < count; i++) {
      const at = i * LOCALITY.size;
      const members = v.getUint32(at + LOCALITY.at.count, LITTLE_ENDIAN);
      let found = false;
      for (let m = 0; m < members; m++) {
        const member = at + LOCALITY.at.members + 4 * m;
        if (v.getUint32(member, LITTLE_ENDIAN) !== id) continue;
        v.setUint32(member, 0, LITTLE_ENDIAN);
        found = true;
      }
      if (!found) continue;
      const key = keys.slice(i * LOCALITY_KEY.size, (i + 1) * LOCALITY_KEY.size);
      map.update(key, values.slice(at, at + LOCALITY.size));
    }
  }
}
