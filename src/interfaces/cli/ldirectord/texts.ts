/**
 * What the command prints about itself.
 * @module
 */

/** The version that this command stands in for, as its log says it. */
export const VERSION = "v1.186-ha";

export const USAGE = `Usage: ldirectord [-d|--debug] [--] [CONFIG] {start|stop|restart|try-restart|reload|force-reload|status}
       ldirectord {-h|--help|-v|--version}
`;

export const VERSION_TEXT = `Version of ldirectord: ${VERSION} (lvsd)
`;

export const HELP = `NAME
    ldirectord - Linux Director Daemon: watches real servers and keeps the table of virtual services

SYNOPSIS
    ldirectord [-d|--debug] [--] [CONFIG] COMMAND

COMMANDS
    start         start the daemon for CONFIG
    stop          stop it
    restart       stop it, wait for its end, start it
    try-restart   restart it if it runs
    reload        let it read CONFIG again
    force-reload  the same
    status        say whether it runs

OPTIONS
    -d, --debug    stay in the foreground and say what happens
    -h, --help     this text
    -v, --version  the version

CONFIG is looked for in /etc/ha.d, in /etc/ha.d/conf, and as it stands. Without it: ldirectord.cf.

FILES
    /var/run/ldirectord.CONFIG.pid  process number of the daemon
    /var/log/ldirectord.log         log, unless CONFIG names another

EXIT STATUS
    0    done; status: it runs
    1    not running (reload), a stale pid file (status), no CONFIG, or it cannot start
    2    CONFIG has an error
    3    status: it does not run
    255  the command line was not understood

ldirectord(8) describes the configuration.
`;
