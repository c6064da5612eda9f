/**
 * Programs that others wrote for ip_vs, in a virtual machine: Debian's ldirectord, which calls /sbin/ipvsadm, with our ipvsadm in
 * that place; and Debian's keepalived, which speaks netlink itself, with its rules listed and changed by ours. Only with
 * LVSD_KERNEL=all (`npm run test:kernel`).
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { obstacle, ROOT, runInGuest } from "./guest.ts";
import type { Task, Told } from "./peers-player.ts";

/** A removed server and one with weight 0, one address of each family. */
const LDIRECTORD = `checkinterval=1
checktimeout=20
negotiatetimeout=20
autoreload=no
logfile="/run/ldirectord-peers.log"

virtual=10.91.0.100:80
        real=10.92.1.2:80 masq 1
        real=10.92.2.2:80 masq 1
        fallback=127.0.0.1:80 gate
        service=http
        scheduler=rr
        protocol=tcp
        checktype=negotiate
        request="index.html"
        receive="alive"
        quiescent=no

virtual6=[fd91::100]:80
        real6=[fd92:1::2]:80 masq 1
        real6=[fd92:2::2]:80 masq 2
        scheduler=wrr
        protocol=tcp
        checktype=connect
        quiescent=yes
`;

const KEEPALIVED = `global_defs {
    router_id director
}
virtual_server 10.91.0.100 80 {
    delay_loop 1
    lvs_sched wrr
    lvs_method NAT
    protocol TCP
    retry 1
    delay_before_retry 1
    real_server 10.92.1.2 80 {
        weight 3
        TCP_CHECK {
            connect_timeout 10
        }
    }
    real_server 10.92.2.2 80 {
        weight 1
        uthreshold 1000
        lthreshold 800
        TCP_CHECK {
            connect_timeout 10
        }
    }
    sorry_server 127.0.0.1 80
}
virtual_server fwmark 5 {
    lvs_sched sh
    sh-port
    sh-fallback
    lvs_method DR
    persistence_timeout 300
    persistence_granularity 255.255.255.0
    real_server 10.92.1.2 {
        weight 2
    }
}
virtual_server fd91::100 80 {
    delay_loop 1
    lvs_sched mh
    mh-port
    lvs_method NAT
    protocol TCP
    retry 1
    delay_before_retry 1
    real_server fd92:1::2 80 {
        weight 4
        TCP_CHECK {
            connect_timeout 10
        }
    }
    real_server fd92:2::2 80 {
        weight 5
        inhibit_on_failure
        TCP_CHECK {
            connect_timeout 10
        }
    }
}
virtual_server 10.91.0.101 5300 {
    lvs_sched rr
    lvs_method TUN
    ops
    protocol UDP
    real_server 10.92.1.2 5300 {
        lvs_method TUN type gue port 6080
        weight 1
    }
    real_server 10.92.2.2 5300 {
        lvs_method TUN type gre csum
        weight 9
    }
}
`;

const all = process.env["LVSD_KERNEL"] === "all";

/** Why these tests cannot be had here, or "". */
function why(): string {
  if (!all) return "minutes in the emulated machine; they are part of npm run test:kernel";
  for (const program of ["ldirectord", "keepalived"]) {
    if (spawnSync("sh", ["-c", `command -v ${program}`]).status !== 0)
      return `needs ${program} (Debian package ${program})`;
  }
  return obstacle();
}
const reason = why();
if (reason) console.log(`ldirectord and keepalived on the kernel plane are left out: ${reason}`);

const task: Task = {
  ipvsadm: join(ROOT, "dist/ipvsadm.cjs"),
  ldirectord: LDIRECTORD,
  keepalived: KEEPALIVED,
};
const lines = (...text: string[]): string => text.map((line) => `${line}\n`).join("");

