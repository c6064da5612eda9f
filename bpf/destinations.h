/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Binding connections to destinations: active, inactive and persistent counts, and the overload flag with its hysteresis. */
#pragma once

#include "work.h"

/* May get new connections. */
INLINE int usable(const struct load *l)
{
	return l->weight && !l->overloaded;
}

INLINE int is_available(__u32 id)
{
	struct dest *d = dest_at(id);

	return d && (READ_ONCE(d->flags) & DEST_FLAG_AVAILABLE);
}

/* One more inactive connection. */
INLINE void bind_connection(__u32 id)
{
	struct dest *d = dest_at(id);
	struct load *l = load_of(id);
	__u32 upper;

	if (!d || !l)
		return;
	ADD(&l->inactive, 1);
	upper = READ_ONCE(d->upper);
	if (upper && READ_ONCE(l->active) + READ_ONCE(l->inactive) >= upper)
		WRITE_ONCE(l->overloaded, 1);
}

/* One less; which count it leaves is the connection's own flag's affair. */
INLINE void unbind_connection(__u32 id, int inactive)
{
	struct dest *d = dest_at(id);
	struct load *l = load_of(id);

	if (!d || !l)
		return;
	if (inactive)
		SUB(&l->inactive, 1);
	else
		SUB(&l->active, 1);
	if (READ_ONCE(l->overloaded) && READ_ONCE(l->active) + READ_ONCE(l->inactive) == READ_ONCE(d->lower) - 1)
		WRITE_ONCE(l->overloaded, 0);
}

INLINE void bind_template(__u32 id)
{
	struct dest *d = dest_at(id);

	if (d)
		ADD(&d->persistent, 1);
}

INLINE void unbind_template(__u32 id)
{
	struct dest *d = dest_at(id);

	if (d)
		SUB(&d->persistent, 1);
}

/* A connection became active or stopped being so. */
INLINE void move_connection(__u32 id, int active)
{
	struct load *l = load_of(id);

	if (!id || !l)
		return;
	if (active) {
		ADD(&l->active, 1);
		SUB(&l->inactive, 1);
	} else {
		SUB(&l->active, 1);
		ADD(&l->inactive, 1);
	}
}
