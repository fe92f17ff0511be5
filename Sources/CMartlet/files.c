// What is done with files, where the systems' C libraries differ from what Swift sees of them, and the checksum of what is copied.
#define _GNU_SOURCE
#include "CMartlet.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// MARK: Status

static void fill(struct martlet_file *file, const struct stat *status) {
  file->kind = S_ISREG(status->st_mode) ? MARTLET_FILE : S_ISDIR(status->st_mode) ? MARTLET_DIRECTORY : S_ISLNK(status->st_mode) ? MARTLET_LINK : MARTLET_OTHER;
  file->mode = status->st_mode & 07777;
  file->links = status->st_nlink;
  file->user = status->st_uid;
  file->group = status->st_gid;
  file->size = status->st_size;
  file->is_sparse = (int64_t)status->st_blocks * 512 < status->st_size;
  file->device = status->st_dev;
  file->number = status->st_ino;
#ifdef __APPLE__
  file->seconds = status->st_mtimespec.tv_sec;
  file->nanoseconds = (uint32_t)status->st_mtimespec.tv_nsec;
#else
  file->seconds = status->st_mtim.tv_sec;
  file->nanoseconds = (uint32_t)status->st_mtim.tv_nsec;
#endif
}

int martlet_file_status(int directory, const char *name, bool follows, struct martlet_file *file) {
  struct stat status;
  if (fstatat(directory, name, &status, follows ? 0 : AT_SYMLINK_NOFOLLOW)) return errno;
  fill(file, &status);
  return 0;
}

int martlet_descriptor_status(int descriptor, struct martlet_file *file) {
  struct stat status;
  if (fstat(descriptor, &status)) return errno;
  fill(file, &status);
  return 0;
}

int martlet_set_modified(int directory, const char *name, int64_t seconds, uint32_t nanoseconds) {
  struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = (time_t)seconds, .tv_nsec = (long)nanoseconds}};
  int result = name ? utimensat(directory, name, times, AT_SYMLINK_NOFOLLOW) : futimens(directory, times);
  return result ? errno : 0;
}

// MARK: Content

int64_t martlet_next_data(int descriptor, int64_t from, int64_t *end) {
#ifdef SEEK_DATA
  off_t start = lseek(descriptor, (off_t)from, SEEK_DATA);
  if (start < 0) return errno == ENXIO ? INT64_MAX : -1;
  off_t stop = lseek(descriptor, start, SEEK_HOLE);
  if (stop < 0) return -1;
  *end = stop;
  return start;
#else
  return -1;
#endif
}

int martlet_nameless_file(int directory, unsigned mode) {
#ifdef O_TMPFILE
  // Without /proc it could never get a name.
  if (access("/proc/self/fd", X_OK)) return -1;
  return openat(directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, (mode_t)mode);
#else
  errno = EOPNOTSUPP;
  return -1;
#endif
}

int martlet_name_file(int descriptor, int directory, const char *name) {
  char path[40];
  snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
  return linkat(AT_FDCWD, path, directory, name, AT_SYMLINK_FOLLOW) ? errno : 0;
}

int martlet_sync_system(int descriptor) {
#ifdef __linux__
  return syncfs(descriptor) ? errno : 0;
#else
  return fsync(descriptor) ? errno : 0;
#endif
}

// MARK: Checksum: XXH64, https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md, with seed 0

static const uint64_t prime1 = 0x9E3779B185EBCA87, prime2 = 0xC2B2AE3D27D4EB4F, prime3 = 0x165667B19E3779F9, prime4 = 0x85EBCA77C2B2AE63,
                      prime5 = 0x27D4EB2F165667C5;

static inline uint64_t turn(uint64_t word, int count) { return word << count | word >> (64 - count); }

static inline uint64_t load64(const uint8_t *bytes) {
  uint64_t word;
  memcpy(&word, bytes, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  word = __builtin_bswap64(word);
#endif
  return word;
}

static inline uint64_t load32(const uint8_t *bytes) {
  return (uint64_t)bytes[0] | (uint64_t)bytes[1] << 8 | (uint64_t)bytes[2] << 16 | (uint64_t)bytes[3] << 24;
}

static inline uint64_t mix(uint64_t lane, uint64_t word) { return turn(lane + word * prime2, 31) * prime1; }

static const uint8_t *stripes(uint64_t lanes[4], const uint8_t *next, size_t count) {
  uint64_t a = lanes[0], b = lanes[1], c = lanes[2], d = lanes[3];
  for (; count; count--, next += 32) {
    a = mix(a, load64(next));
    b = mix(b, load64(next + 8));
    c = mix(c, load64(next + 16));
    d = mix(d, load64(next + 24));
  }
  lanes[0] = a, lanes[1] = b, lanes[2] = c, lanes[3] = d;
  return next;
}

void martlet_checksum_begin(struct martlet_checksum *sum) {
  sum->lanes[0] = prime1 + prime2;
  sum->lanes[1] = prime2;
  sum->lanes[2] = 0;
  sum->lanes[3] = 0 - prime1;
  sum->count = 0;
}

void martlet_checksum_add(struct martlet_checksum *sum, const void *bytes, size_t count) {
  const uint8_t *next = bytes;
  size_t held = sum->count % 32;
  sum->count += count;
  if (held) {
    size_t part = 32 - held < count ? 32 - held : count;
    memcpy(sum->rest + held, next, part);
    if (held + part < 32) return;
    stripes(sum->lanes, sum->rest, 1);
    next += part;
    count -= part;
  }
  next = stripes(sum->lanes, next, count / 32);
  if (count % 32) memcpy(sum->rest, next, count % 32);
}

void martlet_checksum_add_zeros(struct martlet_checksum *sum, uint64_t count) {
  static const uint8_t zeros[4096];
  for (; count > sizeof zeros; count -= sizeof zeros) martlet_checksum_add(sum, zeros, sizeof zeros);
  martlet_checksum_add(sum, zeros, (size_t)count);
}

uint64_t martlet_checksum_end(const struct martlet_checksum *sum) {
  uint64_t hash = prime5;
  if (sum->count >= 32) {
    const uint64_t *lanes = sum->lanes;
    hash = turn(lanes[0], 1) + turn(lanes[1], 7) + turn(lanes[2], 12) + turn(lanes[3], 18);
    for (int i = 0; i < 4; i++) hash = (hash ^ mix(0, lanes[i])) * prime1 + prime4;
  }
  hash += sum->count;
  const uint8_t *next = sum->rest;
  size_t left = sum->count % 32;
  for (; left >= 8; left -= 8, next += 8) hash = turn(hash ^ mix(0, load64(next)), 27) * prime1 + prime4;
  if (left >= 4) hash = turn(hash ^ load32(next) * prime1, 23) * prime2 + prime3, left -= 4, next += 4;
  for (; left; left--, next++) hash = turn(hash ^ *next * prime5, 11) * prime1;
  hash = (hash ^ hash >> 33) * prime2;
  hash = (hash ^ hash >> 29) * prime3;
  return hash ^ hash >> 32;
}
