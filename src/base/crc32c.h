/* CRC-32C (Castagnoli, reflected 0x82F63B78; RFC 3720, B.4). Uses the processor's instruction when
 * it has one. mc_crc32c(0, "123456789", 9) == 0xE3069283. Chain by passing the previous result. */
#ifndef MC_BASE_CRC32C_H
#define MC_BASE_CRC32C_H
#include <stddef.h>
#include <stdint.h>
uint32_t mc_crc32c(uint32_t crc, const void *data, size_t len);
/* The same by tables, on any processor: what mc_crc32c falls back to, and what the tests compare with. */
uint32_t mc_crc32c_portable(uint32_t crc, const void *data, size_t len);
#endif
