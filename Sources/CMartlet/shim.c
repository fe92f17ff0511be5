// The `ssh` that tools run: this executable under another name. It runs before main, and needs nothing of Swift: rsync and git
// start it for each connection. What it is asked, it passes on to the program that lent it, over a private socket.
#define _GNU_SOURCE
#include "CMartlet.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

enum { status_lost = 255 };

static volatile sig_atomic_t end_signal, size_changed, was_continued;
static struct termios settings;
static bool is_raw;

static void note(int number) {
  if (number == SIGWINCH) size_changed = 1;
  else if (number == SIGCONT) was_continued = size_changed = 1;
  else end_signal = number;
}

static void set_raw(void) {
  struct termios raw;
  if (tcgetattr(0, &raw) < 0) return;
  if (!is_raw) settings = raw;
  cfmakeraw(&raw);
  is_raw = tcsetattr(0, TCSADRAIN, &raw) == 0;
}

static _Noreturn void leave(int status) {
  if (is_raw) tcsetattr(0, TCSADRAIN, &settings);
  _exit(status);
}

static _Noreturn void fail(const char *format, ...) {
  char text[512];
  if (is_raw) tcsetattr(0, TCSADRAIN, &settings);
  va_list arguments;
  va_start(arguments, format);
  int count = vsnprintf(text, sizeof text - 1, format, arguments);
  va_end(arguments);
  if (count > (int)sizeof text - 2) count = sizeof text - 2;
  text[count++] = '\n';
  if (write(2, text, (size_t)count)) {}
  _exit(status_lost);
}

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

// MARK: What is said

struct buffer {
  char *bytes;
  size_t count, room;
};

static void append(struct buffer *buffer, const void *bytes, size_t count) {
  if (buffer->count + count > buffer->room) {
    buffer->room = (buffer->count + count) * 2;
    buffer->bytes = realloc(buffer->bytes, buffer->room);
    if (!buffer->bytes) fail("ssh: out of memory");
  }
  memcpy(buffer->bytes + buffer->count, bytes, count);
  buffer->count += count;
}

static void append_text(struct buffer *buffer, const char *text) { append(buffer, text, strlen(text) + 1); }

/// Waits for the other end, which reads as fast as it can.
static void send_all(int socket, const char *bytes, size_t count, const int *descriptors, int descriptor_count) {
  union {
    char bytes[CMSG_SPACE(2 * sizeof(int))];
    struct cmsghdr alignment;
  } control;
  while (count) {
    struct iovec part = {(void *)bytes, count};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (descriptor_count) {
      message.msg_control = control.bytes;
      message.msg_controllen = CMSG_SPACE((size_t)descriptor_count * sizeof(int));
      struct cmsghdr *header = CMSG_FIRSTHDR(&message);
      *header = (struct cmsghdr){
          .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN((size_t)descriptor_count * sizeof(int))};
      memcpy(CMSG_DATA(header), descriptors, (size_t)descriptor_count * sizeof(int));
    }
    ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) fail("ssh: lost the program that lends this ssh: %s", strerror(errno));
    bytes += sent;
    count -= (size_t)sent;
    descriptor_count = 0;
  }
}

static void say(int socket, uint8_t kind, const void *bytes, uint32_t count) {
  char message[64];
  memcpy(message, &count, sizeof count);
  message[4] = (char)kind;
  memcpy(message + 5, bytes, count);
  send_all(socket, message, 5 + count, NULL, 0);
}

static void say_size(int socket) {
  struct winsize size;
  if (ioctl(0, TIOCGWINSZ, &size) < 0 && ioctl(1, TIOCGWINSZ, &size) < 0) return;
  uint16_t both[2] = {size.ws_col, size.ws_row};
  say(socket, MARTLET_SHIM_SIZE, both, sizeof both);
}

/// A descriptor of ours for the other end to use, so that what flows passes through no process more than needed.
///
/// Pipes are opened once more: whether they block is a property of what was opened, which others may share. Sockets can be
/// asked not to wait call by call. All else goes through a pipe of our own.
///
/// - Returns: our end of that pipe, -1 if there is none.
static int lend(int standard, int *lent) {
  struct stat status;
  int mode = standard ? O_WRONLY : O_RDONLY;
  if (fstat(standard, &status) == 0 && S_ISSOCK(status.st_mode)) {
    *lent = fcntl(standard, F_DUPFD_CLOEXEC, 3);
    if (*lent >= 0) return -1;
  } else if (S_ISFIFO(status.st_mode)) {
    *lent = open(standard ? "/proc/self/fd/1" : "/proc/self/fd/0", mode | O_NONBLOCK | O_CLOEXEC);
    if (*lent >= 0) return -1;
  }
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) fail("ssh: cannot make a pipe: %s", strerror(errno));
  *lent = ends[standard ? 1 : 0];
  return ends[standard ? 0 : 1];
}

