// The few things that must happen below Swift: before main, between fork and exec, and after a crash.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// MARK: Take-over (takeover.c)

/// The environment variable that makes a process an agent. Its value is the nonce of the connect.
#define MARTLET_AGENT_VARIABLE "MARTLET_AGENT"

/// Whether this process was started as an agent: true from before main on.
bool martlet_is_agent(void);
/// The nonce, or NULL in a process that is not an agent.
const char *martlet_agent_nonce(void);

/// Has Swift's tasks that ask for no executor run by `enqueue_job` from now on, where libdispatch cannot run them.
void martlet_keep_tasks(void (*enqueue_job)(void *job));

/// Swift's UnownedSerialExecutor.
struct martlet_executor {
  uintptr_t words[2];
};
/// Has `executor` run the main actor's jobs from now on. Returns false if the run-time has no way to do that.
bool martlet_keep_main_actor(struct martlet_executor executor);

/// Makes `ps` show `title` for this process, as far as the memory that the kernel keeps for the command line allows.
void martlet_set_title(const char *title);

/// A process as /proc shows it.
struct martlet_process {
  pid_t pid, parent, group, session;
  uint64_t start;  ///< in clock ticks since the machine was started: with `pid`, names a process for good
  char state;
  bool is_leased;  ///< a detached context: see MARTLET_LEASED_NAME
  bool is_monitor;  ///< watches over a container: see MARTLET_MONITOR_NAME
};

// MARK: Child processes (spawn.c)

struct martlet_spawn {
  const char *path;           ///< the executable; not searched for
  int executable;             ///< the executable as a descriptor, in place of the path; -1: none
  char *const *argv;          ///< NULL-terminated
  char *const *envp;          ///< NULL-terminated
  const char *directory;      ///< NULL: ours
  int descriptors[3];         ///< for 0, 1 and 2
  bool new_session;           ///< setsid, so that the child has no terminal; else a process group of its own
  int nice;                   ///< added to our nice level
  int terminal;               ///< with new_session: becomes the session's controlling terminal; -1: none
  bool stays_in_group;        ///< ours, so that the terminal is its too; it gets SIGTERM when the thread ends that starts it
};

enum martlet_spawn_step {
  MARTLET_SPAWN_FORK = 1,
  MARTLET_SPAWN_GROUP,
  MARTLET_SPAWN_GUARD,
  MARTLET_SPAWN_DESCRIPTORS,
  MARTLET_SPAWN_DIRECTORY,
  MARTLET_SPAWN_EXEC,
};

/// Starts a program. Returns its id, or -errno with the step that failed in `*failed_step`.
/// `*pidfd` is a descriptor that polls readable when the child has ended, or -1 where the kernel has none (before 5.3).
/// `*guard_slot` is the group's slot in the guard's table, taken before the program runs; NULL: it is not guarded.
pid_t martlet_spawn(const struct martlet_spawn *spawn, int *pidfd, int *guard_slot, int *failed_step);

/// Starts a program with our own input, outputs, process group and terminal; from now on the keys that end programs are its alone.
/// It gets SIGTERM if this process ends, however it ends. Not guarded. Returns its id or -errno; `*pidfd` as above.
pid_t martlet_spawn_in_front(const char *path, char *const *argv, char *const *envp, int *pidfd);

/// Whether a process group has a process that has not ended. One that has ended but was not reaped by its parent does not
/// count: where nobody adopts orphans, as in many containers, it stays for ever.
bool martlet_group_is_alive(pid_t group);
/// Sends a signal (0: none) to each process of a session that has not ended. Returns whether there was one; never where /proc
/// tells nothing.
bool martlet_signal_session(pid_t session, int number);

/// A pipe, both ends close-on-exec. Returns 0 or -errno.
int martlet_pipe(int ends[2]);
/// Makes a file without a name that may be executed: in memory, or with `folder` in a directory. `ends[1]` is to be written,
/// and closed before `ends[0]` is executed. Returns 0 or -errno.
int martlet_unnamed_file(const char *folder, int ends[2]);

// MARK: Terminals, secrets (terminal.c)

