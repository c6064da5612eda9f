/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The Call-ID of a SIP message (core/sip.ts), byte by byte: the header `Call-ID` or `i` of any line but the first, then `word` or
 * `word@word` up to the end of the line.
 */
#pragma once

#include "context.h"
#include "work.h"

/* Where the scan is. From SCAN_NAME on: SCAN_NAME + bytes of "call-id" that were read. */
enum {
	SCAN_LINE,    /* within a line that does not matter */
	SCAN_START,   /* at the beginning of a line */
	SCAN_COMPACT, /* behind an `i` there */
	SCAN_COLON,   /* behind the name */
	SCAN_VALUE,   /* behind the colon */
	SCAN_WORD,    /* in the first word */
	SCAN_HOST,    /* behind the @ */
	SCAN_REST,    /* in the second word */
	SCAN_FOUND,
	SCAN_NONE,
	SCAN_NAME,
};

#define LONGEST_CALL_ID 255
#define CALL_CHUNK 1024
/* As many as the largest datagram has. */
#define CALL_CHUNKS 64

/* Bytes that a word is made of (RFC 3261 §25.1), and the comma: bit n is byte n, and byte 64 + n. */
#define WORD_LOW 0xd7ffffa600000000ULL
#define WORD_HIGH 0x6fffffffbffffffeULL

INLINE int is_word(__u32 b)
{
	if (b >= 128)
		return 0;
	return ((b < 64 ? WORD_LOW : WORD_HIGH) >> (b & 63)) & 1;
}

INLINE int is_blank(__u32 b)
{
	return b == ' ' || b == '\t';
}

INLINE int is_line_end(__u32 b)
{
	return b == '\r' || b == '\n';
}

INLINE int is_letter(__u32 b)
{
	return (b | 0x20) >= 'a' && (b | 0x20) <= 'z';
}

/* Byte n (1..6) of "call-id". */
INLINE __u32 name_byte(__u32 n)
{
	return (0x64692d6c6c6163ULL >> (8 * n)) & 0xff;
}

INLINE __u32 keep_byte(struct work *w, __u32 b, __u32 next)
{
	__u32 at = w->call.length;

	if (at < LONGEST_CALL_ID)
		w->call.id[at & 255] = b;
	w->call.length = at + 1;
	return next;
}

/* What follows a Call-ID ends the scan. */
INLINE __u32 end_call_id(const struct work *w, __u32 b)
{
	return is_line_end(b) && w->call.length <= LONGEST_CALL_ID ? SCAN_FOUND : SCAN_NONE;
}

/* Reads one byte. */
SHARED int scan_byte(struct work *w, __u32 b)
{
	__u32 at, other = is_line_end(b) ? SCAN_START : SCAN_LINE;

	if (!w)
		return SCAN_NONE;
	at = w->scanning;
	if (at == SCAN_LINE) {
		at = other;
	} else if (at == SCAN_START) {
		at = (b | 0x20) == 'i' ? SCAN_COMPACT : (b | 0x20) == 'c' ? SCAN_NAME + 1 : other;
	} else if (at > SCAN_NAME) {
		at -= SCAN_NAME;
		if ((is_letter(b) ? b | 0x20 : b) != name_byte(at & 7))
			at = other;
		else
			at = at == 6 ? SCAN_COLON : SCAN_NAME + at + 1;
	} else if (at == SCAN_COMPACT && is_letter(b)) {
		at = SCAN_LINE;
	} else if (at == SCAN_COMPACT || at == SCAN_COLON) {
		at = is_blank(b) ? SCAN_COLON : b == ':' ? SCAN_VALUE : SCAN_NONE;
	} else if (at == SCAN_VALUE) {
		if (is_word(b)) {
			__builtin_memset(w->call.id, 0, sizeof(w->call.id));
			w->call.length = 0;
			at = keep_byte(w, b, SCAN_WORD);
		} else if (!is_blank(b)) {
			at = other;
		}
	} else if (at == SCAN_WORD) {
		at = is_word(b) ? keep_byte(w, b, SCAN_WORD) : b == '@' ? keep_byte(w, b, SCAN_HOST) : end_call_id(w, b);
	} else if (at == SCAN_HOST) {
		at = is_word(b) ? keep_byte(w, b, SCAN_REST) : other;
	} else if (at == SCAN_REST) {
		at = is_word(b) ? keep_byte(w, b, SCAN_REST) : end_call_id(w, b);
	}
	w->scanning = at;
	return at;
}

/* Bytes that are scanned in a function of their own, for the verifier's sake. */
#define CALL_STRIDE 16

/* Reads the scratch from `from` on, up to `count` or CALL_STRIDE bytes; 1 when the scan has come to an end. */
SHARED int scan_bytes(struct work *w, __u32 from, __u32 count)
{
	__u32 at;

	if (!w)
		return 1;
	for (__u32 i = 0; i < CALL_STRIDE; i++) {
		if (from + i >= count)
			return 0;
		at = scan_byte(w, w->scratch[(from + i) & (CALL_CHUNK - 1)]);
		if (at == SCAN_FOUND || at == SCAN_NONE)
			return 1;
	}
	return 0;
}

/* Scans the datagram from `at` on, no more than a chunk; how many bytes were read, 0 when the scan has come to an end. */
SHARED int scan_datagram(packet *p, struct work *w, __u32 at, __u32 end)
{
	__u32 more;

	if (!w || at >= end)
		return 0;
	/* How many beside the first: at least one is read, and at most all that there is room for. */
	more = end - at - 1;
	if (more > CALL_CHUNK - 1)
		more = CALL_CHUNK - 1;
	BOUND(more, CALL_CHUNK - 1);
	if (bpf_skb_load_bytes(p, at, w->scratch, more + 1)) {
		w->scanning = SCAN_NONE;
		return 0;
	}
	for (__u32 from = 0; from < CALL_CHUNK; from += CALL_STRIDE) {
		if (scan_bytes(w, from, more + 1))
			return 0;
	}
	return more + 1;
}

/* Puts the Call-ID of the UDP datagram on the worksheet; 0 when there is none. */
SHARED int read_call_id(packet *p, struct work *w)
{
	__u32 at, end, read;

	if (!w)
		return 0;
	at = w->l4 + 8;
	end = w->l3 + w->length;
	w->scanning = SCAN_LINE;
	for (int i = 0; i < CALL_CHUNKS; i++) {
		read = scan_datagram(p, w, at, end);
		if (!read)
			break;
		at += read;
	}
	if (w->scanning != SCAN_FOUND)
		return 0;
	w->flow |= FLOW_CALL;
	return 1;
}
