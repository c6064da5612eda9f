import { expect, describe as group, test } from "vitest";
import { DirectorBed, destination, service, VIP } from "../testkit/director-bed.ts";

const WEB = service("tcp", VIP, 80);
const DNS = service("udp", VIP, 53);
const A = "10.2.0.11";
const CLIENT = "10.1.0.2:4000";

const counts = (bed: DirectorBed): number[] => {
  const [d] = bed.director.table.find(WEB).destinations;
  return [d.active, d.inactive, d.persistent];
};
/** The state after each segment; ">" from the client, "<" from the server. */
function walk(bed: DirectorBed, segments: string): string[] {
  return segments.split(" ").map((s) => {
    if (s[0] === ">") bed.in(`tcp ${CLIENT} > ${VIP}:80 ${s.slice(1)}`);
    else bed.through(`tcp ${A}:80 > ${CLIENT} ${s.slice(1)}`);
    return bed.states.join();
  });
}

group("states", () => {
  test("by NAT both sides are seen", () => {
    const bed = new DirectorBed().add(WEB).to(WEB, A);
    expect(walk(bed, ">S <SA >A >FA <FA")).toEqual([
      "SYN_RECV",
      "SYN_RECV",
      "ESTABLISHED",
      "CLOSE_WAIT",
      "TIME_WAIT",
    ]);
    expect(counts(bed)).toEqual([0, 1, 0]);
  });

  test("by DR only the client is seen, until a reply passes after all", () => {
    const bed = new DirectorBed().add(WEB).to(WEB, A, { method: "dr" });
    expect(walk(bed, ">S >A >FA >A")).toEqual(["SYN_RECV", "ESTABLISHED", "FIN_WAIT", "FIN_WAIT"]);
    bed.wait(121);
    walk(bed, ">S >A");
    bed.through(`tcp ${VIP}:80 > ${CLIENT} A`);
    expect(walk(bed, ">FA")).toEqual(["CLOSE_WAIT"]);
  });

  test("secure_tcp waits for the server's acknowledgement", () => {
    const bed = new DirectorBed().add(WEB).to(WEB, A);
    bed.director.change({ secure_tcp: 3 });
    expect(walk(bed, ">S <SA >A <A")).toEqual(["SYN_RECV", "SYNACK", "SYNACK", "ESTABLISHED"]);
  });

  test("active are SYN_RECV and ESTABLISHED, inactive what is closing; UDP never is active", () => {
    const bed = new DirectorBed().add(WEB).to(WEB, A).add(DNS).to(DNS, A, { port: 53 });
    const seen: number[][] = [];
    for (const segment of [">S", ">A", ">FA", ">S"]) {
      walk(bed, segment);
      seen.push(counts(bed));
    }
    expect(seen).toEqual([
      [1, 0, 0],
      [1, 0, 0],
      [0, 1, 0],
      [1, 0, 0],
    ]);
    bed.in(`udp ${CLIENT} > ${VIP}:53`);
    const [dns] = bed.director.table.find(DNS).destinations;
    expect([dns.active, dns.inactive]).toEqual([0, 1]);
  });

  test("a UDP template is assured by the first reply", () => {
    const bed = new DirectorBed().add(DNS, { persistent: true, timeoutS: 60 }).to(DNS, A, { port: 53 });
    bed.in(`udp ${CLIENT} > ${VIP}:53`);
    expect(bed.states).toEqual(["NONE", "UDP"]);
    bed.through(`udp ${A}:53 > ${CLIENT}`);
    expect(bed.states).toEqual(["ASSURED", "UDP"]);
  });
});

group("timeouts", () => {
  test("a new value holds from the next packet; the longest one lasts 49 days", () => {
    const bed = new DirectorBed().add(WEB).to(WEB, A);
    walk(bed, ">S >A");
    bed.director.tracker.setTimeouts({ tcp: 5, tcpFin: 0, udp: 0 });
    bed.wait(800);
    expect(bed.states).toEqual(["ESTABLISHED"]);
    walk(bed, ">A");
    bed.wait(5.2);
    expect(bed.states).toEqual([]);
    bed.director.tracker.setTimeouts({ tcp: 5_000_000, tcpFin: 0, udp: 0 });
    expect(bed.director.tracker.timeouts).toEqual({ tcp: 5_000_000, tcpFin: 120, udp: 300 });
    walk(bed, ">S >A");
    for (let day = 0; day < 40; day++) bed.wait(86400);
    expect(bed.states).toEqual(["ESTABLISHED"]);
  });
});

group("ports used again", () => {
  test("a SYN on a closed connection is scheduled anew and the old one goes, unless conn_reuse_mode is 0", () => {
    for (const mode of [1, 0]) {
      const bed = new DirectorBed().add(WEB).to(WEB, A);
      bed.director.change({ conn_reuse_mode: mode });
      walk(bed, ">S >A >R");
      bed.to(WEB, "10.2.0.12");
      expect(bed.in(`tcp ${CLIENT} > ${VIP}:80 S`)[0]).toContain(mode ? "10.2.0.12 <" : `${A} <`);
      bed.wait(0.2);
      expect(bed.states).toEqual(["SYN_RECV"]);
    }
  });

  test("DR in FIN_WAIT needs bit 2 of the mode", () => {
    for (const mode of [1, 2, 3]) {
      const bed = new DirectorBed().add(WEB).to(WEB, A, { method: "dr" });
      bed.director.change({ conn_reuse_mode: mode });
      walk(bed, ">S >A >FA");
      bed.to(WEB, "10.2.0.12", { method: "dr" });
      expect(bed.in(`tcp ${CLIENT} > ${VIP}:80 S`)[0]).toContain(mode === 1 ? `${A} <` : "10.2.0.12 <");
    }
  });

  test("expire_nodest_conn lets a SYN leave a quiesced server at once, and drops connections of removed ones", () => {
    const bed = new DirectorBed().add(WEB).to(WEB, A).to(WEB, "10.2.0.12");
    walk(bed, ">S >A");
    bed.director.table.editDestination(WEB, destination("10.2.0.12", { weight: 0 }));
    expect(bed.in(`tcp ${CLIENT} > ${VIP}:80 S`)[0]).toContain("10.2.0.12 <");
    bed.director.change({ expire_nodest_conn: 1 });
    expect(bed.in(`tcp ${CLIENT} > ${VIP}:80 S`)[0]).toContain(`${A} <`);
    bed.director.table.removeDestination(WEB, destination(A));
    bed.wait(0.2);
    expect(bed.states).toEqual([]);
  });
});