/// What was lent is not ours any more: its end must be seen when the other side has closed it.
static void drop(int standard) {
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null >= 0) dup2(null, standard);
  else close(standard);
  if (null >= 0) close(null);
}

// MARK: What flows through us

struct flow {
  int from, to;
  char *bytes;
  size_t begin, end;
  size_t piece;  ///< what one write may take, so that it does not wait
};

enum { flow_room = 65536 };

static void flow_begin(struct flow *flow, int from, int to, int waits_on) {
  struct stat status;
  *flow = (struct flow){.from = from, .to = to, .bytes = malloc(flow_room), .piece = 4096};
  if (!flow->bytes) fail("ssh: out of memory");
  // Our own pipe never waits, and a file not for long.
  if (waits_on < 0 || (fstat(waits_on, &status) == 0 && S_ISREG(status.st_mode))) flow->piece = flow_room;
}

static void flow_stop(struct flow *flow, int own_end) {
  if (own_end >= 0) close(own_end);
  flow->from = flow->to = -1;
  flow->begin = flow->end = 0;
}

static void flow_read(struct flow *flow) {
  ssize_t count = read(flow->from, flow->bytes, flow_room);
  if (count > 0) flow->begin = 0, flow->end = (size_t)count;
  else if (count == 0 || (errno != EINTR && errno != EAGAIN)) flow->from = -1;
}

/// - Returns: false when nobody takes it.
static bool flow_write(struct flow *flow) {
  size_t count = flow->end - flow->begin;
  if (count > flow->piece) count = flow->piece;
  ssize_t written = write(flow->to, flow->bytes + flow->begin, count);
  if (written > 0) flow->begin += (size_t)written;
  return written >= 0 || errno == EINTR || errno == EAGAIN;
}

// MARK: The conversation

struct shim {
  int socket;
  int input, output;  ///< our ends of pipes, -1 for what was lent
  struct flow in, out;
  bool may_read;      ///< standard input is wanted
  bool has_status;
  int status;
  char header[5];
  size_t header_count;
  char *errors;       ///< what of a message still has to go to standard error
  size_t errors_begin, errors_end;
  uint32_t left;      ///< what of it has not come yet
};

/// Takes what the other end says. A message for standard error is written before the next one is read.
static void listen_to(struct shim *shim) {
  if (shim->left == 0) {
    ssize_t count = recv(shim->socket, shim->header + shim->header_count, 5 - shim->header_count, MSG_DONTWAIT);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (count <= 0) fail("ssh: the program that lends this ssh has ended");
    shim->header_count += (size_t)count;
    if (shim->header_count < 5) return;
    memcpy(&shim->left, shim->header, 4);
    shim->header_count = 0;
  }
  switch (shim->header[4]) {
    case MARTLET_SHIM_ERROR: {
      if (!shim->left) return;
      size_t wanted = shim->left < flow_room ? shim->left : flow_room;
      ssize_t count = recv(shim->socket, shim->errors, wanted, MSG_DONTWAIT);
      if (count < 0 && (errno == EINTR || errno == EAGAIN)) return;
      if (count <= 0) fail("ssh: the program that lends this ssh has ended");
      shim->left -= (uint32_t)count;
      shim->errors_begin = 0;
      shim->errors_end = (size_t)count;
      return;
    }
    case MARTLET_SHIM_BEGIN:
    case MARTLET_SHIM_STATUS: {
      uint8_t value;
      ssize_t count = recv(shim->socket, &value, 1, MSG_DONTWAIT);
      if (count < 0 && (errno == EINTR || errno == EAGAIN)) return;
      if (count <= 0) fail("ssh: the program that lends this ssh has ended");
      shim->left = 0;
      if (shim->header[4] == MARTLET_SHIM_STATUS) {
        shim->has_status = true;
        shim->status = value;
        return;
      }
      shim->may_read = value & 1;
      if (value & 2) set_raw();
      return;
    }
    default: fail("ssh: the program that lends this ssh says something unknown");
  }
}

static void pass_errors(struct shim *shim) {
  size_t count = shim->errors_end - shim->errors_begin;
  ssize_t written = write(2, shim->errors + shim->errors_begin, count < 4096 ? count : 4096);
  if (written > 0) shim->errors_begin += (size_t)written;
  // Nobody reads them: the command goes on.
  else if (written < 0 && errno != EINTR && errno != EAGAIN) shim->errors_begin = shim->errors_end;
  if (shim->errors_begin == shim->errors_end) shim->errors_begin = shim->errors_end = 0;
}

