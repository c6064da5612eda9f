/**
 * Debian's servers, started for one test each: in a temporary folder, on free ports of the loopback, never as services of the
 * system. Each function gives the ports, and rejects when the server does not start.
 * @module
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import {
  accessSync,
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Account, findUser } from "../../src/control/scripts/account.ts";
import { certificate, closedPort } from "../../src/testkit/checked-server.ts";

const env = { ...process.env, NODE_EXTRA_CA_CERTS: "", LC_ALL: "C" };

/** Whether a program is installed. */
export function installed(path: string): boolean {
  try {
    accessSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Where PostgreSQL's programs are; undefined when it is not installed. */
export function postgresBin(): string | undefined {
  const root = "/usr/lib/postgresql";
  return installed(root)
    ? readdirSync(root)
        .map((version) => join(root, version, "bin"))
        .at(-1)
    : undefined;
}

/** The servers of one test file. */
export class RealServers {
  /** Everything they write is in here. */
  readonly folder = mkdtempSync(join(tmpdir(), `lvsd-servers-`));
  readonly #children: ChildProcess[] = [];
  readonly #logs = new Map<string, string>();

  constructor() {
    chmodSync(this.folder, 0o755); // servers that give up root must get in
  }

  /** Ends every server, and removes the folder. */
  async stop(): Promise<void> {
    await Promise.all(
      this.#children.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const ended = new Promise((resolve) => child.once("exit", resolve));
        const kill = (signal: NodeJS.Signals): void => {
          try {
            process.kill(-child.pid!, signal);
          } catch {
            // Gone already.
          }
        };
        kill("SIGTERM");
        const timer = setTimeout(() => kill("SIGKILL"), 5000);
        await ended;
        clearTimeout(timer);
        kill("SIGKILL");
      }),
    );
    rmSync(this.folder, { recursive: true, force: true });
  }

  #file(name: string, text: string | Buffer, mode = 0o644): string {
    const path = join(this.folder, name);
    writeFileSync(path, text, { mode });
    return path;
  }

  #directory(name: string, owner?: Account, mode = 0o755): string {
    const path = join(this.folder, name);
    mkdirSync(path, { recursive: true, mode });
    if (owner) chownSync(path, owner.uid, owner.gid);
    return path;
  }

  /** Paths of a certificate and its key. */
  #certificate(name: string): { cert: string; key: string } {
    const { cert, key } = certificate("server.example.org");
    return { cert: this.#file(`${name}.crt`, cert), key: this.#file(`${name}.key`, key, 0o600) };
  }

  #start(name: string, command: string, args: readonly string[], account?: Partial<Account>): ChildProcess {
    const child = spawn(command, args, {
      detached: true,
      cwd: this.folder,
      env,
      stdio: ["ignore", "pipe", "pipe"],
      ...account,
    });
    this.#children.push(child);
    const log = (data: Buffer): void =>
      void this.#logs.set(name, `${this.#logs.get(name) ?? ""}${data}`.slice(-4000));
    child.stdout!.on("data", log);
    child.stderr!.on("data", log);
    child.on("error", (error) => log(Buffer.from(String(error))));
    return child;
  }

  /** Waits until a TCP port accepts connections. */
  async #listening(name: string, child: ChildProcess, port: number): Promise<void> {
    for (let i = 0; i < 300; i++) {
      if (child.exitCode !== null) break;
      const open = await new Promise<boolean>((resolve) => {
        const socket = connect(port, "127.0.0.1", () => {
          socket.destroy();
          resolve(true);
        });
        socket.on("error", () => resolve(false));
      });
      if (open) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`${name} does not listen on port ${port}: ${this.#logs.get(name) ?? "said nothing"}`);
  }

  /** A web server: `/` says hello, `/status/...` answers 503, `/moved` redirects to `/`, `/long.html` is long and, in HTTP/1.1, chunked. */
  async nginx(): Promise<{ http: number; https: number }> {
    const [http, https] = [await closedPort(), await closedPort()];
    const { cert, key } = this.#certificate("nginx");
    const root = this.#directory("www");
    writeFileSync(join(root, "index.html"), "hello world\n");
    writeFileSync(join(root, "long.html"), `<html>${"a long page ".repeat(2000)}</html>\n`);
    const conf = this.#file(
      "nginx.conf",
      `daemon off; pid ${this.folder}/nginx.pid; error_log stderr; events {}
      http {
        access_log off;
        ${["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((t) => `${t}_temp_path ${this.folder}/nginx-${t};`).join("\n")}
        server {
          listen 127.0.0.1:${http}; listen 127.0.0.1:${https} ssl;
          ssl_certificate ${cert}; ssl_certificate_key ${key};
          root ${root};
          location = /moved { return 302 /; }
          location = /host { return 200 $host; }
          location = /sni { return 200 "sni=$ssl_server_name"; }
          location ~ ^/status/(\\d+) { return 503; }
          location = /long.html { gzip off; ssi on; }
        }
      }`,
    );
    const child = this.#start("nginx", "/usr/sbin/nginx", ["-p", this.folder, "-c", conf, "-e", "stderr"]);
    await this.#listening("nginx", child, http);
    return { http, https };
  }

  /** FTP for anonymous, with one file, plain and with TLS from the first byte. */
  async vsftpd(): Promise<{ ftp: number; ftps: number }> {
    const root = this.#directory("ftp");
    writeFileSync(join(root, "status.txt"), "the server is well\n");
    const secure = this.#directory("ftp-empty");
    const { cert, key } = this.#certificate("vsftpd");
    const start = async (name: string, more: string): Promise<number> => {
      const port = await closedPort();
      const conf = this.#file(
        `${name}.conf`,
        `listen=YES\nlisten_ipv6=NO\nlisten_address=127.0.0.1\nlisten_port=${port}\nbackground=NO\nanonymous_enable=YES\n` +
          `local_enable=NO\nanon_root=${root}\nsecure_chroot_dir=${secure}\nseccomp_sandbox=NO\nxferlog_enable=NO\n${more}`,
      );
      await this.#listening(name, this.#start(name, "/usr/sbin/vsftpd", [conf]), port);
      return port;
    };
    const tls = `ssl_enable=YES\nimplicit_ssl=YES\nallow_anon_ssl=YES\nrsa_cert_file=${cert}\nrsa_private_key_file=${key}\n`;
    return { ftp: await start("vsftpd", ""), ftps: await start("vsftpd-tls", tls) };
  }

  async postfix(): Promise<number> {
    const port = await closedPort();
    const owner = findUser("postfix")!;
    const etc = this.#directory("postfix");
    const [queue, data] = [this.#directory("postfix-queue"), this.#directory("postfix-data", owner)];
    for (const name of [
      "active",
      "bounce",
      "corrupt",
      "defer",
      "deferred",
      "flush",
      "hold",
      "incoming",
      "private",
      "saved",
      "trace",
    ])
      this.#directory(`postfix-queue/${name}`, owner, 0o700);
    for (const name of ["maildrop", "public"]) this.#directory(`postfix-queue/${name}`, owner);
    this.#directory("postfix-queue/pid");
    writeFileSync(
      join(etc, "main.cf"),
      `compatibility_level = 3.6\nqueue_directory = ${queue}\ndata_directory = ${data}\nmail_owner = postfix\n` +
        "myhostname = mx.example.org\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nalias_maps =\n" +
        "maillog_file = /dev/stdout\nlocal_recipient_maps =\nsmtpd_peername_lookup = no\nnotify_classes =\n",
    );
    writeFileSync(
      join(etc, "master.cf"),
      `127.0.0.1:${port} inet n - n - - smtpd\npostlog unix-dgram n - n - 1 postlogd\nanvil unix - - n - 1 anvil\n` +
        "rewrite unix - - n - - trivial-rewrite\ncleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\n" +
        "bounce unix - - n - 0 bounce\ndefer unix - - n - 0 bounce\ntrace unix - - n - 0 bounce\n",
    );
    const child = this.#start("postfix", "/usr/lib/postfix/sbin/master", ["-c", etc, "-d"]);
    await this.#listening("postfix", child, port);
    return port;
  }

  /** Mail for user "al" with password "right". */
  async dovecot(): Promise<{ imap: number; imaps: number; pop: number; pops: number }> {
    const [imap, imaps, pop, pops] = [
      await closedPort(),
      await closedPort(),
      await closedPort(),
      await closedPort(),
    ];
    const { cert, key } = this.#certificate("dovecot");
    const mail = findUser("mail")!;
    const users = this.#file(
      "dovecot.users",
      `al:{PLAIN}right:${mail.uid}:${mail.gid}::${this.#directory("mail", mail)}::\n`,
    );
    const listener = (name: string, plain: number, secured: number): string =>
      `service ${name}-login {
        inet_listener ${name} {\n address = 127.0.0.1\n port = ${plain}\n }
        inet_listener ${name}s {\n address = 127.0.0.1\n port = ${secured}\n ssl = yes\n }
      }`;
    const conf = this.#file(
      "dovecot.conf",
      `base_dir = ${this.#directory("dovecot-run")}
      state_dir = ${this.#directory("dovecot-state")}
      protocols = imap pop3
      log_path = /dev/stderr
      ssl = yes
      ssl_cert = <${cert}
      ssl_key = <${key}
      disable_plaintext_auth = no
      first_valid_uid = 1
      first_valid_gid = 1
      mail_location = maildir:~/maildir
      auth_failure_delay = 0
      service anvil {\n unix_listener anvil-auth-penalty {\n mode = 0\n }\n }
      passdb {\n driver = passwd-file\n args = ${users}\n }
      userdb {\n driver = passwd-file\n args = ${users}\n }
      ${listener("imap", imap, imaps)}
      ${listener("pop3", pop, pops)}
      `,
    );
    const child = this.#start("dovecot", "/usr/sbin/dovecot", ["-F", "-c", conf]);
    await this.#listening("dovecot", child, imap);
    return { imap, imaps, pop, pops };
  }

  /** A directory with dc=example,dc=org; cn=admin,dc=example,dc=org has the password "right". */
  async slapd(): Promise<{ ldap: number; ldaps: number }> {
    const [ldap, ldaps] = [await closedPort(), await closedPort()];
    const { cert, key } = this.#certificate("slapd");
    const conf = this.#file(
      "slapd.conf",
      `include /etc/ldap/schema/core.schema
moduleload /usr/lib/ldap/back_mdb.la
pidfile ${this.folder}/slapd.pid
TLSCertificateFile ${cert}
TLSCertificateKeyFile ${key}
database mdb
suffix "dc=example,dc=org"
rootdn "cn=admin,dc=example,dc=org"
rootpw right
directory ${this.#directory("slapd")}
`,
    );
    const ldif = this.#file(
      "slapd.ldif",
      "dn: dc=example,dc=org\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: x\n",
    );
    execFileSync("/usr/sbin/slapadd", ["-f", conf, "-l", ldif], { stdio: "pipe", env });
    const urls = `ldap://127.0.0.1:${ldap}/ ldaps://127.0.0.1:${ldaps}/`;
    const child = this.#start("slapd", "/usr/sbin/slapd", ["-d", "0", "-f", conf, "-h", urls]);
    await this.#listening("slapd", child, ldap);
    return { ldap, ldaps };
  }

  /** A name server that knows www.example.org, both ways, and refuses the rest. */
  async dnsmasq(): Promise<number> {
    const port = await closedPort();
    const child = this.#start("dnsmasq", "/usr/sbin/dnsmasq", [
      "--keep-in-foreground",
      "--conf-file=/dev/null",
      "--pid-file=",
      "--user=root",
      `--port=${port}`,
      "--listen-address=127.0.0.1",
      "--bind-interfaces",
      "--no-resolv",
      "--no-hosts",
      "--host-record=www.example.org,192.0.2.10,2001:db8::10",
      "--local=/example.org/",
    ]);
    await this.#listening("dnsmasq", child, port);
    return port;
  }

  /** A RADIUS server that accepts "al" with "right"; its secret is "testing123". */
  async freeradius(): Promise<number> {
    const port = await closedPort();
    const etc = this.#directory("radius");
    writeFileSync(join(etc, "users"), 'al Cleartext-Password := "right"\n');
    writeFileSync(
      join(etc, "radiusd.conf"),
      `name = lvsdtest
prefix = /usr\nlocalstatedir = ${etc}\nlogdir = ${etc}\nrun_dir = ${etc}\nlibdir = /usr/lib/freeradius
max_request_time = 5\nmax_requests = 64\nhostname_lookups = no
log {\n destination = stdout\n}
security {\n max_attributes = 200\n reject_delay = 0\n status_server = no\n allow_vulnerable_openssl = yes\n}
thread pool {\n start_servers = 1\n max_servers = 2\n min_spare_servers = 1\n max_spare_servers = 2\n max_requests_per_server = 0\n}
client here {\n ipaddr = 127.0.0.0/8\n secret = testing123\n}
modules {\n pap {\n }\n files {\n filename = ${etc}/users\n }\n}
server default {
  listen {\n type = auth\n ipaddr = 127.0.0.1\n port = ${port}\n }
  authorize {\n files\n pap\n }
  authenticate {\n Auth-Type PAP {\n pap\n }\n }
}
`,
    );
    this.#start("freeradius", "/usr/sbin/freeradius", ["-f", "-l", "stdout", "-d", etc, "-n", "radiusd"]);
    // UDP: whoever asks tries again until it answers.
    return port;
  }

  /** A database "shop" with a table "items" of two rows, for user "al" with "right". */
  async mariadb(): Promise<number> {
    const port = await closedPort();
    const data = this.#directory("mariadb");
    const common = ["--no-defaults", `--datadir=${data}`, "--user=root"];
    execFileSync(
      "/usr/bin/mariadb-install-db",
      [...common, "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"],
      { stdio: "pipe", env },
    );
    const init = this.#file(
      "mariadb.sql",
      "CREATE DATABASE shop;\nCREATE TABLE shop.items (name VARCHAR(9)) ENGINE=MyISAM;\nINSERT INTO shop.items VALUES ('a'),('b');\n" +
        "CREATE USER 'al'@'%' IDENTIFIED BY 'right';\nGRANT ALL ON shop.* TO 'al'@'%';\n",
    );
    const child = this.#start("mariadb", "/usr/sbin/mariadbd", [
      ...common,
      `--port=${port}`,
      "--bind-address=127.0.0.1",
      `--socket=${this.folder}/mariadb.sock`,
      `--pid-file=${this.folder}/mariadb.pid`,
      `--init-file=${init}`,
      "--skip-name-resolve",
      "--innodb-buffer-pool-size=8M",
    ]);
    await this.#listening("mariadb", child, port);
    return port;
  }

  /** A database "shop" with a table "items" of two rows, for user "al" with "right". */
  async postgresql(bin: string): Promise<number> {
    const port = await closedPort();
    const owner = findUser("postgres")!;
    const data = this.#directory("postgres", owner, 0o700);
    const options = { stdio: "pipe", env, cwd: "/", uid: owner.uid, gid: owner.gid } as const;
    execFileSync(join(bin, "initdb"), ["-D", data, "-A", "trust", "--no-sync", "-U", "postgres"], options);
    writeFileSync(
      join(data, "pg_hba.conf"),
      "host all al 127.0.0.1/32 scram-sha-256\nhost all postgres 127.0.0.1/32 trust\n",
    );
    const settings = [
      `-cunix_socket_directories=`,
      "-clisten_addresses=127.0.0.1",
      "-cfsync=off",
      "-cshared_buffers=1MB",
    ];
    const child = this.#start(
      "postgresql",
      join(bin, "postgres"),
      ["-D", data, "-p", String(port), ...settings],
      owner,
    );
    await this.#listening("postgresql", child, port);
    const psql = (database: string, sql: string): Buffer =>
      execFileSync(
        join(bin, "psql"),
        ["-h", "127.0.0.1", "-p", String(port), "-U", "postgres", "-d", database, "-qc", sql],
        options,
      );
    psql("postgres", "CREATE USER al PASSWORD 'right'");
    psql("postgres", "CREATE DATABASE shop");
    psql(
      "shop",
      "CREATE TABLE items (name text); INSERT INTO items VALUES ('a'),('b'); GRANT ALL ON items TO al",
    );
    return port;
  }
}
