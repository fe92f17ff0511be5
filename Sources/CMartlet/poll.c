// epoll, behind a seam that kqueue fits too: level-triggered readiness by token.
#define _GNU_SOURCE
#include "CMartlet.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

int martlet_poller_create(void) {
  int poller = epoll_create1(EPOLL_CLOEXEC);
  return poller < 0 ? -errno : poller;
}

int martlet_poller_control(int poller, int operation, int descriptor, uint32_t events, uint64_t token) {
  static const int operations[] = {EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL};
  struct epoll_event event = {
      .events = (events & MARTLET_READABLE ? EPOLLIN | EPOLLRDHUP : 0) | (events & MARTLET_WRITABLE ? EPOLLOUT : 0),
      .data = {.u64 = token},
  };
  return epoll_ctl(poller, operations[operation], descriptor, &event) < 0 ? -errno : 0;
}

int martlet_poller_wait(int poller, struct martlet_event *events, int64_t timeout) {
  struct epoll_event ready[MARTLET_EVENTS];
  int count = -1;
  static atomic_bool lacks_pwait2;  // before Linux 5.11, and where a sandbox forbids it
  if (!atomic_load_explicit(&lacks_pwait2, memory_order_relaxed)) {
    struct timespec time = {timeout / 1000000000, timeout % 1000000000};
    count = (int)syscall(SYS_epoll_pwait2, poller, ready, MARTLET_EVENTS, timeout < 0 ? NULL : &time, NULL, 0);
    if (count < 0 && (errno == ENOSYS || errno == EPERM)) atomic_store_explicit(&lacks_pwait2, true, memory_order_relaxed);
  }
  if (atomic_load_explicit(&lacks_pwait2, memory_order_relaxed)) {
    int64_t milliseconds = timeout < 0 ? -1 : timeout / 1000000 + (timeout % 1000000 > 0);
    count = epoll_wait(poller, ready, MARTLET_EVENTS, milliseconds > 1 << 30 ? 1 << 30 : (int)milliseconds);
  }
  if (count < 0) return errno == EINTR ? 0 : -errno;
  for (int i = 0; i < count; i++) {
    uint32_t bits = ready[i].events;
    events[i].token = ready[i].data.u64;
    events[i].events = (bits & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR) ? MARTLET_READABLE : 0) |
                       (bits & (EPOLLOUT | EPOLLHUP | EPOLLERR) ? MARTLET_WRITABLE : 0) |
                       (bits & (EPOLLHUP | EPOLLERR) ? MARTLET_CLOSED : 0);
  }
  return count;
}

int martlet_wake_create(void) {
  int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return wake < 0 ? -errno : wake;
}

uint64_t martlet_now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static _Thread_local uintptr_t thread_mark;
uintptr_t martlet_thread_mark(void) { return thread_mark; }
void martlet_set_thread_mark(uintptr_t mark) { thread_mark = mark; }
void martlet_name_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }

static _Thread_local void *thread_passage;
void *martlet_thread_passage(void) { return thread_passage; }
void martlet_set_thread_passage(void *passage) { thread_passage = passage; }
