/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Counters: destination, service and total, each per CPU. A destination that left its service counts no more (callers see to it). */
#pragma once

#include "work.h"

INLINE void count_in(const struct work *w)
{
	__u32 dest = w->dest, service = w->service, total = 0;
	struct dest_stats *d = bpf_map_lookup_elem(&dest_stats, &dest);
	struct stats *s;

	if (!dest || !d)
		return;
	d->in_packets++;
	d->in_bytes += w->length;
	s = bpf_map_lookup_elem(&service_stats, &service);
	if (s) {
		s->in_packets++;
		s->in_bytes += w->length;
	}
	s = bpf_map_lookup_elem(&service_stats, &total);
	if (s) {
		s->in_packets++;
		s->in_bytes += w->length;
	}
}

INLINE void count_out(const struct work *w)
{
	__u32 dest = w->dest, service = w->service, total = 0;
	struct dest_stats *d = bpf_map_lookup_elem(&dest_stats, &dest);
	struct stats *s;

	if (!dest || !d)
		return;
	d->out_packets++;
	d->out_bytes += w->length;
	s = bpf_map_lookup_elem(&service_stats, &service);
	if (s) {
		s->out_packets++;
		s->out_bytes += w->length;
	}
	s = bpf_map_lookup_elem(&service_stats, &total);
	if (s) {
		s->out_packets++;
		s->out_bytes += w->length;
	}
}

INLINE void count_connection(const struct work *w)
{
	__u32 dest = w->dest, service = w->scheduled, total = 0;
	struct dest_stats *d = bpf_map_lookup_elem(&dest_stats, &dest);
	struct stats *s;

	if (d)
		d->conns++;
	s = bpf_map_lookup_elem(&service_stats, &service);
	if (s)
		s->conns++;
	s = bpf_map_lookup_elem(&service_stats, &total);
	if (s)
		s->conns++;
}
