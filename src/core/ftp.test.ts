import { expect, describe as group, test } from "vitest";
import { DirectorBed, service, VIP, VIP6 } from "../testkit/director-bed.ts";

const FTP = service("tcp", VIP, 21);
const FTP6 = service("tcp", VIP6, 21);
const RS = "10.2.0.13";
const RS6 = "2001:db8:2::13";
const CLIENT = "10.1.0.2:4000";
const CLIENT6 = "[2001:db8:1::2]:4000";

/** A control connection after its handshake; the client's next sequence number is 10, the server's 501. */
function opened(): DirectorBed {
  const bed = new DirectorBed().add(FTP).to(FTP, RS, { port: 21 });
  bed.in(`tcp ${CLIENT} > ${VIP}:21 S seq=9`);
  bed.through(`tcp ${RS}:21 > ${CLIENT} SA seq=500 ack=10`);
  bed.in(`tcp ${CLIENT} > ${VIP}:21 A seq=10 ack=501`);
  return bed;
}
const opened6 = (): DirectorBed => {
  const bed = new DirectorBed().add(FTP6).to(FTP6, RS6, { port: 21 });
  bed.in(`tcp ${CLIENT6} > [${VIP6}]:21 S seq=9`);
  bed.through(`tcp [${RS6}]:21 > ${CLIENT6} SA seq=500 ack=10`);
  bed.in(`tcp ${CLIENT6} > [${VIP6}]:21 A seq=10 ack=501`);
  return bed;
};
const says = (text: string): string => `data=${JSON.stringify(text)}`;

group("active", () => {
  test.each(["PORT 10,1,0,2,200,10\r\n", "EPRT |1|10.1.0.2|51210|\r\n"])(
    "%j opens the way from the server's port 20, seen from port 20 of the VIP",
    (command) => {
      const bed = opened();
      const line = `tcp ${CLIENT} > ${VIP}:21 PA seq=10 ack=501 ${says(command)}`;
      expect(bed.in(line)).toEqual([`${RS} < ${line.replace(VIP, RS)}`]);
      expect(bed.states).toEqual(["ESTABLISHED", "LISTEN"]);
      expect(bed.through(`tcp ${RS}:20 > 10.1.0.2:51210 S`)).toEqual([
        `accept tcp ${VIP}:20 > 10.1.0.2:51210 S ttl=64`,
      ]);
      expect(bed.in(`tcp 10.1.0.2:51210 > ${VIP}:20 SA`)).toEqual([
        `${RS} < tcp 10.1.0.2:51210 > ${RS}:20 SA`,
      ]);
    },
  );

  test("EPRT over IPv6", () => {
    const bed = opened6();
    bed.in(`tcp ${CLIENT6} > [${VIP6}]:21 PA seq=10 ack=501 ${says("EPRT |2|2001:db8:1::2|51210|\r\n")}`);
    expect(bed.through(`tcp [${RS6}]:20 > [2001:db8:1::2]:51210 S`)).toEqual([
      `accept tcp [${VIP6}]:20 > [2001:db8:1::2]:51210 S ttl=64`,
    ]);
  });

  test("a repeated command opens no second way, and all goes when it is over", () => {
    const bed = opened();
    const line = `tcp ${CLIENT} > ${VIP}:21 PA seq=10 ack=501 ${says("PORT 10,1,0,2,200,10\r\n")}`;
    bed.in(line);
    bed.in(line);
    expect(bed.states).toEqual(["ESTABLISHED", "LISTEN"]);
    expect(bed.director.connections.children(1)).toBe(1);
    bed.wait(121);
    expect(bed.states).toEqual(["ESTABLISHED"]);
    bed.wait(900);
    expect(bed.states).toEqual([]);
  });

  test.each(["PORT 10,1,0,2,0,0\r\n", "PORT 10,1,0,256,1,1\r\n", "PORT 10,1,0\r\n", "EPRT |2|::1|9|\r\n"])(
    "%j passes and opens nothing",
    (command) => {
      const bed = opened();
      expect(bed.in(`tcp ${CLIENT} > ${VIP}:21 PA seq=10 ack=501 ${says(command)}`)).toHaveLength(1);
      expect(bed.states).toEqual(["ESTABLISHED"]);
    },
  );

  test("only the helper's connections are read: not by DR", () => {
    const bed = new DirectorBed().add(FTP).to(FTP, RS, { port: 21, method: "dr" });
    bed.in(`tcp ${CLIENT} > ${VIP}:21 S`);
    bed.in(`tcp ${CLIENT} > ${VIP}:21 A`);
    bed.in(`tcp ${CLIENT} > ${VIP}:21 PA ${says("PORT 10,1,0,2,200,10\r\n")}`);
    expect(bed.states).toEqual(["ESTABLISHED"]);
  });
});