/// Makes a pseudo-terminal, both ends close-on-exec. Returns 0 or -errno.
int martlet_terminal_open(int *master, int *slave);
/// Whether what is typed there is shown: programs that ask for a password turn it off.
bool martlet_terminal_echoes(int master);
/// Shows nothing of what is typed from now on.
void martlet_terminal_hide(int master);
/// Sets the size, in characters; what runs in front is told (SIGWINCH).
void martlet_terminal_resize(int terminal, uint16_t columns, uint16_t rows);
/// Reads the size; false if it is no terminal, or does not say.
bool martlet_terminal_size(int terminal, uint16_t *columns, uint16_t *rows);
/// The process group in front of the terminal; 0 if there is none.
pid_t martlet_terminal_foreground(int master);
/// What is typed there to end the input (mostly Ctrl-D); -1 while no key does.
int martlet_terminal_end_key(int master);
/// Overwrites bytes, in a way that no compiler leaves out.
void martlet_forget(void *bytes, size_t count);

// MARK: The guard (guard.c)

/// How many process groups one process can have guarded at once.
#define MARTLET_GUARD_SLOTS 16384

/// Starts the guard: a tiny process that ends every process group in the table when this process is gone, however it went.
/// Returns 0 or -errno. Starting it again in the same process does nothing, unless it has been killed.
int martlet_guard_start(void);
/// Ends the guard and waits for it. The table must be empty.
void martlet_guard_stop(void);
/// Puts a process group into the table. Returns its slot, or -1 if the table is full or there is no guard.
int martlet_guard_add(pid_t group);
void martlet_guard_remove(int slot);
/// Ends this process by SIGKILL, and with it all that is guarded, after `milliseconds`, whatever this process is doing:
/// the kernel does it.
void martlet_kill_self_after(uint32_t milliseconds);

/// The guard's number; 0 if there is none.
pid_t martlet_guard_pid(void);
/// From now on the guard ends these single processes too, each with its group, and not those that were named before. One
/// that is not the same any more is left alone. At most MARTLET_GUARD_PROCESSES are taken.
void martlet_guard_set_processes(const struct martlet_process *processes, size_t count);
/// Whether this process is among those: for tests.
bool martlet_guard_has_process(pid_t pid);
#define MARTLET_GUARD_PROCESSES 512

// MARK: Other processes (children.c)

/// What a process's main thread is called while the process is a detached context.
#define MARTLET_LEASED_NAME "martlet-leased"

/// What podman leaves behind for each container: it ends with the container, and removes what is to be removed then. Killed
/// before, it would leave a container that nobody looks after.
#define MARTLET_MONITOR_NAME "conmon"

/// Names the main thread so that others see that this process is a detached context, or is one no more.
void martlet_set_leased(bool is_leased);
/// From now on a SIGTERM that this process's present parent sends in the next 30 s does not end it: a program such as sudo
/// passes on what ends it itself.
void martlet_outlive_parent(void);
/// Makes this process the parent of what its children, and theirs, leave behind.
void martlet_adopt_orphans(void);
/// Reads what /proc says of a process; false if there is none.
bool martlet_read_process(pid_t pid, struct martlet_process *process);
/// The children of a process. Returns how many, at most `room`.
int martlet_children(pid_t parent, pid_t *pids, int room);
/// A descriptor that polls readable when the process has ended; -1 where the kernel has none (before 5.3).
int martlet_process_descriptor(pid_t pid);

// MARK: Local sockets (socket.c)

/// All close-on-exec and non-blocking. These return the descriptor or -errno.
int martlet_socket_listen(const char *path);
/// Nobody but this user can connect.
int martlet_socket_listen_at(const char *path, int backlog);
int martlet_socket_connect(const char *path);
/// Returns 0 or -errno.
int martlet_socket_pair(int ends[2]);
/// For programs, which expect that a read waits.
void martlet_set_blocking(int descriptor);
int martlet_socket_accept(int listener);
/// Removes what a context that was killed has left: the socket, and the directory if it is empty.
int martlet_socket_forget(const char *path);
/// The effective user of the process that made the other end; -1 if it is not known.
int64_t martlet_socket_peer(int descriptor);
/// Makes a directory for this user alone, unless there is one. Returns 0 or -errno; -EPERM if others may get at it.
int martlet_private_directory(const char *path);

