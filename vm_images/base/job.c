/* The login shell of the host's account: runs one job and tells how it ended.
 *
 * Called as `job -c SPEC` by the SSH server. SPEC is a row of netstrings ("3:abc,"): the job's name, the user (agent
 * or root), the folder, the command for bash, then any number of NAME=VALUE. A command that begins with @ names a file
 * that holds it, as the kernel limits its length. A shell script would do, but under emulation each program it
 * starts costs a twentieth of a second.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FIELDS = 512, PATH_BYTES = 4096, FAILED = 125, AGENT = 1000, TTY = 5 };

static void die(const char *what)
{
    dprintf(2, "job: %s: %s\n", what, strerror(errno));
    exit(FAILED);
}

static void put(const char *path, const char *text)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0 || write(file, text, strlen(text)) < 0)
        die(path);
    close(file);
}

/* Splits SPEC in place; the comma that ends a field becomes its terminating zero. */
static int split(char *spec, char **fields)
{
    int count = 0;
    while (*spec && count < FIELDS) {
        char *colon;
        unsigned long length = strtoul(spec, &colon, 10);
        if (*colon != ':' || strlen(colon + 1) <= length || colon[1 + length] != ',')
            break;
        fields[count++] = colon + 1;
        colon[1 + length] = 0;
        spec = colon + 2 + length;
    }
    return *spec ? -1 : count;
}

static void set_path(void)
{
    char path[PATH_BYTES] = "", bin[PATH_BYTES / 4];
    DIR *packs = opendir("/opt/packs");
    struct dirent *pack;
    while (packs && (pack = readdir(packs))) {
        snprintf(bin, sizeof bin, "/opt/packs/%s/bin", pack->d_name);
        if (pack->d_name[0] != '.' && access(bin, X_OK) == 0 && strlen(path) + strlen(bin) + 80 < sizeof path)
            strcat(strcat(path, bin), ":");
    }
    strcat(path, "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin");
    setenv("PATH", path, 1);
}

/* A session of its own. A terminal goes from the SSH server's session to it (which only root may do), so that keys that
 * signal, job control and a hang-up reach the program. */
static void begin_session(int root)
{
    setsid();
    if (isatty(0) && (ioctl(0, TIOCSCTTY, 1) || fchown(0, root ? 0 : AGENT, TTY)))
        die("the terminal");
}

static void run(char **fields, int count, const char *group)
{
    int root = strcmp(fields[1], "root") == 0;
    char *command = fields[3];
    put(group, "0");
    put("/proc/self/oom_score_adj", "0");
    clearenv();
    set_path();
    setenv("HOME", root ? "/root" : "/home/agent", 1);
    setenv("USER", fields[1], 1);
    setenv("LOGNAME", fields[1], 1);
    setenv("SHELL", "/bin/bash", 1);
    setenv("LANG", "C.UTF-8", 1);
    setenv("TERM", "dumb", 1);
    for (int i = 4; i < count; i++)
        putenv(fields[i]);
    begin_session(root);
    gid_t agents = AGENT;
    if (!root && (setgroups(1, &agents) || setgid(AGENT) || setuid(AGENT)))
        die("the agent's account");
    if (chdir(fields[2]))
        die(fields[2]);
    umask(022);
    if (command[0] == '@')
        execl("/bin/bash", "bash", command + 1, (char *)0);
    else
        execl("/bin/bash", "bash", "-c", command, (char *)0);
    die("bash");
}

int main(int argc, char **argv)
{
    char *fields[FIELDS], group[PATH_BYTES], procs[PATH_BYTES + 16], leader[PATH_BYTES], number[16];
    int status = 0, count = argc == 3 ? split(argv[2], fields) : -1;
    if (count < 4) {
        dprintf(2, "job: this account runs jobs of the host only\n");
        return FAILED;
    }
    snprintf(group, sizeof group, "/sys/fs/cgroup/jobs/%s", fields[0]);
    snprintf(procs, sizeof procs, "%s/cgroup.procs", group);
    snprintf(leader, sizeof leader, "/run/skerry/jobs/%s", fields[0]);
    snprintf(number, sizeof number, "%d\n", getpid());
    if (mkdir(group, 0755))
        die(group);
    put(leader, number);
    pid_t child = fork();
    if (child < 0)
        die("fork");
    if (child == 0)
        run(fields, count, procs);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    unlink(leader);
    if (fields[3][0] == '@')
        unlink(fields[3] + 1);
    /* Fails, rightly, while a program it left in the background lives. What hangs up ends all at once: a moment more. */
    for (int tries = fields[0][0] == 't' ? 25 : 0; rmdir(group) < 0 && errno == EBUSY && tries > 0; tries--)
        usleep(20000);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
