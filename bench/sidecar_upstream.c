/* An upstream that costs next to nothing: prepared answers in the shape of chat completions, chosen by the model's name.

   `sidecar_upstream` prints its port and serves until it is killed. Models:
     json    1 KB of JSON
     burst   51 events at once
     paced   100 events, one each 5 ms; their content is when they were sent (nanoseconds of CLOCK_MONOTONIC)
     short   head and first event at once, three more events 2 ms later
     hold    head and first event at once, then one event a second until the caller leaves
   As engines do, it reports usage in a last event when `include_usage` is asked for, and in every event when
   `continuous_usage_stats` is. It trusts that a request has a content-length and that none follows before its answer. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { INPUT = 32768, OUTPUT = 65536, CONNECTIONS = 4096, BURST = 51, PACED = 100, SHORT = 4, ENDLESS = 1 << 30 };
static const int64_t MILLISECOND = 1000000;

struct connection {
  int used, filled, left, total, usage, continuous; /* left: events still to come of the stream */
  int64_t due, pace;
  char input[INPUT];
};

static struct connection *connections[CONNECTIONS];
static int poller, timer, highest;
static int64_t armed;
static char json[2048], out[OUTPUT];
static int json_size, out_size;

static void fatal(const char *what) {
  perror(what);
  exit(1);
}

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void arm(int64_t due) {
  if (due == armed) return;
  struct itimerspec at = {.it_value = {due / 1000000000, due % 1000000000}};
  if (timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL)) fatal("timerfd_settime");
  armed = due;
}

static void flush(int fd) {
  /* What is in flight on one connection always fits its buffer; a caller that has left is heard of by reading. */
  ssize_t sent = send(fd, out, out_size, MSG_NOSIGNAL);
  if (sent >= 0 && sent < out_size) fatal("an answer did not fit the socket's buffer");
  out_size = 0;
}

static void chunk(const char *text, int size) {
  out_size += sprintf(out + out_size, "%x\r\n", size);
  memcpy(out + out_size, text, size);
  memcpy(out + out_size + size, "\r\n", 2);
  out_size += size + 2;
}

static void event(struct connection *c, const char *content) {
  char text[512], usage[128] = "";
  int done = c->total - --c->left;
  if (c->continuous)
    sprintf(usage, ",\"usage\":{\"prompt_tokens\":205,\"total_tokens\":%d,\"completion_tokens\":%d}", 205 + done, done);
  chunk(text, sprintf(text,
    "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"bench\",\"choices\":"
    "[{\"index\":0,\"delta\":{\"content\":\"%s\"},\"finish_reason\":%s}]%s}\n\n",
    content, c->left ? "null" : "\"stop\"", usage));
  if (c->left) return;
  if (c->usage)
    chunk(text, sprintf(text,
      "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"bench\",\"choices\":[],"
      "\"usage\":{\"prompt_tokens\":205,\"total_tokens\":%d,\"completion_tokens\":%d}}\n\n", 205 + c->total, c->total));
  chunk("data: [DONE]\n\n", 14);
  memcpy(out + out_size, "0\r\n\r\n", 5);
  out_size += 5;
}

