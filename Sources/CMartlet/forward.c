// Sockets for forwarded connections. Addresses are numbers here: names are looked up elsewhere.
#define _GNU_SOURCE
#include "CMartlet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union address {
  struct sockaddr any;
  struct sockaddr_in four;
  struct sockaddr_in6 six;
};

static socklen_t make_address(const char *text, uint16_t port, union address *address) {
  memset(address, 0, sizeof *address);
  if (inet_pton(AF_INET, text, &address->four.sin_addr) == 1) {
    address->four.sin_family = AF_INET;
    address->four.sin_port = htons(port);
    return sizeof address->four;
  }
  if (inet_pton(AF_INET6, text, &address->six.sin6_addr) == 1) {
    address->six.sin6_family = AF_INET6;
    address->six.sin6_port = htons(port);
    return sizeof address->six;
  }
  return 0;
}

bool martlet_is_address(const char *text) {
  union address address;
  return make_address(text, 0, &address) > 0;
}

int martlet_dial(const char *text, uint16_t port) {
  union address address;
  socklen_t size = make_address(text, port, &address);
  if (!size) return -EINVAL;
  int descriptor = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
  if (descriptor < 0) return -errno;
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(descriptor, &address.any, size) == 0 || errno == EINPROGRESS) return descriptor;
  int error = errno;
  close(descriptor);
  return -error;
}

int martlet_socket_error(int descriptor) {
  int error = 0;
  socklen_t size = sizeof error;
  return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? errno : error;
}

int martlet_listen(const char *text, uint16_t port, int backlog) {
  union address address;
  socklen_t size = make_address(text, port, &address);
  if (!size) return -EINVAL;
  int descriptor = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
  if (descriptor < 0) return -errno;
  setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address.any.sa_family == AF_INET6) setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (bind(descriptor, &address.any, size) == 0 && listen(descriptor, backlog) == 0) return descriptor;
  int error = errno;
  close(descriptor);
  return -error;
}

uint16_t martlet_local_port(int descriptor) {
  union address address;
  socklen_t size = sizeof address;
  if (getsockname(descriptor, &address.any, &size) < 0) return 0;
  return ntohs(address.any.sa_family == AF_INET6 ? address.six.sin6_port : address.four.sin_port);
}

int martlet_accept(int listener, char *peer, size_t room) {
  union address address = {0};
  socklen_t size = sizeof address;
  int descriptor = accept4(listener, &address.any, &size, SOCK_CLOEXEC | SOCK_NONBLOCK), on = 1;
  if (descriptor < 0) return -errno;
  *peer = 0;
  char text[INET6_ADDRSTRLEN] = "";
  if (address.any.sa_family == AF_INET) {
    inet_ntop(AF_INET, &address.four.sin_addr, text, sizeof text);
    snprintf(peer, room, "%s:%u", text, ntohs(address.four.sin_port));
  } else if (address.any.sa_family == AF_INET6) {
    inet_ntop(AF_INET6, &address.six.sin6_addr, text, sizeof text);
    snprintf(peer, room, "[%s]:%u", text, ntohs(address.six.sin6_port));
  }
  if (*peer) setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return descriptor;
}