static _Noreturn void converse(struct shim *shim, const sigset_t *unblocked) {
  while (true) {
    bool has_errors = shim->errors_end > 0, out_is_open = shim->out.from >= 0 || shim->out.begin < shim->out.end;
    if (shim->has_status && !has_errors && !out_is_open) leave(shim->status);
    bool has_input = shim->in.begin < shim->in.end;
    struct pollfd waits[6] = {
        {.fd = has_errors || shim->has_status ? -1 : shim->socket, .events = POLLIN},
        {.fd = has_errors ? 2 : -1, .events = POLLOUT},
        {.fd = shim->may_read && !has_input ? shim->in.from : -1, .events = POLLIN},
        {.fd = has_input ? shim->in.to : -1, .events = POLLOUT},
        {.fd = shim->out.begin < shim->out.end ? -1 : shim->out.from, .events = POLLIN},
        {.fd = shim->out.begin < shim->out.end ? shim->out.to : -1, .events = POLLOUT},
    };
    if (ppoll(waits, 6, NULL, unblocked) < 0) {
      if (errno != EINTR) fail("ssh: cannot wait: %s", strerror(errno));
      if (end_signal) fail("Killed by signal %d.", (int)end_signal);
      if (was_continued && is_raw) set_raw();
      was_continued = 0;
      if (size_changed && !shim->has_status) say_size(shim->socket);
      size_changed = 0;
      continue;
    }
    if (waits[0].revents) listen_to(shim);
    if (waits[1].revents) pass_errors(shim);
    if (waits[2].revents) {
      flow_read(&shim->in);
      if (shim->in.from < 0 && shim->in.to >= 0) flow_stop(&shim->in, shim->input);
    }
    // Who does not take it needs no more: it says what comes of it by itself.
    if (waits[3].revents && !flow_write(&shim->in)) flow_stop(&shim->in, shim->input);
    if (waits[4].revents) flow_read(&shim->out);
    if (waits[5].revents && !flow_write(&shim->out)) flow_stop(&shim->out, shim->output);
  }
}

static void watch_signals(sigset_t *unblocked) {
  static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGCONT};
  sigset_t ours;
  sigemptyset(&ours);
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    struct sigaction action;
    // What whoever started us ignores (nohup) stays ignored.
    if (sigaction(numbers[i], NULL, &action) == 0 && action.sa_handler == SIG_IGN) continue;
    memset(&action, 0, sizeof action);
    action.sa_handler = note;
    sigaction(numbers[i], &action, NULL);
    sigaddset(&ours, numbers[i]);
  }
  signal(SIGPIPE, SIG_IGN);
  sigprocmask(SIG_BLOCK, &ours, unblocked);
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) sigdelset(unblocked, numbers[i]);
}

static int connect_to(const char *place) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t length = strlen(place);
  if (length >= sizeof address.sun_path) fail("ssh: %s is not set well", MARTLET_SSH_SOCKET_VARIABLE);
  memcpy(address.sun_path, place, length);
  // In no file system, where there is none to write to.
  if (*place == '@') address.sun_path[0] = 0;
  socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (*place != '@'));
  int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) fail("ssh: cannot make a socket: %s", strerror(errno));
  while (connect(descriptor, (struct sockaddr *)&address, size) < 0)
    if (errno != EINTR) fail("ssh: the program that lends this ssh is not there any more: %s: %s", place, strerror(errno));
  return descriptor;
}

