/** A small BPF object for the tests of this folder, compiled by clang when they run. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const SOURCE = `
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1000);
	__type(key, __u32);
	__type(value, __u64);
} squares SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} each SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

const volatile __u32 step = 1;

SEC("tc") int count(struct __sk_buff *skb)
{
	__u32 k = 0;
	__u64 *n = bpf_map_lookup_elem(&counts, &k);
	if (n)
		__sync_fetch_and_add(n, step);
	n = bpf_map_lookup_elem(&each, &k);
	if (n)
		*n += 1;
	__u32 say[2] = { skb->mark, skb->ingress_ifindex };
	bpf_ringbuf_output(&events, say, sizeof(say), 0);
	skb->mark = skb->len;
	return -1;
}

SEC("tc") int count_twice(struct __sk_buff *skb)
{
	__u32 k = 1;
	__u64 *n = bpf_map_lookup_elem(&counts, &k);
	if (n)
		__sync_fetch_and_add(n, 2);
	return -1;
}

SEC("tc") int bad(struct __sk_buff *skb)
{
	__u32 k = 0;
	__u64 *n = bpf_map_lookup_elem(&squares, &k);
	return *n;
}

SEC("xdp") int pass(struct xdp_md *xdp)
{
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
`;

/** The object's bytes; undefined without clang or libbpf's headers. */
export function compileToy(source: string = SOURCE): Uint8Array | undefined {
  const folder = mkdtempSync(join(tmpdir(), "lvsd-toy-"));
  try {
    writeFileSync(join(folder, "toy.c"), source);
    const words = ["-O2", "-g", "-target", "bpf", "-mcpu=v3", "-c", "toy.c", "-o", "toy.o"];
    const include = spawnSync("gcc", ["-print-multiarch"], { encoding: "utf8" }).stdout?.trim();
    if (include) words.push("-I", `/usr/include/${include}`);
    const { status } = spawnSync("clang", words, { cwd: folder, stdio: "ignore" });
    return status === 0 ? readFileSync(join(folder, "toy.o")) : undefined;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
