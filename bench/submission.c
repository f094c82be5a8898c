/* The load of submission: TLS from the start, AUTH PLAIN, one message and away.
 *
 *   submission PORT USER LOGIN CLIENTS MESSAGES BYTES
 *
 * CLIENTS processes share MESSAGES between them.  Each message has a connection with a whole handshake of its own, and
 * goes from USER to itself; LOGIN is what AUTH PLAIN sends.  What may be pipelined (RFC 2920) is.  Ends with 0 when all
 * were taken; at the first refusal, with 1 and what was said on standard error.
 */
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static char heard[65536];

static void give_up(const char *why, const char *what)
{
    fprintf(stderr, "%s: %.200s\n", why, what);
    _exit(1);
}

static void say(SSL *tls, const char *text, size_t length)
{
    if (SSL_write(tls, text, (int)length) <= 0)
        give_up("the connection broke while this was sent", text);
}

/* Read so many whole replies; the last one has to begin with the code, and no other may refuse. */
static void hear(SSL *tls, int replies, const char *code)
{
    size_t have = 0;
    char *line = heard;

    while (replies > 0) {
        char *end = memchr(line, '\n', have - (size_t)(line - heard));
        if (end == NULL) {
            int more = have < sizeof heard - 1 ? SSL_read(tls, heard + have, (int)(sizeof heard - 1 - have)) : 0;
            have += more > 0 ? (size_t)more : 0;
            heard[have] = 0;
            if (more <= 0)
                give_up("no reply, after this", heard);
            continue;
        }
        if (end - line < 4 || line[0] == '4' || line[0] == '5' || (replies == 1 && strncmp(line, code, 3) != 0))
            give_up("unexpected reply", line);
        replies -= line[3] != '-';
        line = end + 1;
    }
}

static int dial(int port)
{
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    struct timeval most = {.tv_sec = 60};
    int plain = socket(AF_INET, SOCK_STREAM, 0);

    there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(plain, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
    if (plain < 0 || connect(plain, (struct sockaddr *)&there, sizeof there) != 0)
        give_up("cannot connect", "");
    return plain;
}

static void submit(SSL_CTX *context, char **argv, const char *content)
{
    int plain = dial(atoi(argv[1]));
    SSL *tls = SSL_new(context);
    char said[1024];

    SSL_set_fd(tls, plain);
    if (SSL_connect(tls) != 1)
        give_up("no handshake", SSL_state_string_long(tls));
    hear(tls, 1, "220");
    say(tls, "EHLO load.test\r\n", 16);
    hear(tls, 1, "250");
    say(tls, said, (size_t)snprintf(said, sizeof said, "AUTH PLAIN %s\r\n", argv[3]));
    hear(tls, 1, "235");
    say(tls, said, (size_t)snprintf(said, sizeof said, "MAIL FROM:<%s>\r\nRCPT TO:<%s>\r\nDATA\r\n", argv[2], argv[2]));
    hear(tls, 3, "354");
    say(tls, content, strlen(content));
    hear(tls, 2, "221");
    SSL_shutdown(tls);
    SSL_free(tls);
    close(plain);
}

static char *make_content(const char *user, size_t bytes)
{
    char *content = malloc(bytes + 1024);
    size_t length, head;

    if (content == NULL)
        give_up("no memory", "");
    head = (size_t)snprintf(content, 900, "From: %s\r\nTo: %s\r\nDate: Fri, 27 Nov 2026 12:00:00 +0000\r\n"
                            "Message-ID: <1@load.test>\r\n\r\n", user, user);
    for (length = head; length - head + 80 <= bytes; length += 80) {
        memset(content + length, 'X', 78);
        memcpy(content + length + 78, "\r\n", 2);
    }
    strcpy(content + length, ".\r\nQUIT\r\n");
    return content;
}

int main(int argc, char **argv)
{
    int clients, messages, status, failed = 0;
    char *content;
    SSL_CTX *context;

    if (argc != 7 || strlen(argv[2]) > 200 || strlen(argv[3]) > 500)
        return 2;
    clients = atoi(argv[4]);
    messages = atoi(argv[5]);
    content = make_content(argv[2], (size_t)atoi(argv[6]));
    context = SSL_CTX_new(TLS_client_method()); /* it trusts anybody */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    for (int client = 0; client < clients; client++) {
        pid_t child = fork();
        if (child < 0)
            return 1; /* those that run end by themselves */
        if (child == 0) {
            for (int number = client; number < messages; number += clients)
                submit(context, argv, content);
            _exit(0);
        }
    }
    while (wait(&status) > 0)
        failed |= status;
    return failed != 0;
}
