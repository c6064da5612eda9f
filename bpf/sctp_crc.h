/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * SCTP's CRC32c after a port changed (RFC 9260 appendix A). A CRC is linear: what the two changed bytes contribute is their
 * difference, pushed through the bytes that follow, and that is a multiplication by x^(8 x bytes) modulo the polynomial. So the
 * payload is not read.
 */
#pragma once

#include "context.h"
#include "work.h"

/* CRC-32C polynomial, reflected. */
#define CRC_POLYNOMIAL 0x82f63b78u

/* x^(8 x 2^k) modulo the polynomial, reflected, k = 0..15. */
static const __u32 CRC_POWERS[16] = {
	0x00800000, 0x00008000, 0x82f63b78, 0x6ea2d55c, 0x18b8ea18, 0x510ac59a, 0xb82be955, 0xb8fdb1e7,
	0x88e56f72, 0x74c360a4, 0xe4172b16, 0x0d65762a, 0x35d73a62, 0x28461564, 0xbf455269, 0xe2ea32dc,
};

/* Chosen by a bit, from memory: the verifier would walk both ways of each of the many bits otherwise. */
static volatile const __u32 POLYNOMIAL_IF[2] = { 0, CRC_POLYNOMIAL };
static volatile const __u32 ALL_IF[2] = { 0, 0xffffffff };

/* A register of 32 bits shifted by one. */
INLINE __u32 crc_shift(__u32 n)
{
	return (n >> 1) ^ POLYNOMIAL_IF[n & 1];
}

/* a x b modulo the polynomial, reflected: the highest bit is x^0. */
SHARED int crc_multiply(__u32 a, __u32 b)
{
	__u32 product = 0;

	for (int i = 0; i < 32; i++) {
		product ^= b & ALL_IF[a >> 31];
		a <<= 1;
		b = crc_shift(b);
	}
	return product;
}

/* The port at the source's or target's place changed; the checksum at offset 8 follows. */
SHARED int update_sctp_crc(packet *p, struct work *w, __u32 end, __u32 from, __u32 to)
{
	__u32 length, behind, difference, check;

	if (!w)
		return 1;
	length = w->length - (w->l4 - w->l3);
	behind = (length - (end ? 4 : 2)) & 0xffff;
	/* The two bytes as a CRC register before what follows them is fed in: feeding d is feeding it to an empty register. */
	difference = from ^ to;
	for (int i = 0; i < 16; i++)
		difference = crc_shift(difference);
	for (int k = 0; k < 16; k++) {
		if ((behind >> k) & 1)
			difference = crc_multiply(difference, CRC_POWERS[k]);
	}
	if (PEEK(p, w->l4 + 8, &check, 4))
		return 1;
	check ^= difference;
	return POKE(p, w->l4 + 8, &check, 4) != 0;
}
