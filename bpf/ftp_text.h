/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Recognising the few FTP lines that name addresses and ports (core/ftp-text.ts). Whatever is malformed, split or out of range is not
 * recognised. The automata live in map memory, of which the verifier knows nothing, and take a byte a step.
 */
#pragma once

#include "work.h"

/* Bytes of a segment that are looked at: control lines are short. */
#define FTP_LONGEST 1024
#define FTP_ROOM 2048
/* "255,255,255,255,255,255". */
#define SIX_NUMBERS_MOST 23

struct ftp_text {
	__u8 byte[FTP_ROOM + 16]; /* followed by zeros */
	__u32 length;
	/* what was read */
	__be32 address[4];
	__u32 port;
	__u32 start; /* of the six numbers */
	__u32 end;
	/* automata */
	__u32 family;
	__u32 origin;
	__u32 found;
	__u32 passive;
	__u32 line_end;
	__u32 inside;
	__u32 bad;
	__u32 digits;
	__u32 value;
	__u32 count;
	__u32 number[8];
	__u32 quad;
	__u32 dots;
	__u32 colons;
	__u32 gap;
	__u32 hex;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ftp_text);
} ftp_texts SEC(".maps");

INLINE struct ftp_text *the_ftp_text(void)
{
	__u32 zero = 0;
	return bpf_map_lookup_elem(&ftp_texts, &zero);
}

INLINE __u32 byte_at(const struct ftp_text *t, __u32 i)
{
	BOUND(i, FTP_ROOM - 1);
	return t->byte[i];
}

/* Four bytes as a word, and letters as small ones. */
#define LETTERS(a, b, c, d) ((a) | (b) << 8 | (c) << 16 | (__u32)(d) << 24)

INLINE __u32 word_at(const struct ftp_text *t, __u32 i)
{
	BOUND(i, FTP_ROOM - 1);
	return LETTERS(t->byte[i], t->byte[i + 1], t->byte[i + 2], t->byte[i + 3]);
}

INLINE __u32 letters_at(const struct ftp_text *t, __u32 i)
{
	return word_at(t, i) | 0x20202020;
}

INLINE int is_digit(__u32 c)
{
	return c >= '0' && c <= '9';
}

INLINE int ends_line(__u32 c)
{
	return c == '\r' || c == '\n';
}

/* What may stand between the parts of EPRT and 229: printable, no digit. */
INLINE int is_delimiter(__u32 c)
{
	return c > ' ' && c < 0x7f && !is_digit(c);
}

/* Reads the beginning of a segment's payload; 0 when it is there. */
INLINE int load_text(packet *p, struct ftp_text *t, __u32 from, __u32 length)
{
	if (length > FTP_LONGEST)
		length = FTP_LONGEST;
	if (!length)
		return 1;
	length--;
	BOUND(length, FTP_LONGEST - 1);
	length++;
	if (bpf_skb_load_bytes(p, from, t->byte, length))
		return 1;
	t->length = length;
	for (int i = 0; i < 16; i++)
		t->byte[length + i] = 0;
	t->found = 0;
	t->line_end = 0;
	t->inside = 0;
	t->passive = 0;
	return 0;
}

/* --- requests ------------------------------------------------------------------------------------------------------------- */

enum { EPSV_OURS = 1, EPSV_OTHER = 2, PASV = 4 };

/* PASV, and EPSV with no or the connection's own family, on lines of their own. */
static long passive_at(__u32 i, void *unused)
{
	struct ftp_text *t = the_ftp_text();
	__u32 word, at = i + 4;

	(void)unused;
	if (!t || i >= t->length)
		return 1;
	if (i && byte_at(t, i - 1) != '\n')
		return 0;
	word = letters_at(t, i);
	if (word == LETTERS('p', 'a', 's', 'v')) {
		if (byte_at(t, at) == '\r' && byte_at(t, at + 1) == '\n')
			t->passive |= PASV;
		return 0;
	}
	/* The first one counts. */
	if (word != LETTERS('e', 'p', 's', 'v') || (t->passive & (EPSV_OURS | EPSV_OTHER)))
		return 0;
	word = 0;
	if (byte_at(t, at) == ' ') {
		word = byte_at(t, at + 1);
		if (word != '1' && word != '2')
			return 0;
		at += 2;
	}
	if (byte_at(t, at) == '\r' && byte_at(t, at + 1) == '\n')
		t->passive |= !word || word == (t->family == 4 ? '1' : '2') ? EPSV_OURS : EPSV_OTHER;
	return 0;
}

SHARED int asks_passive(struct ftp_text *t)
{
	if (!t)
		return 0;
	bpf_loop(FTP_LONGEST, passive_at, 0, 0);
	return t->passive & (t->family == 4 ? EPSV_OURS | PASV : EPSV_OURS);
}

