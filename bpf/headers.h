/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* IP headers as they lie in packets (RFC 791, RFC 8200). */
#pragma once

#include "bpf.h"

struct ipv4_header {
	__u8 version_length;
	__u8 tos;
	__be16 length;
	__be16 id;
	__be16 fragment;
	__u8 ttl;
	__u8 protocol;
	__u16 check;
	__be32 source;
	__be32 target;
};

struct ipv6_header {
	__be32 class_label;
	__be16 length;
	__u8 next;
	__u8 hops;
	__be32 source[4];
	__be32 target[4];
};