describe.skipIf(reason !== "")("beside our ipvsadm on the kernel plane", () => {
  const outcomes = new Map<string, Told>();
  beforeAll(async () => {
    const entry = join(import.meta.dirname, "peers-player.ts");
    await runInGuest<Told>(entry, [task], (told) => outcomes.set(told.step, told), 1500);
  }, 2_400_000);

  const seen = (step: string): Told => {
    const told = outcomes.get(step);
    expect(told, `"${step}" was played`).toBeDefined();
    return told!;
  };

  const bothUp = lines(
    "-A -t 10.91.0.100:80 -s rr",
    "-a -t 10.91.0.100:80 -r 10.92.1.2:80 -m -w 1",
    "-a -t 10.91.0.100:80 -r 10.92.2.2:80 -m -w 1",
    "-A -t [fd91::100]:80 -s wrr",
    "-a -t [fd91::100]:80 -r [fd92:1::2]:80 -m -w 1",
    "-a -t [fd91::100]:80 -r [fd92:2::2]:80 -m -w 2",
  );
  const everyone = [
    "10.91.0.100 alive one",
    "10.91.0.100 alive two",
    "[fd91::100] alive one",
    "[fd91::100] alive two",
  ];

  for (const whose of ["Debian's", "ours"]) {
    describe(`ldirectord with ${whose} ipvsadm`, () => {
      const when = (step: string): Told => seen(`ldirectord with ${whose}: ${step}`);

      it("puts its services and servers in, and both servers answer the client", () => {
        expect(when("started").rules).toBe(bothUp);
        expect(when("started").answers).toEqual(everyone);
      });
      it("takes a dead server out, or sets it to weight 0 where it is to be quiescent", () => {
        expect(when("one down").rules).toBe(
          bothUp
            .replace("-a -t 10.91.0.100:80 -r 10.92.1.2:80 -m -w 1\n", "")
            .replace("[fd92:1::2]:80 -m -w 1", "[fd92:1::2]:80 -m -w 0"),
        );
        expect(when("one down").answers).toEqual(everyone.filter((answer) => answer.endsWith("two")));
      });
      it("puts the fallback in when nobody is left", () => {
        expect(when("both down").rules).toBe(
          lines(
            "-A -t 10.91.0.100:80 -s rr",
            "-a -t 10.91.0.100:80 -r 127.0.0.1:80 -g -w 1",
            "-A -t [fd91::100]:80 -s wrr",
            "-a -t [fd91::100]:80 -r [fd92:1::2]:80 -m -w 0",
            "-a -t [fd91::100]:80 -r [fd92:2::2]:80 -m -w 0",
          ),
        );
        expect(when("both down").answers).toEqual(["10.91.0.100 alive sorry"]);
      });
      it("puts the servers back in when they return", () => {
        expect(when("both back").rules).toBe(bothUp);
        expect(when("both back").answers).toEqual(everyone);
      });
      it("knows itself running, and cleans up when stopped", () => {
        expect(when("stopped").said).toContain("is running with pid: PID");
        expect(when("stopped").rules).toBe("");
      });
      it("leaves tables and connections that both ipvsadm list alike", () => {
        const { listings } = when("started");
        expect(listings.ours).toBe(listings.debians);
        expect(listings.ours).toContain("IPVS connection entries");
        expect(listings.ours).toMatch(/^TCP .* 10\.91\.0\.2:\d+ +10\.91\.0\.100:80 +10\.92\.[12]\.2:80$/m);
      });
    });
  }

  describe("keepalived", () => {
    const made = lines(
      "-A -t 10.91.0.100:80 -s wrr",
      "-a -t 10.91.0.100:80 -r 10.92.1.2:80 -m -w 3",
      "-a -t 10.91.0.100:80 -r 10.92.2.2:80 -m -w 1",
    );

    it("has its rules listed by ours, in every listing as by Debian's", () => {
      const { rules, listings, answers } = seen("keepalived: started");
      expect(rules).toContain(made);
      expect(rules).toContain("-A -f 5 -s sh -p 300 -M 255.255.255.0 -b sh-fallback,sh-port\n");
      expect(rules).toContain("-r 10.92.1.2:5300 -i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum\n");
      expect(rules).toContain("-A -u 10.91.0.101:5300 -s rr -o\n");
      expect(rules).toContain("-A -t [fd91::100]:80 -s mh -b mh-port\n");
      expect(listings.ours).toMatch(/10\.92\.2\.2:80 +1000 +800 /);
      expect(listings.ours).toBe(listings.debians);
      expect(answers).toEqual(["10.91.0.100 alive one", "10.91.0.100 alive two"]);
    });
    it("shares its table: a weight set by ours is what Debian's lists", () => {
      const { said, listings } = seen("keepalived: weight by ours");
      expect(said).toContain("-a -t 10.91.0.100:80 -r 10.92.1.2:80 -m -w 7\n");
      expect(listings.ours).toBe(listings.debians);
    });
    it("takes a dead server out under the eyes of ours, and back in", () => {
      const { rules, listings, answers } = seen("keepalived: one down");
      expect(rules).not.toContain("10.92.2.2:80");
      expect(rules).toContain("-a -t [fd91::100]:80 -r [fd92:2::2]:80 -m -w 0\n");
      expect(answers).toEqual(["10.91.0.100 alive one"]);
      expect(listings.ours).toBe(listings.debians);
      const back = seen("keepalived: back");
      expect(back.rules).toContain("-a -t 10.91.0.100:80 -r 10.92.2.2:80 -m -w 1\n");
      expect(back.listings.ours).toBe(back.listings.debians);
    });
    it("cleans up when stopped", () => {
      expect(seen("keepalived: stopped").rules).toBe("");
    });
  });
});
