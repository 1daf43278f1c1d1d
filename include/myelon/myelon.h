/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/**
 * @file myelon.h - messages between the processes of one machine through shared memory.
 *
 * Layer 0 (producer.h, consumer.h, observer.h): a ring of fixed-size slots. One producer, any number
 * of consumers, everyone sees everything, the slowest holds the producer. Slots are written and read
 * in place, one by one or as flat arrays.
 *
 *     struct myelon_producer *p;                 struct myelon_consumer *c;
 *     struct myelon_span s;                      struct myelon_view v;
 *     myelon_producer_create(&p, "x", NULL);     myelon_consumer_attach(&c, "x", NULL);
 *     myelon_claim(p, 1, MYELON_FOREVER, &s);    myelon_peek(c, MYELON_ALL, MYELON_FOREVER, &v);
 *     ... write s.base ...                       ... read v.count slots at v.base ...
 *     myelon_publish(p, 1);                      myelon_release(c, v.count);
 *
 * Layer 1 (frame.h): byte messages of any length over such a ring.
 *
 * Layers 2 and 3 (typed.h): objects through a codec, received as objects of one's own or read in place.
 *
 * Waiting (wait.h) is a choice of each handle: spin on a core of one's own,
 * sleep in the kernel, or (default) spin as long as it pays and then sleep.
 *
 * Who comes and goes, told while nobody is blocked: peers.h.
 * A producer that shall learn of a dead or stuck consumer instead of waiting for it: liveness.h.
 *
 * Every call returns 0 or a count, or a negative errno; myelon_last_error() has
 * the sentence.
 */
#ifndef MYELON_MYELON_H
#define MYELON_MYELON_H

#include <myelon/arena.h>
#include <myelon/bincode.h>
#include <myelon/codec.h>
#include <myelon/consumer.h>
#include <myelon/error.h>
#include <myelon/export.h>
#include <myelon/flatbuffers.h>
#include <myelon/frame.h>
#include <myelon/hugepages.h>
#include <myelon/keeper.h>
#include <myelon/liveness.h>
#include <myelon/log.h>
#include <myelon/msgpack.h>
#include <myelon/numa.h>
#include <myelon/observer.h>
#include <myelon/peers.h>
#include <myelon/presets.h>
#include <myelon/producer.h>
#include <myelon/ring.h>
#include <myelon/rkyv.h>
#include <myelon/type.h>
#include <myelon/typed.h>
#include <myelon/version.h>
#include <myelon/wait.h>
#include <myelon/waitset.h>

#endif
