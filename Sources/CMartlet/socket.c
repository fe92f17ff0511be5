// Local sockets: where a detached context waits for its next controller, and what a shim speaks over.
#define _GNU_SOURCE
#include "CMartlet.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int make(const char *path, struct sockaddr_un *address) {
  if (strlen(path) >= sizeof address->sun_path) return -ENAMETOOLONG;
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  strcpy(address->sun_path, path);
  int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  return descriptor < 0 ? -errno : descriptor;
}

int martlet_socket_listen(const char *path) {
  struct sockaddr_un address;
  int descriptor = make(path, &address);
  if (descriptor < 0) return descriptor;
  if (bind(descriptor, (struct sockaddr *)&address, sizeof address) == 0 && listen(descriptor, 8) == 0) return descriptor;
  int error = errno;
  close(descriptor);
  return -error;
}

int martlet_socket_connect(const char *path) {
  struct sockaddr_un address;
  int descriptor = make(path, &address);
  if (descriptor < 0 || connect(descriptor, (struct sockaddr *)&address, sizeof address) == 0) return descriptor;
  int error = errno;
  close(descriptor);
  return -error;
}

int martlet_socket_listen_at(const char *path, int backlog) {
  struct sockaddr_un address;
  int descriptor = make(path, &address);
  if (descriptor < 0) return descriptor;
  // The mode of the socket becomes that of its name: there is no moment at which others may connect.
  if (fchmod(descriptor, 0600) == 0 && bind(descriptor, (struct sockaddr *)&address, sizeof address) == 0) {
    if (listen(descriptor, backlog) == 0) return descriptor;
    unlink(path);
  }
  int error = errno;
  close(descriptor);
  return -error;
}

int martlet_socket_pair(int ends[2]) {
  return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0 ? -errno : 0;
}

void martlet_set_blocking(int descriptor) {
  int flags = fcntl(descriptor, F_GETFL);
  if (flags >= 0) fcntl(descriptor, F_SETFL, flags & ~O_NONBLOCK);
}

int martlet_socket_accept(int listener) {
  int descriptor = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  return descriptor < 0 ? -errno : descriptor;
}

int martlet_socket_forget(const char *path) {
  struct stat status;
  char directory[sizeof(((struct sockaddr_un *)0)->sun_path)];
  char *end;
  if (strlen(path) >= sizeof directory || lstat(path, &status) < 0 || !S_ISSOCK(status.st_mode)) return -1;
  if (unlink(path) < 0) return -1;
  strcpy(directory, path);
  if (!(end = strrchr(directory, '/')) || end == directory) return 0;
  *end = 0;
  rmdir(directory);
  return 0;
}

int64_t martlet_socket_peer(int descriptor) {
  struct ucred peer;
  socklen_t size = sizeof peer;
  return getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ? -1 : (int64_t)peer.uid;
}

int martlet_private_directory(const char *path) {
  struct stat status;
  if (mkdir(path, 0700) < 0 && errno != EEXIST) return -errno;
  if (lstat(path, &status) < 0) return -errno;
  return S_ISDIR(status.st_mode) && status.st_uid == geteuid() && !(status.st_mode & 077) ? 0 : -EPERM;
}

int martlet_shim_listen(const char *place, int backlog) {
  if (*place != '@') return martlet_socket_listen_at(place, backlog);
  struct sockaddr_un address;
  int descriptor = make(place, &address);
  if (descriptor < 0) return descriptor;
  address.sun_path[0] = 0;
  socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(place));
  if (bind(descriptor, (struct sockaddr *)&address, size) == 0 && listen(descriptor, backlog) == 0) return descriptor;
  int error = errno;
  close(descriptor);
  return -error;
}

ssize_t martlet_shim_receive(int socket, void *bytes, size_t count, int descriptors[2]) {
  union {
    char bytes[CMSG_SPACE(2 * sizeof(int))];
    struct cmsghdr alignment;
  } control;
  struct iovec part = {bytes, count};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  descriptors[0] = descriptors[1] = -1;
  ssize_t result = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (result < 0) return -errno;
  int next = 0;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    size_t got = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < got; i++) {
      int descriptor;
      memcpy(&descriptor, CMSG_DATA(header) + i * sizeof(int), sizeof descriptor);
      if (next < 2) descriptors[next++] = descriptor;
      else close(descriptor);
    }
  }
  return result;
}

ssize_t martlet_socket_read(int socket, void *bytes, size_t count) {
  ssize_t result = recv(socket, bytes, count, MSG_DONTWAIT);
  return result < 0 ? -errno : result;
}

ssize_t martlet_socket_write(int socket, const void *bytes, size_t count) {
  ssize_t result = send(socket, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL);
  return result < 0 ? -errno : result;
}
