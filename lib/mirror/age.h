// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ages, small enough for a record of the mirror. Pure; no errors.
 */
#ifndef CONNTIDE_MIRROR_AGE_H
#define CONNTIDE_MIRROR_AGE_H

#include <stdint.h>

/* 16-bit float, 11 bits of mantissa: exact below 2048, then within 1/2048. */
uint16_t flow_age_pack(uint32_t ticks);
uint32_t flow_age_unpack(uint16_t age);

/* Bucket of a time: see struct shm_ages_cell. */
unsigned int age_bucket(uint32_t seconds);

#endif
