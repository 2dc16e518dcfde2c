// Tries to reach addresses with every option that a socket may have.
// knock table PORT ADDRESS…: each option alone with each address and protocol.
// knock fuzz PORT SEED TRIES ADDRESS…: options, addresses and protocols at random.
// knock handles 0 0: whether a socket gives a handle of its network namespace.
// knock flood tcp|udp ADDRESS NUMBER: many connections at once.
// An address with `+` is one that may be reached. Prints a line for each that was reached, and the number of tries.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/in6.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEVICE "eth0"
#define BATCH 400
#define WAIT_MS 500

enum option {
    PLAIN, BIND_DEVICE, BIND_INDEX, UNICAST_IF, PKTINFO, PKTINFO_SOURCE, DONTROUTE, SEND_DONTROUTE, FREEBIND,
    TRANSPARENT, LOOSE_ROUTE, STRICT_ROUTE, MARK, BROADCAST, MULTICAST_IF, FASTOPEN, FRAGMENTS, ROUTING_HEADER, PRIORITY,
    LOW_TTL, FROM_DESTINATION, FROM_LOOPBACK, SCOPE, NEXT_HOP, NOT_SPECIFIC, OPTIONS
};
static const char *names[OPTIONS] = {
    "plain", "SO_BINDTODEVICE", "SO_BINDTOIFINDEX", "UNICAST_IF", "PKTINFO", "PKTINFO with source", "SO_DONTROUTE",
    "MSG_DONTROUTE", "FREEBIND", "TRANSPARENT", "LSRR", "SSRR", "SO_MARK", "SO_BROADCAST", "MULTICAST_IF", "MSG_FASTOPEN",
    "fragments", "RTHDR", "SO_PRIORITY", "TTL", "from its own destination", "from loopback", "scope", "NEXTHOP", "BIND_ADDRESS_NO_PORT"
};
static const struct { const char *name; int type, protocol; } protocols[] = {
    { "tcp", SOCK_STREAM, 0 }, { "udp", SOCK_DGRAM, 0 }, { "udplite", SOCK_DGRAM, 136 }, { "mptcp", SOCK_STREAM, 262 },
    { "sctp", SOCK_SEQPACKET, 132 }, { "dccp", 6, 33 }, { "ping", SOCK_DGRAM, IPPROTO_ICMP }, { "raw", SOCK_RAW, IPPROTO_RAW },
};
#define PROTOCOLS (sizeof protocols / sizeof *protocols)

struct knock { int fd, protocol, stream, allowed; char what[256]; };
static struct knock batch[BATCH];
static int waiting, tries, index_of_device, port;

static int set(int fd, int level, int name, int value) { return setsockopt(fd, level, name, &value, sizeof value); }

static void bind_from(int fd, int family, const char *four, const char *six) {
    struct sockaddr_in a = { .sin_family = AF_INET };
    struct sockaddr_in6 b = { .sin6_family = AF_INET6 };
    if (family == AF_INET) inet_pton(AF_INET, four, &a.sin_addr), bind(fd, (void *)&a, sizeof a);
    else inet_pton(AF_INET6, six, &b.sin6_addr), bind(fd, (void *)&b, sizeof b);
}

static void freebind(int fd, int family, int transparent) {
    if (family == AF_INET) set(fd, IPPROTO_IP, transparent ? IP_TRANSPARENT : IP_FREEBIND, 1);
    else set(fd, IPPROTO_IPV6, transparent ? 75 : 78, 1);
}

static void source_route(int fd, int strict, const char *final) {
    unsigned char way[12] = { strict ? 137 : 131, 11, 4 };
    inet_pton(AF_INET, "192.0.0.1", way + 3);
    inet_pton(AF_INET, final, way + 7);
    way[11] = 1;
    setsockopt(fd, IPPROTO_IP, IP_OPTIONS, way, 12);
}