static void begin_stream(struct connection *c, int events, int64_t pace) {
  out_size = sprintf(out, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n");
  c->left = c->total = events;
  c->pace = pace;
  c->due = now() + pace;
}

static void answer(int fd, struct connection *c, const char *body) {
  const char *model = strstr(body, "\"model\"");
  if (!model) { fprintf(stderr, "a request names no model\n"); exit(1); }
  model += strcspn(model + 7, "\"") + 8;
  c->usage = strstr(body, "include_usage\":true") || strstr(body, "include_usage\": true");
  c->continuous = strstr(body, "continuous_usage_stats") != NULL;
  if (!strncmp(model, "json\"", 5)) {
    memcpy(out, json, out_size = json_size);
  } else if (!strncmp(model, "burst\"", 6)) {
    begin_stream(c, BURST, 0);
    while (c->left) event(c, "word ");
  } else if (!strncmp(model, "paced\"", 6)) {
    begin_stream(c, PACED, 5 * MILLISECOND);
  } else if (!strncmp(model, "short\"", 6)) {
    begin_stream(c, SHORT, 2 * MILLISECOND);
    event(c, "word ");
  } else if (!strncmp(model, "hold\"", 5)) {
    begin_stream(c, ENDLESS, 1000 * MILLISECOND);
    event(c, "word ");
  } else {
    fprintf(stderr, "a request names an unknown model: %.40s\n", model);
    exit(1);
  }
  flush(fd);
  if (c->left && (!armed || c->due < armed)) arm(c->due);
}

static void hang_up(int fd) {
  connections[fd]->used = 0;
  close(fd);
}

static void readable(int fd) {
  struct connection *c = connections[fd];
  ssize_t size = recv(fd, c->input + c->filled, INPUT - 1 - c->filled, 0);
  if (size <= 0) { if (size == 0 || errno != EAGAIN) hang_up(fd); return; }
  c->filled += size;
  c->input[c->filled] = 0;
  char *end = strstr(c->input, "\r\n\r\n");
  if (!end) return;
  char *length = strcasestr(c->input, "\r\ncontent-length:");
  long wanted = length && length < end ? atol(length + 17) : 0;
  char *body = end + 4;
  if (c->input + c->filled - body < wanted) return;
  c->filled = 0;
  if (!wanted) { /* somebody asks whether we are there */
    out_size = sprintf(out, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    flush(fd);
    return;
  }
  answer(fd, c, body);
}

static void tick(void) {
  uint64_t times;
  if (read(timer, &times, sizeof times) < 0 && errno != EAGAIN) fatal("timer");
  int64_t next = 0, moment = now();
  for (int fd = 0; fd <= highest; fd++) {
    struct connection *c = connections[fd];
    if (!c || !c->used || !c->left) continue;
    if (c->due <= moment) {
      char content[32] = "word ";
      if (c->total == PACED) sprintf(content, "%lld", (long long)now());
      do event(c, content); while (c->total == SHORT && c->left);
      flush(fd);
      c->due += c->pace;
    }
    if (c->left && (!next || c->due < next)) next = c->due;
  }
  armed = 0;
  if (next) arm(next);
}

static void welcome(int listener) {
  int fd, yes = 1;
  while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
    if (fd >= CONNECTIONS) { close(fd); continue; }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (!connections[fd]) connections[fd] = malloc(sizeof(struct connection));
    struct connection *c = connections[fd];
    c->used = 1;
    c->filled = c->left = 0;
    if (fd > highest) highest = fd;
    struct epoll_event on = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &on)) fatal("epoll_ctl");
  }
}

static void prepare_json(void) {
  char words[1024] = "";
  for (int i = 0; i < 160; i++) strcat(words, "word ");
  char body[1536];
  int size = sprintf(body,
    "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"bench\",\"choices\":[{\"index\":0,"
    "\"message\":{\"role\":\"assistant\",\"content\":\"%s\"},\"finish_reason\":\"stop\"}],"
    "\"usage\":{\"prompt_tokens\":205,\"total_tokens\":365,\"completion_tokens\":160}}", words);
  json_size = sprintf(json, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s", size, body);
}

int main(void) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof at;
  if (listener < 0 || bind(listener, (struct sockaddr *)&at, size) || listen(listener, 1024)) fatal("listen");
  getsockname(listener, (struct sockaddr *)&at, &size);
  poller = epoll_create1(0);
  timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  if (poller < 0 || timer < 0) fatal("epoll or timerfd");
  int ears[2] = {listener, timer};
  for (int i = 0; i < 2; i++) {
    struct epoll_event on = {.events = EPOLLIN, .data.fd = ears[i]};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, ears[i], &on)) fatal("epoll_ctl");
  }
  prepare_json();
  printf("%d\n", ntohs(at.sin_port));
  fflush(stdout);
  for (;;) {
    struct epoll_event events[256];
    int count = epoll_wait(poller, events, 256, -1);
    if (count < 0 && errno != EINTR) fatal("epoll_wait");
    for (int i = 0; i < count; i++) {
      int fd = events[i].data.fd;
      if (fd == listener) welcome(listener);
      else if (fd == timer) tick();
      else readable(fd);
    }
  }
}