group("passive", () => {
  const PASV = `tcp ${CLIENT} > ${VIP}:21 PA seq=10 ack=501 ${says("PASV\r\n")}`;
  const reply = (seq: number, text: string): string =>
    `tcp ${RS}:21 > ${CLIENT} PA seq=${seq} ack=16 ${says(text)}`;
  const shown = (seq: number, text: string): string =>
    `accept tcp ${VIP}:21 > ${CLIENT} PA seq=${seq} ack=16 ttl=64 ${says(text)}`;
  const OLD = "227 Entering Passive Mode (10,2,0,13,200,10)\r\n";
  // One byte shorter: 10,9,0,1 for 10,2,0,13.
  const NEW = "227 Entering Passive Mode (10,9,0,1,200,10)\r\n";

  test("227 names the VIP instead, and the first packet tells the client's port", () => {
    const bed = opened();
    bed.in(PASV);
    expect(bed.through(reply(501, OLD))).toEqual([shown(501, NEW)]);
    expect(bed.states).toEqual(["ESTABLISHED", "LISTEN"]);
    expect(bed.in(`tcp 10.1.0.2:4100 > ${VIP}:51210 S`)).toEqual([
      `${RS} < tcp 10.1.0.2:4100 > ${RS}:51210 S`,
    ]);
    expect(bed.director.connections.clientPort(2)).toBe(4100);
    expect(bed.through(`tcp ${RS}:51210 > 10.1.0.2:4100 SA`)).toEqual([
      `accept tcp ${VIP}:51210 > 10.1.0.2:4100 SA ttl=64`,
    ]);
    // The way was for one connection.
    expect(bed.in(`tcp 10.1.0.2:4101 > ${VIP}:51210 S`)).toEqual(["accept"]);
  });

  test("a reply that became shorter moves what follows, both ways", () => {
    const bed = opened();
    bed.in(PASV);
    bed.through(reply(501, OLD));
    const next = 501 + OLD.length;
    // The client acknowledges what it saw, the server hears of what it sent.
    expect(bed.in(`tcp ${CLIENT} > ${VIP}:21 A seq=16 ack=${next - 1}`)).toEqual([
      `${RS} < tcp ${CLIENT} > ${RS}:21 A seq=16 ack=${next}`,
    ]);
    expect(bed.through(reply(next, "150 Here it comes\r\n"))).toEqual([
      shown(next - 1, "150 Here it comes\r\n"),
    ]);
    const edges = (by: number): string =>
      [next + 5 + by, next + 9 + by].map((n) => n.toString(16).padStart(8, "0")).join("");
    expect(bed.in(`tcp ${CLIENT} > ${VIP}:21 A seq=16 ack=${next - 1} opts=0101050a${edges(-1)}`)).toEqual([
      `${RS} < tcp ${CLIENT} > ${RS}:21 A seq=16 ack=${next} opts=0101050a${edges(0)}`,
    ]);
  });

  test("a retransmitted reply is rewritten again and moves nothing twice", () => {
    const bed = opened();
    bed.in(PASV);
    const first = bed.through(reply(501, OLD));
    expect(bed.through(reply(501, OLD))).toEqual(first);
    const next = 501 + OLD.length;
    expect(bed.through(reply(next, "150\r\n"))).toEqual([shown(next - 1, "150\r\n")]);
    expect(bed.states).toEqual(["ESTABLISHED", "LISTEN"]);
  });

  test("shifts add up over several transfers", () => {
    const bed = opened();
    bed.in(PASV);
    bed.through(reply(501, OLD));
    const second = 501 + OLD.length;
    bed.in(`tcp ${CLIENT} > ${VIP}:21 PA seq=16 ack=${second - 1} ${says("PASV\r\n")}`);
    expect(bed.through(reply(second, OLD.replace("200,10", "200,11")))).toEqual([
      shown(second - 1, NEW.replace("200,10", "200,11")),
    ]);
    const third = second + OLD.length;
    expect(bed.through(reply(third, "150\r\n"))).toEqual([shown(third - 2, "150\r\n")]);
    expect(bed.in(`tcp ${CLIENT} > ${VIP}:21 A seq=22 ack=${third - 2}`)[0]).toContain(`ack=${third}`);
    // An error about the second reply speaks of the server's own numbers.
    const [error] = bed.in(
      `icmp 10.1.9.9 > ${VIP} unreach-host [ tcp ${VIP}:21 > ${CLIENT} PA seq=${second - 1} trunc=28 ]`,
    );
    const seq = second.toString(16).padStart(8, "0");
    expect(error).toContain(seq);
  });

  test("229 keeps its text; the port leads to the server", () => {
    const bed = opened();
    bed.in(`tcp ${CLIENT} > ${VIP}:21 PA seq=10 ack=501 ${says("EPSV\r\n")}`);
    const text = "229 Entering Extended Passive Mode (|||51210|)\r\n";
    expect(bed.through(reply(501, text))).toEqual([shown(501, text)]);
    expect(bed.in(`tcp 10.1.0.2:4100 > ${VIP}:51210 S`)).toEqual([
      `${RS} < tcp 10.1.0.2:4100 > ${RS}:51210 S`,
    ]);
  });

  test("EPSV over IPv6", () => {
    const bed = opened6();
    bed.in(`tcp ${CLIENT6} > [${VIP6}]:21 PA seq=10 ack=501 ${says("EPSV 2\r\n")}`);
    bed.through(`tcp [${RS6}]:21 > ${CLIENT6} PA seq=501 ack=18 ${says("229 Ok (|||51210|)\r\n")}`);
    expect(bed.in(`tcp [2001:db8:1::2]:4100 > [${VIP6}]:51210 S`)).toEqual([
      `${RS6} < tcp [2001:db8:1::2]:4100 > [${RS6}]:51210 S`,
    ]);
  });

  test("a 227 that nobody asked for stays as it is", () => {
    const bed = opened();
    expect(bed.through(reply(501, OLD))).toEqual([shown(501, OLD)]);
    expect(bed.states).toEqual(["ESTABLISHED"]);
  });
});

test("a persistent service's data connection hangs on the control connection, that on the template", () => {
  const bed = new DirectorBed().add(FTP, { persistent: true, timeoutS: 60 }).to(FTP, RS, { port: 21 });
  bed.in(`tcp ${CLIENT} > ${VIP}:21 S seq=9`);
  bed.in(`tcp ${CLIENT} > ${VIP}:21 A seq=10`);
  bed.in(`tcp ${CLIENT} > ${VIP}:21 PA seq=10 ${says("PORT 10,1,0,2,200,10\r\n")}`);
  const { connections } = bed.director;
  const [template, control, data] = [1, 2, 3];
  expect([connections.parent(data), connections.parent(control)]).toEqual([control, template]);
  bed.wait(130);
  expect(connections.children(control)).toBe(0);
  for (let i = 0; i < 20; i++) bed.wait(61);
  expect(connections.count).toBe(0);
});
