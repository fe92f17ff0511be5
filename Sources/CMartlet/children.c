// Who hangs below a process, as /proc shows it; and taking in those whose parent has ended.
#define _GNU_SOURCE
#include "CMartlet.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

void martlet_adopt_orphans(void) { prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

void martlet_set_leased(bool is_leased) {
  const char *name = is_leased ? MARTLET_LEASED_NAME : "martlet";
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%d/comm", (int)getpid());
  int file = open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return;
  if (write(file, name, strlen(name))) {}
  close(file);
}

static _Atomic pid_t former_parent;
static _Atomic time_t deaf_until;

static void told_to_end(int number, siginfo_t *info, void *context) {
  (void)context;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  if (info->si_pid == atomic_load(&former_parent) && now.tv_sec <= atomic_load(&deaf_until)) return;
  int error = errno;
  signal(number, SIG_DFL);
  kill(getpid(), number);
  errno = error;
}

void martlet_outlive_parent(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  atomic_store(&former_parent, getppid());
  atomic_store(&deaf_until, now.tv_sec + 30);
  struct sigaction action = {.sa_sigaction = told_to_end, .sa_flags = SA_SIGINFO | SA_RESTART}, old;
  // Whoever handles it otherwise knows what he does.
  if (sigaction(SIGTERM, NULL, &old) == 0 && !(old.sa_flags & SA_SIGINFO) && old.sa_handler == SIG_DFL)
    sigaction(SIGTERM, &action, NULL);
}

int martlet_process_descriptor(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0U); }

static ssize_t read_file(const char *path, char *text, size_t room) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return -1;
  ssize_t count = 0, part;
  while ((size_t)count < room - 1 && (part = read(file, text + count, room - 1 - (size_t)count)) > 0) count += part;
  close(file);
  text[count] = 0;
  return count;
}

bool martlet_read_process(pid_t pid, struct martlet_process *process) {
  char path[64], text[1024];
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  if (read_file(path, text, sizeof text) <= 0) return false;
  // The name may hold anything, parentheses too: the fields begin behind the last one.
  char *name = strchr(text, '('), *fields = strrchr(text, ')');
  if (!name || !fields) return false;
  *fields = 0;
  process->pid = pid;
  process->is_leased = strcmp(name + 1, MARTLET_LEASED_NAME) == 0;
  process->is_monitor = strcmp(name + 1, MARTLET_MONITOR_NAME) == 0;
  unsigned long long start;
  if (sscanf(fields + 1, " %c %d %d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &process->state,
             &process->parent, &process->group, &process->session, &start) != 5)
    return false;
  process->start = start;
  return true;
}

/// For kernels that do not list children.
static int search_children(pid_t parent, pid_t *pids, int room) {
  DIR *processes = opendir("/proc");
  if (!processes) return 0;
  int count = 0;
  for (struct dirent *entry; count < room && (entry = readdir(processes));) {
    struct martlet_process process;
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
    if (martlet_read_process(atoi(entry->d_name), &process) && process.parent == parent) pids[count++] = process.pid;
  }
  closedir(processes);
  return count;
}

/// As the kernel writes it.
struct directory_entry {
  uint64_t number;
  int64_t offset;
  unsigned short length;
  unsigned char type;
  char name[];
};

int martlet_children(pid_t parent, pid_t *pids, int room) {
  char path[320], text[8192];
  snprintf(path, sizeof path, "/proc/%d/task", (int)parent);
  // Not by opendir: its buffer would come from the heap of whichever thread looks.
  int threads = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (threads < 0) return 0;
  int count = 0;
  bool is_listed = true;
  // Each thread has children of its own; those that were adopted are the main thread's.
  _Alignas(struct directory_entry) char entries[4096];
  for (long size; is_listed && (size = syscall(SYS_getdents64, threads, entries, sizeof entries)) > 0;) {
    for (long offset = 0; is_listed && offset < size;) {
      struct directory_entry *entry = (void *)(entries + offset);
      offset += entry->length;
      if (entry->name[0] == '.') continue;
      snprintf(path, sizeof path, "/proc/%d/task/%s/children", (int)parent, entry->name);
      ssize_t length = read_file(path, text, sizeof text);
      if (length < 0) is_listed = access(path, F_OK) == 0 || atoi(entry->name) != parent;
      char *next = text, *end;
      for (long pid; length > 0 && count < room && (pid = strtol(next, &end, 10)) > 0; next = end) pids[count++] = (pid_t)pid;
    }
  }
  close(threads);
  return is_listed ? count : search_children(parent, pids, room);
}
