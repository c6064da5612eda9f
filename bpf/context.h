/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Reading and writing packets: the same words for TC (struct __sk_buff) and, with LVSD_XDP, for XDP. */
#pragma once

#include "bpf.h"

typedef struct __sk_buff packet;

#define PACKET_LENGTH(p) ((p)->len)

/* Copies LEN bytes (a constant) at OFF to TO; 0 when they are there. Headers mostly lie in the linear part, where reading is cheap. */
#define PEEK(P, OFF, TO, LEN)                                                                                          \
	({                                                                                                             \
		void *_from = (void *)(long)(P)->data + ((OFF) & 0x3fff);                                              \
		int _failed = 0;                                                                                       \
		if (_from + (LEN) <= (void *)(long)(P)->data_end)                                                      \
			__builtin_memcpy((TO), _from, (LEN));                                                          \
		else                                                                                                   \
			_failed = bpf_skb_load_bytes((P), (OFF) & 0x3fff, (TO), (LEN)) != 0;                           \
		_failed;                                                                                               \
	})

/* Writes bytes of a packet: 0, or what failed. Straight into the packet where its head reaches that far. */
#define POKE(P, OFF, FROM, LEN)                                                                                        \
	({                                                                                                             \
		void *_to = (void *)(long)(P)->data + ((OFF) & 0x3fff);                                                \
		int _failed = 0;                                                                                       \
		if (_to + (LEN) <= (void *)(long)(P)->data_end)                                                        \
			__builtin_memcpy(_to, (FROM), (LEN));                                                          \
		else                                                                                                   \
			_failed = bpf_skb_store_bytes((P), (OFF) & 0x3fff, (FROM), (LEN), 0) != 0;                     \
		_failed;                                                                                               \
	})