/* A step of reading "a,b,c,d,p,q": the first run of digits and commas in the line that is exactly that. */
static long six_at(__u32 i, void *unused)
{
	struct ftp_text *t = the_ftp_text();
	__u32 c, n;

	(void)unused;
	if (!t)
		return 1;
	i += t->origin;
	if (i >= t->length)
		return 1;
	c = byte_at(t, i);
	if (is_digit(c) || c == ',') {
		if (!t->inside) {
			t->inside = 1;
			t->bad = 0;
			t->digits = 0;
			t->value = 0;
			t->count = 0;
			if (!t->found)
				t->start = i;
		}
		n = t->count;
		BOUND(n, 7);
		if (c != ',') {
			t->digits++;
			t->value = t->value * 10 + c - '0';
			if (t->digits > 3)
				t->bad = 1;
			if (!t->found)
				t->number[n] = t->value;
		} else {
			if (!t->digits || t->count >= 5)
				t->bad = 1;
			else
				t->count++;
			t->digits = 0;
			t->value = 0;
		}
		return 0;
	}
	if (t->inside && !t->found && !t->bad && t->count == 5 && t->digits) {
		t->found = 1;
		t->end = i;
	}
	t->inside = 0;
	if (!ends_line(c))
		return 0;
	t->line_end = i;
	return 1;
}

/* Six numbers in the rest of the line from `at`; 1 = address, port, start and end were read. */
SHARED int read_six(struct ftp_text *t, __u32 at)
{
	if (!t)
		return 0;
	t->origin = at;
	bpf_loop(FTP_LONGEST, six_at, 0, 0);
	if (!t->found || !t->line_end)
		return 0;
	for (int i = 0; i < 6; i++) {
		if (t->number[i] > 255)
			return 0;
	}
	t->address[0] = bpf_htonl(t->number[0] << 24 | t->number[1] << 16 | t->number[2] << 8 | t->number[3]);
	t->address[1] = t->address[2] = t->address[3] = 0;
	t->port = t->number[4] << 8 | t->number[5];
	return t->port != 0;
}

/* "PORT a,b,c,d,p,q" at the start of the segment. */
INLINE int read_port(struct ftp_text *t)
{
	if (letters_at(t, 0) != LETTERS('p', 'o', 'r', 't') || byte_at(t, 4) != ' ' || !read_six(t, 5))
		return 0;
	return t->start == 5 && t->end == t->line_end;
}

/* Where the address of EPRT begins. */
#define EPRT_ADDRESS 8