static _Noreturn void run_shim(int argc, char **argv, char **envp, const char *place) {
  extern char **environ;
  if (!envp) envp = environ;
  // Somebody may have started us without some of the three.
  for (int descriptor; (descriptor = open("/dev/null", O_RDWR)) >= 0;)
    if (descriptor > 2) {
      close(descriptor);
      break;
    }
  struct shim shim = {.socket = connect_to(place), .errors = malloc(flow_room)};
  sigset_t unblocked;
  watch_signals(&unblocked);
  int lent[2] = {-1, -1};
  struct winsize size = {0};
  if (ioctl(0, TIOCGWINSZ, &size) < 0 && ioctl(1, TIOCGWINSZ, &size) < 0) ioctl(2, TIOCGWINSZ, &size);
  uint8_t flags = (uint8_t)((isatty(0) ? 1 : 0) | (isatty(1) ? 2 : 0) | (isatty(2) ? 4 : 0));
  shim.input = lend(0, &lent[0]);
  shim.output = lend(1, &lent[1]);

  struct buffer hello = {0};
  const char *token = getenv(MARTLET_SSH_TOKEN_VARIABLE);
  uint16_t sizes[2] = {size.ws_col, size.ws_row};
  uint32_t count = (uint32_t)argc;
  append(&hello, "\0\0\0\0\0", 5);
  append_text(&hello, token ? token : "");
  append(&hello, &flags, 1);
  append(&hello, sizes, sizeof sizes);
  append(&hello, &count, sizeof count);
  for (int i = 0; i < argc; i++) append_text(&hello, argv[i]);
  for (char **entry = envp; *entry; entry++)
    if (strncmp(*entry, MARTLET_SSH_TOKEN_VARIABLE "=", sizeof MARTLET_SSH_TOKEN_VARIABLE)) append_text(&hello, *entry);
  uint32_t length = (uint32_t)(hello.count - 5);
  memcpy(hello.bytes, &length, sizeof length);
  hello.bytes[4] = MARTLET_SHIM_HELLO;
  send_all(shim.socket, hello.bytes, hello.count, lent, 2);
  free(hello.bytes);
  close(lent[0]);
  close(lent[1]);

  shim.in.from = shim.in.to = shim.out.from = shim.out.to = -1;
  if (shim.input >= 0) flow_begin(&shim.in, 0, shim.input, -1);
  else drop(0);
  if (shim.output >= 0) flow_begin(&shim.out, shim.output, 1, 1);
  else drop(1);
  converse(&shim, &unblocked);
}

// MARK: scp and sftp

/// These run `ssh` by a path of their own, unless they are told another: so they are told.
static _Noreturn void run_tool(int argc, char **argv, const char *name, const char *program) {
  struct stat own = {0}, other;
  stat("/proc/self/exe", &own);
  const char *path = getenv("PATH");
  if (!path) path = "/usr/local/bin:/usr/bin:/bin";
  char **arguments = calloc((size_t)argc + 3, sizeof *arguments), *candidate = malloc(strlen(path) + strlen(name) + 3);
  if (!arguments || !candidate) fail("%s: out of memory", name);
  arguments[0] = (char *)name;
  arguments[1] = "-S";
  arguments[2] = (char *)program;
  for (int i = 1; i < argc; i++) arguments[i + 2] = argv[i];
  for (const char *entry = path; entry; entry = *entry ? entry + 1 : NULL) {
    size_t length = strcspn(entry, ":");
    sprintf(candidate, "%.*s/%s", (int)length, length ? entry : ".", name);
    entry += length;
    if (stat(candidate, &other) < 0 || (other.st_dev == own.st_dev && other.st_ino == own.st_ino)) continue;
    if (S_ISREG(other.st_mode)) execv(candidate, arguments);
  }
  dprintf(2, "%s: not found in PATH\n", name);
  _exit(127);
}

#ifndef __GLIBC__
/// Other libraries give constructors no arguments: all of them, as the kernel has them.
static int own_arguments(char ***words) {
  int file = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC), argc = 0;
  size_t length = 0, size = 65536;
  char *line = malloc(size);
  for (ssize_t count = 1; line && file >= 0 && count > 0; length += count > 0 ? (size_t)count : 0) {
    if (length + 1 == size) {
      char *larger = realloc(line, size *= 2);
      if (!larger) free(line);
      line = larger;
    }
    if (line) count = read(file, line + length, size - 1 - length);
  }
  if (file >= 0) close(file);
  size_t count = 0;
  for (size_t at = 0; line && at < length; at++) count += !line[at];
  if (!line || !(*words = calloc(count + 2, sizeof **words))) fail("ssh: out of memory");
  line[length] = 0;
  for (size_t at = 0; at < length; at += strlen(line + at) + 1) (*words)[argc++] = line + at;
  return argc;
}
#endif

__attribute__((constructor(101))) static void lend_ssh(int argc, char **argv, char **envp) {
  const char *place = getenv(MARTLET_SSH_SOCKET_VARIABLE), *program = getenv(MARTLET_SSH_PROGRAM_VARIABLE);
  if (!place || !*place) return;
#ifndef __GLIBC__
  // Other libraries give constructors no arguments.
  argc = own_arguments(&argv);
  envp = NULL;
#endif
  if (argc < 1 || !argv || !argv[0]) return;
  const char *name = base_name(argv[0]);
  // By name, or, where no name could be made for us, by the path that was named for it.
  if (strcmp(name, "ssh") == 0 || (program && strcmp(argv[0], program) == 0)) run_shim(argc, argv, envp, place);
  if (program && (strcmp(name, "scp") == 0 || strcmp(name, "sftp") == 0)) run_tool(argc, argv, name, program);
}