static void apply(int fd, int family, enum option option, const char *address) {
    int v4 = family == AF_INET, ip = v4 ? IPPROTO_IP : IPPROTO_IPV6;
    switch (option) {
    case BIND_DEVICE: setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, DEVICE, sizeof DEVICE); break;
    case BIND_INDEX: set(fd, SOL_SOCKET, 62, index_of_device); break;
    case UNICAST_IF: set(fd, ip, v4 ? 50 : 76, htonl(index_of_device)); break;
    case MULTICAST_IF: if (v4) { struct ip_mreqn m = { .imr_ifindex = index_of_device }; setsockopt(fd, ip, IP_MULTICAST_IF, &m, sizeof m); }
        else set(fd, ip, IPV6_MULTICAST_IF, index_of_device);
        break;
    case DONTROUTE: set(fd, SOL_SOCKET, SO_DONTROUTE, 1); break;
    case FREEBIND: freebind(fd, family, 0); bind_from(fd, family, "10.9.8.7", "fd00:7::7"); break;
    case TRANSPARENT: freebind(fd, family, 1); bind_from(fd, family, "203.0.113.7", "2001:db8:7::7"); break;
    case FROM_DESTINATION: freebind(fd, family, 0); bind_from(fd, family, v4 ? address : "0.0.0.0", v4 ? "::" : address); break;
    case FROM_LOOPBACK: freebind(fd, family, 0); bind_from(fd, family, "127.0.0.1", "::1"); break;
    case LOOSE_ROUTE: case STRICT_ROUTE: if (v4) source_route(fd, option == STRICT_ROUTE, address); break;
    case MARK: set(fd, SOL_SOCKET, SO_MARK, 1); break;
    case PRIORITY: set(fd, SOL_SOCKET, SO_PRIORITY, 6); break;
    case BROADCAST: set(fd, SOL_SOCKET, SO_BROADCAST, 1); break;
    case LOW_TTL: set(fd, ip, v4 ? IP_TTL : IPV6_UNICAST_HOPS, 2); break;
    case FRAGMENTS: set(fd, ip, v4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER, 0); break;
    case ROUTING_HEADER: { unsigned char header[24] = { 0, 2, 2, 1 }; inet_pton(AF_INET6, "100::2", header + 8); if (!v4) setsockopt(fd, ip, 57, header, 24); break; }
    case NEXT_HOP: { struct sockaddr_in6 hop = { .sin6_family = AF_INET6 }; inet_pton(AF_INET6, "fe80::1", &hop.sin6_addr); hop.sin6_scope_id = index_of_device; if (!v4) setsockopt(fd, ip, 9, &hop, sizeof hop); break; }
    case NOT_SPECIFIC: set(fd, IPPROTO_IP, 24, 1); break;
    default: break;
    }
}

static void send_datagram(int fd, int family, unsigned mask, void *to, socklen_t length, int ping) {
    static char payload[60000] = "hello";
    char control[256] = { 0 };
    char echo[16] = { family == AF_INET ? 8 : (char)128 };
    struct iovec data = { ping ? echo : payload, ping ? sizeof echo : mask >> FRAGMENTS & 1 ? sizeof payload : 5 };
    struct msghdr message = { .msg_name = to, .msg_namelen = length, .msg_iov = &data, .msg_iovlen = 1 };
    if (mask & (1u << PKTINFO | 1u << PKTINFO_SOURCE)) {
        struct cmsghdr *head = (void *)control;
        message.msg_control = control;
        if (family == AF_INET) {
            struct in_pktinfo info = { .ipi_ifindex = index_of_device };
            if (mask >> PKTINFO_SOURCE & 1) info.ipi_spec_dst.s_addr = ((struct sockaddr_in *)to)->sin_addr.s_addr;
            *head = (struct cmsghdr) { CMSG_LEN(sizeof info), IPPROTO_IP, IP_PKTINFO };
            memcpy(CMSG_DATA(head), &info, sizeof info);
            message.msg_controllen = CMSG_SPACE(sizeof info);
        } else {
            struct in6_pktinfo info = { .ipi6_ifindex = index_of_device };
            if (mask >> PKTINFO_SOURCE & 1) info.ipi6_addr = ((struct sockaddr_in6 *)to)->sin6_addr;
            *head = (struct cmsghdr) { CMSG_LEN(sizeof info), IPPROTO_IPV6, 50 };
            memcpy(CMSG_DATA(head), &info, sizeof info);
            message.msg_controllen = CMSG_SPACE(sizeof info);
        }
    }
    for (int more = 0; more < 2; more++) sendmsg(fd, &message, MSG_NOSIGNAL | (mask >> SEND_DONTROUTE & 1 ? MSG_DONTROUTE : 0));
}

static void finish(void) {
    struct pollfd all[BATCH];
    for (int left = WAIT_MS; left > 0; left -= 100) usleep(100000);
    for (int i = 0; i < waiting; i++) all[i] = (struct pollfd) { batch[i].fd, POLLIN | POLLOUT, 0 };
    poll(all, waiting, 0);
    for (int i = 0; i < waiting; i++) {
        struct knock *k = &batch[i];
        struct sockaddr_storage peer;
        socklen_t length = sizeof peer, size = sizeof(int);
        char answer[64];
        int error = 1, reached;
        if (k->stream) reached = !getsockopt(k->fd, SOL_SOCKET, SO_ERROR, &error, &size) && !error && !getpeername(k->fd, (void *)&peer, &length);
        else reached = recv(k->fd, answer, sizeof answer, MSG_DONTWAIT) > 0;
        if (reached) printf("%s %s\n", k->allowed ? "allowed" : "REACHED", k->what);
        close(k->fd);
    }
    waiting = 0;
    fflush(stdout);
}