/* A decimal or hexadecimal digit, 16 for others. */
INLINE __u32 digit_of(__u32 c)
{
	if (is_digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

/* The group of IPv6 text that ends here. */
INLINE void end_group(struct ftp_text *t, __u32 value)
{
	__u32 n = t->count;

	if (n >= 8) {
		t->bad = 1;
		return;
	}
	BOUND(n, 7);
	t->number[n] = value;
	t->count++;
}

/*
 * A step of reading an address: `hex` and `value` are what the digits since the last separator say in either base; `quad` gathers
 * dotted numbers, `number` groups, `gap` where "::" stands.
 */
static long address_at(__u32 i, void *unused)
{
	struct ftp_text *t = the_ftp_text();
	__u32 c, digit;

	(void)unused;
	if (!t)
		return 1;
	i += t->origin;
	if (i >= t->end || t->bad)
		return 1;
	c = byte_at(t, i);
	if (c == '.') {
		if (!t->digits || t->value > 255 || ++t->dots > 3)
			t->bad = 1;
		t->quad = t->quad << 8 | (t->value & 0xff);
		t->digits = t->value = 0;
		t->hex = 0;
		return 0;
	}
	if (c == ':') {
		if (t->dots || ++t->colons > 2)
			t->bad = 1;
		if (t->digits)
			end_group(t, t->hex);
		if (t->colons == 2) {
			if (t->gap <= 8)
				t->bad = 1;
			t->gap = t->count;
		}
		t->digits = t->value = 0;
		t->hex = 0;
		return 0;
	}
	digit = digit_of(c);
	/* One colon alone does not begin an address. */
	if (digit > 15 || t->digits >= 4 || (t->colons == 1 && !t->count))
		t->bad = 1;
	/* No leading zeros in decimal numbers, and no letters. */
	if (digit > 9 || (t->digits && !t->value))
		t->value = 1000;
	t->value = t->value * 10 + digit;
	t->hex = t->hex << 4 | digit;
	t->digits++;
	t->colons = 0;
	return 0;
}

/* The groups and the gap between them as an address; 1 = they are one. */
SHARED int join_groups(struct ftp_text *t)
{
	__u32 missing = 0, group, n;

	if (!t)
		return 0;
	if (t->gap <= 8) {
		if (t->count > 7)
			return 0;
		missing = 8 - t->count;
	} else if (t->count != 8) {
		return 0;
	}
	t->address[0] = t->address[1] = t->address[2] = t->address[3] = 0;
	for (__u32 i = 0; i < 8; i++) {
		n = i;
		if (i >= t->gap) {
			if (i < t->gap + missing)
				continue;
			n = i - missing;
		}
		BOUND(n, 7);
		group = t->number[n];
		t->address[i / 2] |= bpf_htonl(i & 1 ? group : group << 16);
	}
	return 1;
}

/* The address of EPRT, up to t->end and of t->family. */
SHARED int read_address(struct ftp_text *t)
{
	if (!t)
		return 0;
	t->origin = EPRT_ADDRESS;
	t->bad = t->digits = t->value = t->hex = t->count = t->quad = t->dots = t->colons = 0;
	t->gap = 99;
	bpf_loop(64, address_at, 0, 0);
	if (t->bad || t->end - EPRT_ADDRESS > 64)
		return 0;
	if (t->dots) {
		if (t->dots != 3 || !t->digits || t->value > 255)
			return 0;
		t->quad = t->quad << 8 | t->value;
		if (t->family == 4) {
			t->address[0] = bpf_htonl(t->quad);
			t->address[1] = t->address[2] = t->address[3] = 0;
			return !t->count && t->gap > 8;
		}
		end_group(t, t->quad >> 16);
		end_group(t, t->quad & 0xffff);
	} else if (t->digits) {
		end_group(t, t->hex);
	} else if (t->colons != 2) {
		return 0;
	}
	return t->family == 6 && !t->bad && join_groups(t);
}

static long line_end_at(__u32 i, void *unused)
{
	struct ftp_text *t = the_ftp_text();

	(void)unused;
	if (!t || i >= t->length)
		return 1;
	if (!ends_line(byte_at(t, i)))
		return 0;
	t->line_end = i;
	return 1;
}

/*
 * "EPRT |1|address|port|" (2 for IPv6) at the start of the segment: read from its end, as addresses may hold the delimiter. The address
 * is left to read_address().
 */
SHARED int read_eprt(struct ftp_text *t)
{
	__u32 delimiter, at, scale = 1, port = 0, digits = 0, c;

	if (!t || letters_at(t, 0) != LETTERS('e', 'p', 'r', 't') || byte_at(t, 4) != ' ')
		return 0;
	delimiter = byte_at(t, 5);
	if (!is_delimiter(delimiter) || byte_at(t, 6) != (t->family == 4 ? '1' : '2') || byte_at(t, 7) != delimiter)
		return 0;
	t->line_end = 0;
	bpf_loop(FTP_LONGEST, line_end_at, 0, 0);
	if (t->line_end < 12)
		return 0;
	at = t->line_end - 1;
	if (byte_at(t, at) != delimiter)
		return 0;
	for (int i = 0; i < 5; i++) {
		c = byte_at(t, at - 1);
		if (!is_digit(c))
			break;
		port += (c - '0') * scale;
		scale *= 10;
		digits++;
		at--;
	}
	at--;
	if (!digits || at <= EPRT_ADDRESS || byte_at(t, at) != delimiter || port < 1 || port > 65535)
		return 0;
	t->port = port;
	t->end = at;
	return 1;
}

/* --- replies -------------------------------------------------------------------------------------------------------------- */

/* "(|||port|)": the first in the line counts. */
static long extended_at(__u32 i, void *unused)
{
	struct ftp_text *t = the_ftp_text();
	__u32 c, delimiter, at, port = 0, digits = 0;

	(void)unused;
	i += 4;
	if (!t || i >= t->length)
		return 1;
	c = byte_at(t, i);
	if (ends_line(c))
		return 1;
	if (c != '(')
		return 0;
	delimiter = byte_at(t, i + 1);
	if (!is_delimiter(delimiter) || byte_at(t, i + 2) != delimiter || byte_at(t, i + 3) != delimiter)
		return 0;
	at = i + 4;
	for (int n = 0; n < 5; n++) {
		c = byte_at(t, at);
		if (!is_digit(c))
			break;
		port = port * 10 + c - '0';
		digits++;
		at++;
	}
	if (!digits || byte_at(t, at) != delimiter || byte_at(t, at + 1) != ')')
		return 0;
	t->found = 1;
	t->port = port;
	return 1;
}

/* "227 ... a,b,c,d,p,q ...". */
INLINE int read_227(struct ftp_text *t)
{
	return word_at(t, 0) == LETTERS('2', '2', '7', ' ') && read_six(t, 4);
}

/* "229 ... (|||port|)". */
SHARED int read_229(struct ftp_text *t)
{
	if (!t || word_at(t, 0) != LETTERS('2', '2', '9', ' '))
		return 0;
	t->found = 0;
	bpf_loop(FTP_LONGEST, extended_at, 0, 0);
	return t->found && t->port >= 1 && t->port <= 65535;
}
