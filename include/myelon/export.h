/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Attributes of the public interface. */
#ifndef MYELON_EXPORT_H
#define MYELON_EXPORT_H

/** Visible outside the shared library; everything else is hidden. */
#define MYELON_API __attribute__((visibility("default")))

/** Ignoring the result loses data or an error the caller has to act on. */
#define MYELON_CHECKED __attribute__((warn_unused_result))

/** Argument @p fmt is a printf format, its values start at argument @p first. */
#define MYELON_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))

#endif