static void knock(const char *address, unsigned mask, int protocol) {
    int allowed = *address == '+', family = strchr(address, ':') ? AF_INET6 : AF_INET;
    address += allowed;
    struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
    if (family == AF_INET) inet_pton(AF_INET, address, &four.sin_addr);
    else inet_pton(AF_INET6, address, &six.sin6_addr);
    if (mask >> SCOPE & 1) six.sin6_scope_id = index_of_device;
    int kind = protocols[protocol].protocol;
    if (kind == IPPROTO_ICMP && family == AF_INET6) kind = IPPROTO_ICMPV6;
    int fd = socket(family, protocols[protocol].type | SOCK_NONBLOCK | SOCK_CLOEXEC, kind);
    tries++;
    if (fd < 0) return;
    for (int option = 0; option < OPTIONS; option++) if (mask >> option & 1) apply(fd, family, option, address);
    void *to = family == AF_INET ? (void *)&four : (void *)&six;
    socklen_t length = family == AF_INET ? sizeof four : sizeof six;
    int stream = protocols[protocol].type == SOCK_STREAM || protocols[protocol].type == 6;
    if (stream && !(mask >> FASTOPEN & 1)) connect(fd, to, length);
    else if (stream) sendto(fd, "hello", 5, MSG_FASTOPEN | MSG_NOSIGNAL, to, length);
    else send_datagram(fd, family, mask, to, length, protocols[protocol].protocol == IPPROTO_ICMP);
    struct knock *k = &batch[waiting++];
    *k = (struct knock) { .fd = fd, .protocol = protocol, .stream = stream, .allowed = allowed };
    int at = snprintf(k->what, sizeof k->what, "%s %s", address, protocols[protocol].name);
    for (int option = 0; option < OPTIONS; option++)
        if (mask >> option & 1 && at < 200) at += snprintf(k->what + at, sizeof k->what - at, " %s", names[option]);
    if (waiting == BATCH) finish();
}

// Begins many connections or exchanges of datagrams, each from a socket of its own, or from one to many ports.
static int flood(const char *address, int number, int datagrams) {
    struct rlimit files = { 20000, 20000 };
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(80) };
    int connected = 0, *all = calloc(number, sizeof *all), one = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    setrlimit(RLIMIT_NOFILE, &files);
    inet_pton(AF_INET, address, &to.sin_addr);
    for (int i = 0; i < number; i++) {
        if (datagrams) { to.sin_port = htons(1000 + i); sendto(one, "x", 1, 0, (void *)&to, sizeof to); continue; }
        all[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(all[i], (void *)&to, sizeof to);
    }
    sleep(2);
    for (int i = 0; !datagrams && i < number; i++) {
        struct sockaddr_storage peer;
        socklen_t length = sizeof peer;
        connected += !getpeername(all[i], (void *)&peer, &length);
    }
    return printf("connected %d\n", connected) < 0;
}

int main(int count, char **words) {
    if (count < 4) return 2;
    if (!strcmp(words[1], "handles")) {
        int fd = socket(AF_INET, SOCK_DGRAM, 0);
        return printf("SIOCGSKNS %s\n", ioctl(fd, SIOCGSKNS, 0) < 0 ? "refused" : "given") < 0;
    }
    if (!strcmp(words[1], "flood")) return flood(words[3], count > 4 ? atoi(words[4]) : 0, !strcmp(words[2], "udp"));
    struct rlimit files = { 2048, 2048 };
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max < 2048 ? files.rlim_max : 2048;
    setrlimit(RLIMIT_NOFILE, &files);
    index_of_device = if_nametoindex(DEVICE);
    port = atoi(words[2]);
    if (!strcmp(words[1], "table")) {
        for (int i = 3; i < count; i++)
            for (int option = 0; option < OPTIONS; option++)
                for (unsigned protocol = 0; protocol < PROTOCOLS; protocol++) knock(words[i], 1u << option, protocol);
    } else {
        if (count < 6) return 2;
        srandom(atoi(words[3]));
        for (int left = atoi(words[4]); left > 0; left--) {
            unsigned mask = random() & random() & ((1u << OPTIONS) - 1);
            if (random() & 1) mask &= random() & random();
            knock(words[5 + random() % (count - 5)], mask, random() % 10 < 8 ? random() % 2 : random() % PROTOCOLS);
        }
    }
    finish();
    printf("tries %d\n", tries);
    return 0;
}
