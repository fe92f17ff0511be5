// The physical floor: what processes, pipes and OpenSSH cost here without any remote-execution system. Prints JSON.
//   probe pingpong N SIZE command...  N times SIZE bytes through a command that echoes: microseconds
//   probe echo                        such a command
//   probe spawn N command...          N times start and wait, by posix_spawn: milliseconds
//   probe many N command...           N at once: seconds
//   probe connect N command...        as spawn, with one before that does not count
//   probe pour SIZE N command...      N writes of SIZE bytes into a command that reads them: megabytes a second
//   probe drain                       such a command
//   probe items N command...          N messages of 16 bytes, a read or write for as many as fit: messages a second
//   probe count PORT FILE             an ssh ProxyCommand: adds the bytes up and down to FILE when it ends
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;
static char buffer[1 << 16];

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static int report(double *times, int count, double factor) {
  double sum = 0;
  for (int i = 0; i < count; i++) sum += times[i];
  qsort(times, (size_t)count, sizeof *times, compare);
  printf("{\"mean\":%.4f,\"median\":%.4f,\"p99\":%.4f}\n", sum / count * factor, times[count / 2] * factor,
         times[(int)(count * 0.99)] * factor);
  return 0;
}

static int put(int descriptor, const char *bytes, size_t size) {
  while (size > 0) {
    ssize_t count = write(descriptor, bytes, size);
    if (count <= 0) return -1;
    bytes += count;
    size -= (size_t)count;
  }
  return 0;
}

static int echo(void) {
  ssize_t count;
  while ((count = read(0, buffer, sizeof buffer)) > 0)
    if (put(1, buffer, (size_t)count)) return 1;
  return 0;
}

static int pingpong(int count, size_t size, char **command) {
  int to[2], from[2];
  if (count < 1 || size < 1 || size > sizeof buffer || pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC)) return 1;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, to[0], 0);
  posix_spawn_file_actions_adddup2(&actions, from[1], 1);
  pid_t pid;
  if (posix_spawnp(&pid, command[0], &actions, NULL, command, environ)) return 1;
  close(to[0]);
  close(from[1]);
  double *times = malloc((size_t)count * sizeof *times);
  for (int i = -500; i < count; i++) {
    double start = now();
    if (put(to[1], buffer, size)) return 1;
    for (size_t have = 0; have < size;) {
      ssize_t got = read(from[0], buffer, size - have);
      if (got <= 0) return 1;
      have += (size_t)got;
    }
    if (i >= 0) times[i] = now() - start;
  }
  close(to[1]);
  waitpid(pid, NULL, 0);
  return report(times, count, 1e6);
}

static int drain(void) {
  static char room[1 << 20];
  ssize_t count;
  while ((count = read(0, room, sizeof room)) > 0) {}
  return count < 0;
}

static pid_t start_reader(char **command, int *writer) {
  int to[2];
  pid_t pid;
  if (pipe2(to, O_CLOEXEC)) exit(1);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, to[0], 0);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  if (posix_spawnp(&pid, command[0], &actions, NULL, command, environ)) exit(1);
  close(to[0]);
  *writer = to[1];
  return pid;
}

/// The connection stands before the clock runs: one byte first, and time for it to arrive.
static int pour(size_t size, int count, char **command, double unit) {
  int writer, status;
  char *bytes = calloc(1, size);
  pid_t pid = start_reader(command, &writer);
  if (!bytes || put(writer, bytes, 1)) return 1;
  for (int i = 0; i < 64; i++) usleep(10000);
  double begin = now();
  for (int i = 0; i < count; i++)
    if (put(writer, bytes, size)) return 1;
  close(writer);
  if (waitpid(pid, &status, 0) != pid || status != 0) return 1;
  printf("{\"rate\":%.4f}\n", unit * count / (now() - begin));
  return 0;
}

static pid_t start(char **command) {
  pid_t pid;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  if (posix_spawnp(&pid, command[0], &actions, NULL, command, environ)) exit(1);
  posix_spawn_file_actions_destroy(&actions);
  return pid;
}

static void finish(pid_t pid) {
  int status;
  if (waitpid(pid, &status, 0) != pid || status != 0) {
    fprintf(stderr, "probe: the command failed with status %d\n", status);
    exit(1);
  }
}

static int spawn(int count, char **command, int warm) {
  if (count < 1) return 1;
  double *times = malloc((size_t)count * sizeof *times);
  for (int i = -warm; i < count; i++) {
    double begin = now();
    finish(start(command));
    if (i >= 0) times[i] = now() - begin;
  }
  return report(times, count, 1e3);
}

/// `{}` in the command is replaced by the number.
static int many(int count, char **command) {
  double begin = now();
  pid_t *pids = malloc((size_t)count * sizeof *pids);
  for (int i = 0; i < count; i++) {
    char *copy[64] = {0}, words[64][64];
    for (int k = 0; k < 63 && command[k]; k++) {
      char *hole = strstr(command[k], "{}");
      copy[k] = command[k];
      if (!hole) continue;
      snprintf(words[k], sizeof words[k], "%.*s%d%s", (int)(hole - command[k]), command[k], i + 1, hole + 2);
      copy[k] = words[k];
    }
    pids[i] = start(copy);
  }
  for (int i = 0; i < count; i++) finish(pids[i]);
  printf("{\"seconds\":%.4f}\n", now() - begin);
  return 0;
}

static int count_bytes(int port, const char *path) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
  setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  if (server < 0 || connect(server, (struct sockaddr *)&address, sizeof address)) return 1;
  signal(SIGPIPE, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  signal(SIGTERM, SIG_IGN);  // ssh ends its proxy so; the sockets' end is ours
  struct pollfd ends[2] = {{.fd = 0, .events = POLLIN}, {.fd = server, .events = POLLIN}};
  long long sums[2] = {0, 0};
  int targets[2] = {server, 1};
  while (ends[1].fd >= 0) {
    if (poll(ends, 2, -1) < 0 && errno != EINTR) return 1;
    for (int i = 0; i < 2; i++) {
      if (ends[i].fd < 0 || !ends[i].revents) continue;
      ssize_t got = read(ends[i].fd, buffer, sizeof buffer);
      if (got <= 0 || put(targets[i], buffer, (size_t)got)) {
        ends[i].fd = -1;
        if (i == 0) shutdown(server, SHUT_WR);
      } else {
        sums[i] += got;
      }
    }
  }
  char line[80];
  int size = snprintf(line, sizeof line, "%lld %lld\n", sums[0], sums[1]);
  int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  return file < 0 || put(file, line, (size_t)size);
}

int main(int count, char **words) {
  const char *what = count > 1 ? words[1] : "";
  if (!strcmp(what, "echo")) return echo();
  if (!strcmp(what, "drain")) return drain();
  if (!strcmp(what, "pour") && count > 4) return pour((size_t)atol(words[2]), atoi(words[3]), words + 4, atof(words[2]) / 1e6);
  if (!strcmp(what, "items") && count > 3) return pour(1 << 16, atoi(words[2]) / 4096, words + 3, 4096);
  if (!strcmp(what, "count") && count == 4) return count_bytes(atoi(words[2]), words[3]);
  if (!strcmp(what, "pingpong") && count > 4) return pingpong(atoi(words[2]), (size_t)atol(words[3]), words + 4);
  if (!strcmp(what, "spawn") && count > 3) return spawn(atoi(words[2]), words + 3, 10);
  if (!strcmp(what, "connect") && count > 3) return spawn(atoi(words[2]), words + 3, 1);
  if (!strcmp(what, "many") && count > 3) return many(atoi(words[2]), words + 3);
  return 2;
}
