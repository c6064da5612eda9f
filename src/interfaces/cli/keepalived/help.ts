/**
 * What `keepalived --help` and `--version` say.
 * @module
 */
import { release, version } from "node:os";
import { KEEPALIVED, LVSD } from "../../daemon/texts.ts";

/** Options in keepalived's order. */
export const HELP = `Usage: keepalived [OPTION...]
  -f, --use-file=FILE          configuration file
                                (default /etc/keepalived/keepalived.conf)
  -P, --vrrp                   VRRP only
  -C, --check                  virtual servers only
  -B, --no_bfd                 no BFD (there is none)
      --all                    taken, without effect
  -l, --log-console            log to the terminal too
  -D, --log-detail             detailed log
  -S, --log-facility=([0-7]|local[0-7]|user|daemon)
                               facility of the system log (default daemon)
  -G, --no-syslog              nothing to the system log
  -u, --umask=MASK             umask of files (octal)
  -X, --release-vips           take VRRP addresses back at stop (the default)
  -V, --dont-release-vrrp      leave VRRP addresses and routes at stop
  -I, --dont-release-ipvs      leave the virtual server table at stop
  -R, --dont-respawn           end when the VRRP process dies
  -n, --dont-fork              stay in the foreground
  -d, --dump-conf              log the configuration as it was understood
  -p, --pid=FILE               pid file
  -r, --vrrp_pid=FILE          pid file of the VRRP process
  -T, --genhash                be genhash (must be the first option)
  -c, --checkers_pid=FILE      pid file of the health checks (the same process)
  -a, --address-monitoring     taken, without effect
  -b, --bfd_pid=FILE           taken, without effect
  -x, --snmp                   taken, without effect
  -A, --snmp-agent-socket=FILE taken, without effect
  -s, --namespace=NAME         run in a network namespace
  -m, --core-dump              taken, without effect
  -M, --core-dump-pattern=PATN taken, without effect
  -e, --all-config             a missing included file is an error
  -i, --config-id id           value for lines that begin with "@id" or "@^id"
                                (default: the host name up to the first dot)
      --signum=SIGFUNC         number of a signal: STOP, RELOAD, DATA, STATS, STATS_CLEAR, JSON
  -t, --config-test[=LOG_FILE] check the configuration; messages to standard error or the file
  -v, --version                version
  -h, --help                   this text
`;

/** The lines of --version; the first one begins as keepalived's does, since scripts read it. */
export const versionText = (): string =>
  `${KEEPALIVED.name} v${KEEPALIVED.version} (lvsd ${LVSD.version})

Running on Linux ${release()} ${version()}
`;
