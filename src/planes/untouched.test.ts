import { expect, test } from "vitest";
import { serviceSpec } from "../core/table.ts";
import { FakePlane } from "../testkit/fake-plane.ts";
import { UntouchedPlane } from "./untouched.ts";

const web = serviceSpec({ kind: "address", family: 4, protocol: "tcp", address: "10.0.0.1", port: 80 });

test("what is asked of the table is answered without the plane, which the first change opens once", async () => {
  let opened = 0;
  const plane = new UntouchedPlane("ebpf", async () => {
    opened++;
    return new FakePlane().plane;
  });
  expect(await plane.services()).toEqual([]);
  expect(await plane.timeouts()).toEqual({ tcp: 900, tcpFin: 120, udp: 300 });
  await expect(plane.service(web.id)).rejects.toMatchObject({ code: "ESRCH" });
  await expect(plane.removeService(web.id)).rejects.toMatchObject({ code: "ESRCH" });
  await plane.flush();
  await plane.zero();
  expect(opened).toBe(0);

  await plane.addService(web);
  expect((await plane.services()).map(({ spec }) => spec.id)).toEqual([web.id]);
  await plane.removeService(web.id);
  expect(await plane.services()).toEqual([]);
  expect(opened).toBe(1);
});
