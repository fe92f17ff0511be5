#define _GNU_SOURCE
#include "CMartlet.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

// MARK: SHA-256 (FIPS 180-4)

static const uint32_t round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static inline uint32_t rotate(uint32_t word, int count) { return word >> count | word << (32 - count); }

static void compress(uint32_t state[8], const uint8_t *block) {
  uint32_t w[64];
  for (int i = 0; i < 16; i++)
    w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 | (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
  for (int i = 16; i < 64; i++) {
    uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
    uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
  for (int i = 0; i < 64; i++) {
    uint32_t t1 = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + round_constants[i] + w[i];
    uint32_t t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
  }
  state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

void martlet_digest_begin(struct martlet_digest *digest) {
  static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  memcpy(digest->state, start, sizeof start);
  digest->count = 0;
}

void martlet_digest_add(struct martlet_digest *digest, const void *bytes, size_t count) {
  const uint8_t *next = bytes;
  size_t held = digest->count % 64;
  digest->count += count;
  while (count) {
    size_t part = 64 - held < count ? 64 - held : count;
    if (part == 64) {
      compress(digest->state, next);
    } else {
      memcpy(digest->block + held, next, part);
      if ((held += part) == 64) compress(digest->state, digest->block), held = 0;
    }
    next += part;
    count -= part;
  }
}

void martlet_digest_end(struct martlet_digest *digest, uint8_t result[32]) {
  uint64_t bits = digest->count * 8;
  size_t held = digest->count % 64;
  uint8_t tail[128] = {0x80};
  size_t padded = held < 56 ? 64 - held : 128 - held;
  for (int i = 0; i < 8; i++) tail[padded - 1 - (size_t)i] = (uint8_t)(bits >> (8 * i));
  martlet_digest_add(digest, tail, padded);
  for (int i = 0; i < 32; i++) result[i] = (uint8_t)(digest->state[i / 4] >> (24 - 8 * (i % 4)));
}

void martlet_sha256(const void *bytes, size_t count, uint8_t result[32]) {
  struct martlet_digest digest;
  martlet_digest_begin(&digest);
  martlet_digest_add(&digest, bytes, count);
  martlet_digest_end(&digest, result);
}

// MARK: Build id

struct note_search {
  uint8_t *bytes;
  size_t capacity;
  size_t length;
};

static int search_notes(struct dl_phdr_info *info, size_t size, void *argument) {
  struct note_search *search = argument;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *header = &info->dlpi_phdr[i];
    if (header->p_type != PT_NOTE) continue;
    const uint8_t *next = (const uint8_t *)(info->dlpi_addr + header->p_vaddr);
    const uint8_t *end = next + header->p_memsz;
    while (next + sizeof(ElfW(Nhdr)) <= end) {
      const ElfW(Nhdr) *note = (const void *)next;
      const uint8_t *name = next + sizeof *note;
      const uint8_t *content = name + ((note->n_namesz + 3) & ~3u);
      if (content + note->n_descsz > end) break;
      if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 && memcmp(name, "GNU", 4) == 0) {
        search->length = note->n_descsz < search->capacity ? note->n_descsz : search->capacity;
        memcpy(search->bytes, content, search->length);
        return 1;
      }
      next = content + ((note->n_descsz + 3) & ~3u);
    }
  }
  return 1;  // The first object is the executable itself: libraries have ids of their own.
}

size_t martlet_build_id(uint8_t *bytes, size_t capacity) {
  struct note_search search = {bytes, capacity, 0};
  dl_iterate_phdr(search_notes, &search);
  return search.length;
}

bool martlet_random(void *bytes, size_t count) {
  size_t done = 0;
  while (done < count) {
    ssize_t n = getrandom((char *)bytes + done, count - done, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    done += (size_t)n;
  }
  if (done == count) return true;
  int file = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  while (done < count) {
    ssize_t n = read(file, (char *)bytes + done, count - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    done += (size_t)n;
  }
  close(file);
  return done == count;
}

const char *martlet_error_text(int error) {
#ifdef __GLIBC__
  const char *text = strerrordesc_np(error);
  return text ? text : "unknown error";
#else
  return strerror(error);
#endif
}

void martlet_line_buffer_output(void) { setvbuf(stdout, NULL, _IOLBF, BUFSIZ); }

static int release_segments(struct dl_phdr_info *info, size_t size, void *argument) {
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *header = &info->dlpi_phdr[i];
    // What is writable may have been written: only the rest can be read again.
    if (header->p_type != PT_LOAD || header->p_flags & PF_W) continue;
    uintptr_t start = (info->dlpi_addr + header->p_vaddr + page - 1) & ~(page - 1);
    uintptr_t end = (info->dlpi_addr + header->p_vaddr + header->p_memsz) & ~(page - 1);
    if (start < end) madvise((void *)start, end - start, MADV_DONTNEED);
  }
  return 0;
}

void martlet_release_code(void) { dl_iterate_phdr(release_segments, NULL); }

static bool (*capture)(int pipe, const void *bytes, size_t count);
static FILE *plain[3];

static ssize_t write_captured(int pipe, const char *bytes, size_t count) {
  if (!capture(pipe, bytes, count)) fwrite(bytes, 1, count, plain[pipe]);
  return (ssize_t)count;
}
static ssize_t write_output(void *cookie, const char *bytes, size_t count) { (void)cookie; return write_captured(1, bytes, count); }
static ssize_t write_error(void *cookie, const char *bytes, size_t count) { (void)cookie; return write_captured(2, bytes, count); }

void martlet_capture_output(bool (*ask)(int pipe, const void *bytes, size_t count)) {
#ifdef __GLIBC__
  // Without buffers of their own: what is printed must be seen on the thread that prints it. Those of the plain streams
  // stay, so that printing lines still costs one system call a line.
  cookie_io_functions_t out = {.write = write_output}, error = {.write = write_error};
  FILE *streams[2] = {fopencookie(NULL, "w", out), fopencookie(NULL, "w", error)};
  if (!streams[0] || !streams[1]) return;
  setvbuf(streams[0], NULL, _IONBF, 0);
  setvbuf(streams[1], NULL, _IONBF, 0);
  capture = ask;
  plain[1] = stdout;
  plain[2] = stderr;
  stdout = streams[0];
  stderr = streams[1];
#else
  (void)ask;
#endif
}
