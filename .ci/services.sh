# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The system services of the environment "services", for .ci/run to source: what listens already is
# used as it is, what is installed is started, what is missing is installed where we are root.
# Everything listens on loopback only. Uses apt_install of .ci/run.

listens() { # listens PORT
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

await() { # await PORT
    for _ in $(seq 60); do
        if listens "$1"; then return 0; fi
        sleep 1
    done
    echo "nothing listens on port $1 after 60 s" >&2
    return 1
}

start_mariadb() {
    local new=""
    if ! command -v mariadbd >/dev/null; then apt_install mariadb-server && new=1 || return; fi
    mkdir -p /run/mysqld && chown mysql: /run/mysqld || return
    start-stop-daemon --start --oknodo --background --exec /usr/sbin/mariadbd -- \
        --bind-address=127.0.0.1
    await 3306 || return
    # Debian lets root in by the socket only; the tests come over TCP without a password
    [ -z "$new" ] || mariadb -e \
        "ALTER USER root@localhost IDENTIFIED VIA mysql_native_password USING PASSWORD('')"
}

install_database_programs() { # what database instances need beside the server
    local wanted=()
    command -v mariadb-backup >/dev/null || wanted+=(mariadb-backup)
    command -v haproxy >/dev/null || wanted+=(haproxy)
    command -v nft >/dev/null || wanted+=(nftables)
    [ ${#wanted[@]} -eq 0 ] || apt_install "${wanted[@]}"
}

start_postgresql() {
    local new="" version
    if ! command -v pg_ctlcluster >/dev/null; then apt_install postgresql && new=1 || return; fi
    version=$(ls /etc/postgresql)
    if [ -n "$new" ]; then
        printf '%s\n' 'local all all trust' 'host all all 127.0.0.1/32 trust' \
            >"/etc/postgresql/$version/main/pg_hba.conf"
    fi
    pg_ctlcluster --skip-systemctl-redirect "$version" main start
    await 5432 || return
    [ -z "$new" ] || createuser --host=127.0.0.1 --username=postgres --superuser root
}

start_rabbitmq() {
    if ! command -v rabbitmq-server >/dev/null; then apt_install rabbitmq-server || return; fi
    RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 ERL_EPMD_ADDRESS=127.0.0.1 rabbitmq-server -detached
    await 5672
}

start_redis() {
    if ! command -v redis-server >/dev/null; then apt_install redis-server || return; fi
    redis-server --daemonize yes --bind 127.0.0.1 --port 6379 --save '' --appendonly no
    await 6379
}

start_services() {
    local PATH=$PATH:/usr/sbin:/sbin status=0
    listens 3306 || start_mariadb || status=1
    install_database_programs || status=1
    listens 5432 || start_postgresql || status=1
    listens 5672 || start_rabbitmq || status=1
    listens 6379 || start_redis || status=1
    return "$status"
}