// MARK: Forwarded connections (forward.c)

/// Whether a text is an address of numbers, IPv4 or IPv6: the following take no others.
bool martlet_is_address(const char *text);
/// Begins to connect; writable when that is over, see martlet_socket_error. Returns the descriptor or -errno.
int martlet_dial(const char *address, uint16_t port);
/// What became of it: 0 or errno.
int martlet_socket_error(int descriptor);
/// A socket that listens; port 0: one that is free. Returns the descriptor or -errno.
int martlet_listen(const char *address, uint16_t port, int backlog);
/// Which port it has.
uint16_t martlet_local_port(int descriptor);
/// Returns the connection or -errno; `peer` becomes who it is from, empty for a local socket.
int martlet_accept(int listener, char *peer, size_t room);

// MARK: The ssh that is lent to tools (shim.c)

/// Where the program listens that lends it: a path, or `@` and a name that is in no file system. With it in its environment, a
/// process whose name is `ssh`, or the path that the third variable has, never comes to main.
#define MARTLET_SSH_SOCKET_VARIABLE "MARTLET_SSH_SOCKET"
/// What entitles to it.
#define MARTLET_SSH_TOKEN_VARIABLE "MARTLET_SSH_TOKEN"
/// What tools are to run as ssh.
#define MARTLET_SSH_PROGRAM_VARIABLE "MARTLET_SSH_PROGRAM"

/// Each message: its length (4 bytes, the machine's order), one of these, and so many bytes. The first carries two
/// descriptors, to read standard input from and to write standard output to.
enum {
  MARTLET_SHIM_HELLO = 1,   ///< the token, 1 byte of flags (terminals), columns, rows, argc, arguments, environment
  MARTLET_SHIM_SIZE = 2,    ///< the terminal's columns and rows have changed
  MARTLET_SHIM_BEGIN = 3,   ///< to the shim, 1 byte: 1 standard input is wanted, 2 the terminal is to be raw
  MARTLET_SHIM_ERROR = 4,   ///< to the shim: for standard error
  MARTLET_SHIM_STATUS = 5,  ///< to the shim, 1 byte: with what it exits
};

/// A socket that listens at a path, or with `@` in no file system. Returns it or -errno.
int martlet_shim_listen(const char *place, int backlog);
/// Reads what is there, with at most two descriptors (-1: none). Returns the count, 0 at the end, or -errno.
ssize_t martlet_shim_receive(int socket, void *bytes, size_t count, int descriptors[2]);
/// Reads from, or writes to, a socket that others may share, without waiting. Returns the count or -errno.
ssize_t martlet_socket_read(int socket, void *bytes, size_t count);
ssize_t martlet_socket_write(int socket, const void *bytes, size_t count);

// MARK: Polling (poll.c)

struct martlet_event {
  uint64_t token;
  uint32_t events;
};

/// The bits of `events`, in and out.
enum { MARTLET_READABLE = 1, MARTLET_WRITABLE = 2, MARTLET_CLOSED = 4 };

/// The most events that one call returns.
#define MARTLET_EVENTS 128

int martlet_poller_create(void);
/// `operation`: 0 add, 1 change, 2 remove. Returns 0 or -errno.
int martlet_poller_control(int poller, int operation, int descriptor, uint32_t events, uint64_t token);
/// Waits up to `timeout` nanoseconds (negative: for ever). Returns the number of events or -errno.
int martlet_poller_wait(int poller, struct martlet_event *events, int64_t timeout);

/// A descriptor to wake a poller with: write eight bytes. Returns it or -errno.
int martlet_wake_create(void);

/// Nanoseconds of the monotonic clock.
uint64_t martlet_now(void);

// MARK: Small things (support.c)

