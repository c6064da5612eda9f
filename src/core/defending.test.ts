import { expect, describe as group, test } from "vitest";
import { DirectorBed, service, VIP } from "../testkit/director-bed.ts";

const WEB = service("tcp", VIP, 80);
const DNS = service("udp", VIP, 53);
const A = "10.2.0.11";

group("automatic modes", () => {
  test("follow the memory once a second, and become each other", () => {
    const bed = new DirectorBed().add(WEB).to(WEB, A);
    bed.director.change({ amemthresh: 1000, secure_tcp: 1, drop_packet: 1, drop_entry: 2 });
    const modes = (): number[] => {
      const { secure_tcp, drop_packet, drop_entry } = bed.director.settings;
      return [secure_tcp, drop_packet, drop_entry];
    };
    expect(modes()).toEqual([1, 1, 1]);
    bed.host.pages = 500;
    expect(bed.director.tracker.secure).toBe(false);
    bed.wait(1);
    expect(modes()).toEqual([2, 2, 2]);
    expect(bed.director.tracker.secure).toBe(true);
    // 1000 / (1000 - 500): every second one.
    const passed = [1, 2, 3, 4].map((n) => bed.in(`tcp 10.1.0.2:${n} > ${VIP}:80 S`).length);
    expect(passed).toEqual([0, 1, 0, 1]);
    bed.host.pages = 1000;
    bed.wait(1);
    expect(modes()).toEqual([1, 1, 1]);
    expect(bed.in(`tcp 10.1.0.2:9 > ${VIP}:80 S`)).toHaveLength(1);
  });
});

group("drop_entry", () => {
  /** A director whose every die says "look at this one". */
  const bedOf = (): DirectorBed => {
    const bed = new DirectorBed(() => 0);
    bed.director.change({ drop_entry: 3 });
    return bed;
  };

  test("takes half-open connections and spares established ones that are not idle", () => {
    const bed = bedOf().add(WEB).to(WEB, A);
    for (let i = 0; i < 5; i++) bed.in(`tcp 10.1.0.2:${i + 1} > ${VIP}:80 S`);
    bed.in(`tcp 10.1.0.2:1 > ${VIP}:80 A`);
    bed.in(`tcp 10.1.0.2:2 > ${VIP}:80 FA`);
    bed.wait(1);
    expect(bed.states.sort()).toEqual(["ESTABLISHED", "TIME_WAIT"]);
    const [server] = bed.director.table.find(WEB).destinations;
    expect([server.active, server.inactive]).toEqual([1, 1]);
  });

  test("takes idle ones of few packets, of those with three every third", () => {
    const bed = bedOf().add(DNS).to(DNS, A, { port: 53 });
    for (let i = 1; i <= 6; i++) for (let n = 0; n < 3; n++) bed.in(`udp 10.1.0.2:${i} > ${VIP}:53`);
    for (let n = 0; n < 9; n++) bed.in(`udp 10.1.0.2:99 > ${VIP}:53`);
    bed.director.change({ drop_entry: 0 });
    bed.wait(59);
    bed.director.change({ drop_entry: 3 });
    bed.wait(1);
    expect(bed.states).toHaveLength(5);
  });

  test("takes the template of what it dropped along, if it never saw a connection complete", () => {
    const bed = bedOf().add(WEB, { persistent: true, timeoutS: 300 }).to(WEB, A);
    bed.in(`tcp 10.1.0.2:1 > ${VIP}:80 S`);
    bed.wait(1);
    expect(bed.states).toEqual([]);
    bed.in(`tcp 10.1.0.3:1 > ${VIP}:80 S`);
    bed.in(`tcp 10.1.0.3:1 > ${VIP}:80 A`);
    bed.in(`tcp 10.1.0.3:2 > ${VIP}:80 S`);
    bed.wait(1);
    expect(bed.states).toEqual(["ASSURED", "ESTABLISHED"]);
    const [server] = bed.director.table.find(WEB).destinations;
    expect([server.active, server.inactive, server.persistent]).toEqual([1, 0, 1]);
  });

  test("judges templates of one-packet services by their idleness", () => {
    const bed = bedOf()
      .add(DNS, { persistent: true, timeoutS: 300, onePacket: true })
      .to(DNS, A, { port: 53 });
    bed.in(`udp 10.1.0.2:1 > ${VIP}:53`);
    bed.wait(1);
    expect(bed.states).toEqual(["NONE"]);
    bed.wait(60);
    expect(bed.states).toEqual([]);
  });
});
