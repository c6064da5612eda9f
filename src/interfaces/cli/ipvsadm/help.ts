/**
 * The text of `-h`.
 * @module
 */

/** @param program the name it is called by */
export const helpText = (program: string): string => `Usage:
  ${program} -A|-E SERVICE [-s SCHEDULER] [-p [SECONDS]] [-M MASK] [--pe ENGINE] [-o] [-b FLAGS]
                  [--local-address ADDRESS[,ADDRESS...]]
  ${program} -D SERVICE
  ${program} -C
  ${program} -a|-e SERVICE -r ADDRESS[:PORT] [-g|-i|-m|--fullnat] [-w WEIGHT] [-x MAX] [-y MIN] [TUNNEL]
  ${program} -d SERVICE -r ADDRESS[:PORT]
  ${program} -L|-l [SERVICE|-c|--timeout|--daemon] [LAYOUT] [-n] [-X] [--sort|--nosort] [--json]
  ${program} -Z [SERVICE]
  ${program} -S [-n] [--full]
  ${program} -R [--test|--atomic]
  ${program} --set TCP TCPFIN UDP
  ${program} --start-daemon master|backup [--mcast-interface IF] [--syncid N] [--sync-maxlen BYTES]
                  [--mcast-group ADDRESS] [--mcast-port PORT] [--mcast-ttl N]
  ${program} --stop-daemon master|backup
  ${program} -h | -v

SERVICE is one of
  -t, --tcp-service ADDRESS[:PORT]    ADDRESS is an IPv4 address, a host name or [IPv6]
  -u, --udp-service ADDRESS[:PORT]
      --sctp-service ADDRESS[:PORT]
  -f, --fwmark-service MARK           packets with this firewall mark
  -6, --ipv6                          behind -f: the mark's IPv6 packets

Commands
  -A, --add-service       add a virtual service
  -E, --edit-service      change it; what is not given becomes the default
  -D, --delete-service    remove it with its servers
  -C, --clear             remove all services
  -a, --add-server        add a real server to a service
  -e, --edit-server       change it; what is not given becomes the default
  -d, --delete-server     remove it
  -L, -l, --list          show the table; also what no command at all does
  -Z, --zero              set counters to zero
  -S, --save              print the table as rules
  -R, --restore           run rules from standard input
      --set               set the timeouts of TCP, TCP after FIN, UDP in seconds; 0 keeps one
      --start-daemon      start a connection synchronisation daemon
      --stop-daemon       stop it
  -h, --help              this text
  -v, --version           the version this command stands in for

Of a service
  -s, --scheduler NAME    rr wrr lc wlc lblc lblcr dh sh sed nq fo ovf mh; default wlc
  -p, --persistent [SEC]  a client stays with its server; 1..2678400, default 360
  -M, --netmask MASK      clients of one network stay together: 255.255.255.0; IPv6: a length
      --pe NAME           persistence engine: sip
  -o, --ops               every UDP datagram is scheduled alone
  -b, --sched-flags LIST  sh-fallback sh-port, mh-fallback mh-port, flag-1 flag-2 flag-3
      --local-address A   addresses that servers see with --fullnat

Of a server
  -r, --real-server       ADDRESS[:PORT]
  -g, --gatewaying        direct routing, the default
  -i, --ipip              tunnel
  -m, --masquerading      address translation
      --fullnat           address translation of both ends
  -w, --weight N          0..2147483647, default 1; 0 gets no new connections
  -x, --u-threshold N     no new connections at N; 0 means no limit
  -y, --l-threshold N     until there are fewer than N
      --tun-type TYPE     ipip, gue or gre
      --tun-port PORT     UDP port of gue
      --tun-nocsum, --tun-csum, --tun-remcsum    checksum of the outer header

Of a listing
  -c, --connection        the connection table
      --timeout           the timeouts
      --daemon            the daemons
      --stats             counters
      --rate              rates a second
      --thresholds        thresholds
      --persistent-conn   persistent connections
      --tun-info          tunnels
  -n, --numeric           no names
  -X, --exact             no K, M, G, T
      --sort, --nosort    sorted (the default), or in the table's own order
      --json              one JSON document

Of -S and -R
      --full              save also thresholds, timeouts and daemons
      --test              check the rules, change nothing
      --atomic            all rules or none

Of the daemons
      --mcast-interface IF, --syncid N (0..255), --sync-maxlen BYTES (1..65507)
      --mcast-group ADDRESS, --mcast-port PORT, --mcast-ttl N (1..255)

With every command
      --explain           say more under an error, as on a terminal
`;
