/**
 * What the labs of failover share: two directors with one address on one LAN, the first one better.
 * @module
 */
import type { LabHost, Step } from "../lab.ts";
import { VIP } from "./one-lan.ts";

export const PRIORITY = { 1: 150, 2: 100 } as const;

export const director = (number: 1 | 2): LabHost => ({
  name: `director${number}`,
  nics: [{ device: "eth0", network: "lan", addresses: [`192.168.80.${number === 1 ? 101 : 104}/24`] }],
  note: `priority ${PRIORITY[number]}`,
});

const configuration = (number: 1 | 2, sync: boolean): string => `global_defs {
    router_id director${number}
    vrrp_version 3${sync ? "\n    lvs_sync_daemon eth0 VI_1" : ""}
}

vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    priority ${PRIORITY[number]}
    advert_int 0.2
    virtual_ipaddress {
        ${VIP}/24
    }
}

virtual_server ${VIP} 80 {
    lvs_sched rr
    lvs_method DR
    protocol TCP
    real_server 192.168.80.102 80 {
        TCP_CHECK {
            connect_timeout 1
        }
    }
    real_server 192.168.80.103 80 {
        TCP_CHECK {
            connect_timeout 1
        }
    }
}
`;

/** @param sync with connection sync */
export const file = (number: 1 | 2, sync = false): Step => ({
  kind: "file",
  on: `director${number}`,
  name: `director${number}.conf`,
  text: configuration(number, sync),
});

/** @param sync with the key of connection sync */
export const start = (number: 1 | 2, sync = false): Step => ({
  kind: "daemon",
  on: `director${number}`,
  command: `${sync ? "env LVSD_SYNC_KEY=$PWD/sync.key " : ""}lvsd run -f director${number}.conf --pid director${number}.pid`,
  output: `director${number}.log`,
});

/** The interface of a director, once it has the VIP, or has it no more. */
export const address = (number: 1 | 2, has: boolean): Step => ({
  kind: "until",
  on: `director${number}`,
  command: "ip -br addr show eth0",
  holds: (output) => output.includes(`${VIP}/`) === has,
});

/** Both real servers in the table. */
export const table = (number: 1 | 2): Step => ({
  kind: "until",
  on: `director${number}`,
  command: "ipvsadm -Ln",
  holds: (output) => output.includes("192.168.80.102:80") && output.includes("192.168.80.103:80"),
});
