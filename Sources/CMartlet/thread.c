// What another thread of this process does: the monitor of the reactor asks, never a job.
#define _GNU_SOURCE
#include "CMartlet.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct martlet_thread martlet_thread_self(void) {
  clockid_t clock;
  struct martlet_thread thread = {.number = (int32_t)syscall(SYS_gettid), .clock = -1};
  if (pthread_getcpuclockid(pthread_self(), &clock) == 0) thread.clock = clock;
  return thread;
}

uint64_t martlet_thread_time(struct martlet_thread thread) {
  struct timespec time;
  if (thread.clock == -1 || clock_gettime((clockid_t)thread.clock, &time) < 0) return 0;
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

int martlet_thread_is_blocked(struct martlet_thread thread) {
  char path[64], text[256];
  snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)thread.number);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return -1;
  ssize_t count = read(file, text, sizeof text - 1);
  close(file);
  if (count <= 0) return -1;
  text[count] = 0;
  // The name may hold anything, parentheses too: the state stands behind the last one.
  char *end = strrchr(text, ')');
  return end && end[1] ? end[2] != 'R' : -1;
}
