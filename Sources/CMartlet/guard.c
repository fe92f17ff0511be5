// What a crashed or killed process had started must not live on. A process that is killed cannot clean up: so a second,
// tiny one stands by, which holds nothing but the read end of a pipe, a descriptor of its owner and a table of process
// groups in shared memory.
#define _GNU_SOURCE
#include "CMartlet.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(pid_t) *table;
/// Single processes, shared as the table: a list and the one that takes its place next.
static struct {
  atomic_int current;
  struct {
    size_t count;
    struct martlet_process entries[MARTLET_GUARD_PROCESSES];
  } lists[2];
} *processes;
static pid_t guard_pid;
static pid_t owner_pid;
static pid_t owner_group;
static int lifeline = -1;
static atomic_int next_slot;

static void pause_milliseconds(int milliseconds) {
  struct timespec time = {milliseconds / 1000, (milliseconds % 1000) * 1000000L};
  nanosleep(&time, NULL);
}

/// Sends `signal` to every group in the table (0: only looks); returns how many still have a process.
static int signal_groups(int signal) {
  int alive = 0;
  for (int i = 0; i < MARTLET_GUARD_SLOTS; i++) {
    pid_t group = atomic_load(&table[i]);
    if (group > 1 && kill(-group, signal) == 0) alive++;
  }
  int list = atomic_load(&processes->current);
  for (size_t i = 0; i < processes->lists[list].count; i++) {
    struct martlet_process *entry = &processes->lists[list].entries[i], now;
    if (!martlet_read_process(entry->pid, &now) || now.start != entry->start || now.state == 'Z') continue;
    alive++;
    kill(entry->pid, signal);
    if (signal && now.group > 1 && now.group != owner_group) kill(-now.group, signal);
  }
  return alive;
}

static void close_all_but_input(void) {
  if (syscall(SYS_close_range, 1U, ~0U, 0U) == 0) return;
  struct rlimit limit;
  long count = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 1 << 20 ? (long)limit.rlim_cur : 1 << 20;
  for (int i = 1; i < count; i++) close(i);
}

/// Returns when the owner is gone, or when it has closed its end of the pipe. Either would do in a world in which nobody
/// forks without exec: such a copy of the owner holds the pipe open.
static void wait_for_the_end(pid_t owner) {
  struct pollfd waits[2] = {{.fd = 0, .events = POLLIN}, {.fd = (int)syscall(SYS_pidfd_open, owner, 0U), .events = POLLIN}};
  while (poll(waits, 2, -1) < 0 && errno == EINTR) {}
}

static _Noreturn void guard_main(int pipe_end, pid_t owner) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, NULL);
  owner_group = getpgrp();
  setsid();
  dup2(pipe_end, 0);
  close_all_but_input();
  if (chdir("/")) {}  // so that no mount is kept busy
  martlet_set_title("martlet: guard");
  prctl(PR_SET_NAME, "martlet-guard", 0, 0, 0);
  wait_for_the_end(owner);
  // Well-behaved programs notice that their input has ended.
  for (int i = 0; i < 10 && signal_groups(0); i++) pause_milliseconds(20);
  if (signal_groups(SIGTERM)) {
    signal_groups(SIGCONT);
    for (int i = 0; i < 50 && signal_groups(0); i++) pause_milliseconds(20);
    signal_groups(SIGKILL);
  }
  _exit(0);
}

/// Whether the guard is there to read the pipe. It may have been killed, by the system for want of memory or by a person.
static bool is_guarded(pid_t self) {
  if (guard_pid <= 0 || owner_pid != self) return false;
  struct pollfd end = {.fd = lifeline};
  if (poll(&end, 1, 0) <= 0) return true;
  close(lifeline);
  while (waitpid(guard_pid, NULL, 0) < 0 && errno == EINTR) {}
  guard_pid = 0;
  return false;
}

int martlet_guard_start(void) {
  pthread_mutex_lock(&lock);
  int error = 0;
  pid_t self = getpid();
  if (is_guarded(self)) goto done;
  int ends[2];
  // A copy of a process has a table of its own.
  if (!table || owner_pid != self) {
    size_t table_size = sizeof(pid_t) * MARTLET_GUARD_SLOTS;
    char *memory = mmap(NULL, table_size + sizeof *processes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
      error = -errno;
      goto done;
    }
    table = (void *)memory;
    processes = (void *)(memory + table_size);
  }
  if (pipe2(ends, O_CLOEXEC) < 0) {
    error = -errno;
    goto done;
  }
  // fork, not vfork: the guard keeps running. Only system calls follow in the child, so other threads' locks do not matter.
  pid_t pid = fork();
  if (pid == 0) {
    close(ends[1]);
    guard_main(ends[0], self);
  }
  close(ends[0]);
  if (pid < 0) {
    error = -errno;
    close(ends[1]);
    goto done;
  }
  guard_pid = pid;
  owner_pid = self;
  lifeline = ends[1];
done:
  pthread_mutex_unlock(&lock);
  return error;
}

void martlet_guard_stop(void) {
  pthread_mutex_lock(&lock);
  if (guard_pid > 0 && owner_pid == getpid()) {
    close(lifeline);
    lifeline = -1;
    while (waitpid(guard_pid, NULL, 0) < 0 && errno == EINTR) {}
    guard_pid = 0;
  }
  pthread_mutex_unlock(&lock);
}

int martlet_guard_add(pid_t group) {
  if (!table) return -1;
  unsigned start = (unsigned)atomic_fetch_add(&next_slot, 1);
  for (unsigned i = 0; i < MARTLET_GUARD_SLOTS; i++) {
    unsigned slot = (start + i) % MARTLET_GUARD_SLOTS;
    pid_t empty = 0;
    if (atomic_compare_exchange_strong(&table[slot], &empty, group)) return (int)slot;
  }
  return -1;
}

void martlet_guard_remove(int slot) {
  if (table && slot >= 0) atomic_store(&table[slot], 0);
}

pid_t martlet_guard_pid(void) {
  pthread_mutex_lock(&lock);
  pid_t pid = owner_pid == getpid() ? guard_pid : 0;
  pthread_mutex_unlock(&lock);
  return pid;
}

void martlet_guard_set_processes(const struct martlet_process *list, size_t count) {
  pthread_mutex_lock(&lock);
  if (processes && owner_pid == getpid()) {
    // We may be killed at any moment: the guard sees the old list or the new one.
    int next = !atomic_load(&processes->current);
    if (count > MARTLET_GUARD_PROCESSES) count = MARTLET_GUARD_PROCESSES;
    memcpy(processes->lists[next].entries, list, count * sizeof *list);
    processes->lists[next].count = count;
    atomic_store(&processes->current, next);
  }
  pthread_mutex_unlock(&lock);
}

bool martlet_guard_has_process(pid_t pid) {
  bool has = false;
  pthread_mutex_lock(&lock);
  if (processes && owner_pid == getpid()) {
    int list = atomic_load(&processes->current);
    for (size_t i = 0; i < processes->lists[list].count; i++) has |= processes->lists[list].entries[i].pid == pid;
  }
  pthread_mutex_unlock(&lock);
  return has;
}

void martlet_kill_self_after(uint32_t milliseconds) {
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
  timer_t timer;
  struct itimerspec when = {.it_value = {milliseconds / 1000, (milliseconds % 1000) * 1000000L + 1}};
  if (timer_create(CLOCK_MONOTONIC, &event, &timer) == 0) timer_settime(timer, 0, &when, NULL);
}