/// SHA-256 of `count` bytes.
void martlet_sha256(const void *bytes, size_t count, uint8_t digest[32]);
/// SHA-256 of what comes in parts.
struct martlet_digest {
  uint32_t state[8];
  uint64_t count;
  uint8_t block[64];
};
void martlet_digest_begin(struct martlet_digest *digest);
void martlet_digest_add(struct martlet_digest *digest, const void *bytes, size_t count);
void martlet_digest_end(struct martlet_digest *digest, uint8_t result[32]);
/// The build id that the linker has written into this executable; returns its length, 0 if there is none.
size_t martlet_build_id(uint8_t *bytes, size_t capacity);
/// Fills `bytes` from the kernel's random source. Returns false if there is none.
bool martlet_random(void *bytes, size_t count);
/// Gives back the pages of code that starting has touched and that are not needed again soon: an idle agent is small.
/// They come back from the file, or from memory, as they are used.
void martlet_release_code(void);
/// Makes standard output write line by line, so that what is printed is seen at once.
void martlet_line_buffer_output(void);
/// From now on `ask` sees what is written to the C library's stdout (1) and stderr (2), on the thread that writes, and takes
/// it by returning true. Where the C library has no way to do that, nothing happens.
void martlet_capture_output(bool (*ask)(int pipe, const void *bytes, size_t count));
/// errno in words. Thread-safe.
const char *martlet_error_text(int error);

// MARK: Files (files.c)

enum { MARTLET_FILE = 1, MARTLET_DIRECTORY = 2, MARTLET_LINK = 3, MARTLET_OTHER = 4 };

struct martlet_file {
  uint32_t kind, mode, user, group;
  uint64_t links;  ///< names that it has
  int64_t size;
  int64_t seconds;  ///< Of the last modification.
  uint32_t nanoseconds;
  bool is_sparse;
  uint64_t device, number;
};

/// What a name stands for. Returns 0 or errno.
int martlet_file_status(int directory, const char *name, bool follows, struct martlet_file *file);
int martlet_descriptor_status(int descriptor, struct martlet_file *file);
/// Sets the time of the last modification: of a name, a link itself if it is one, or without a name of a descriptor. Returns 0 or errno.
int martlet_set_modified(int directory, const char *name, int64_t seconds, uint32_t nanoseconds);
/// Where the next content of a sparse file begins, and where it ends. INT64_MAX: there is none; -1: that is not known here.
int64_t martlet_next_data(int descriptor, int64_t from, int64_t *end);
/// A file in a directory that has no name yet, and is gone if it gets none. Returns it or -1 (errno).
int martlet_nameless_file(int directory, unsigned mode);
/// Gives it a name that is free. Returns 0 or errno.
int martlet_name_file(int descriptor, int directory, const char *name);
/// Makes all that was written to a file system durable. Returns 0 or errno.
int martlet_sync_system(int descriptor);

/// XXH64 of what comes in parts.
struct martlet_checksum {
  uint64_t lanes[4];
  uint64_t count;
  uint8_t rest[32];
};
void martlet_checksum_begin(struct martlet_checksum *sum);
void martlet_checksum_add(struct martlet_checksum *sum, const void *bytes, size_t count);
void martlet_checksum_add_zeros(struct martlet_checksum *sum, uint64_t count);
uint64_t martlet_checksum_end(const struct martlet_checksum *sum);

// MARK: Thread-local mark (poll.c)

/// What the reactor notes about the running thread; 0 on threads that are not its own.
uintptr_t martlet_thread_mark(void);
void martlet_set_thread_mark(uintptr_t mark);
/// What debuggers show for the running thread, at most 15 bytes.
void martlet_name_thread(const char *name);

// MARK: Threads (thread.c)

/// A thread of this process, as long as it runs.
struct martlet_thread {
  int32_t number;
  int32_t clock;  ///< -1: there is none
};

struct martlet_thread martlet_thread_self(void);
/// The processor time that a thread has used, in nanoseconds; 0 where it is not known.
uint64_t martlet_thread_time(struct martlet_thread thread);
/// 1 if a thread waits in the kernel, 0 if it runs or would if there were a processor for it, -1 where there is no /proc.
int martlet_thread_is_blocked(struct martlet_thread thread);

/// What is being encoded or decoded on the running thread; NULL outside of that.
void *martlet_thread_passage(void);
void martlet_set_thread_passage(void *passage);
