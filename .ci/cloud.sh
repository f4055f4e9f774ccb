# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The cloud of the environment "cloud", for .ci/run to source: the one that OS_CLOUD names, or a
# laboratory beside the checkout, which is brought up on ports of its own and down again. Where
# there is neither, or the laboratory does not come up here, the step says that it did not run; a
# test that fails is run once more before the step fails, and what fails in the laboratory counts
# only where BACKUPSVC_LAB_COUNTS is set. Uses $work and check of .ci/run.
# shellcheck disable=SC2034,SC2154  # shared with .ci/run

not_run() { # not_run WHY
    printf '######## cloud: NOT RUN: %s\n' "$*"
    cloud_state="NOT RUN"
}

free_ports() { # free_ports COUNT: below those that the kernel gives to whoever connects
    python3 -c '
import random, socket, sys
found = []
while len(found) < int(sys.argv[1]):
    port = random.randrange(18000, 32000)
    with socket.socket() as each:
        try:
            each.bind(("127.0.0.1", port))
        except OSError:
            continue
    if port not in found:
        found.append(port)
print(*found)' "$1"
}

taken() { # taken PORT
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

lab_environment() {
    local names=(KEYSTONE_PORT SWIFT_PORT SWIFT_TEMPAUTH_PORT CINDER_PORT NOVA_PORT PLACEMENT_PORT
        GLANCE_PORT NEUTRON_PORT MYSQL_PORT RABBIT_PORT RABBIT_DIST_PORT EPMD_PORT MEMCACHED_PORT)
    local ports name
    read -ra ports <<<"$(free_ports ${#names[@]})"
    for name in "${names[@]}"; do
        export "$name=${ports[0]}"
        ports=("${ports[@]:1}")
    done
    export LAB_VENV=${LAB_VENV:-/opt/lab} LAB_DATA
    LAB_DATA=$(mktemp -d /var/tmp/backupsvc-lab.XXXXXX)
    # daemons of their own users write below it
    chmod 755 "$LAB_DATA"
    cat >"$work/clouds.yaml" <<YAML
clouds:
  lab:
    auth: {auth_url: "http://127.0.0.1:$KEYSTONE_PORT/v3", username: admin, password: labsecret,
           project_name: admin, user_domain_id: default, project_domain_id: default}
    region_name: RegionOne
    identity_api_version: 3
YAML
    export OS_CLIENT_CONFIG_FILE=$work/clouds.yaml OS_CLOUD=lab
    export BACKUPSVC_TEST_MEMCACHED=127.0.0.1:$MEMCACHED_PORT
}

lab_down() {
    cloud_is_up=""
    timeout 120 "$cloud_lab/down" >/dev/null 2>&1 || true
    awk -v dir="$LAB_DATA/" 'index($2, dir) == 1 {print $2}' /proc/mounts | xargs -r umount || true
    rm -rf "$LAB_DATA"
}

lab_is_installed() {
    [ -x "$LAB_VENV/openstack/bin/cinder-volume" ] && [ -x "$LAB_VENV/swift/bin/python" ] &&
        [ -x "$LAB_VENV/client/bin/openstack" ] && command -v ceph-osd >/dev/null
}

test_cloud() {
    local status=0 limit=1320
    check cloud || status=$?
    if [ "$status" -eq 124 ]; then
        not_run "the tests did not end within $limit s"
    elif [ "$status" -ne 0 ]; then
        printf '######## cloud: what failed is run once more\n'
        status=0 limit=360
        check cloud -- --last-failed --last-failed-no-failures none || status=$?
        return "$status"
    fi
}

run_cloud() {
    local status=0
    cloud_lab=../shared/lab
    if [ -n "${OS_CLOUD:-}" ]; then
        test_cloud
        return
    fi
    if [ ! -x "$cloud_lab/up" ]; then
        not_run "OS_CLOUD names no cloud, and $cloud_lab is not there"
    elif [ "$(id -u)" -ne 0 ]; then
        not_run "the laboratory needs root"
    elif taken 6789 || taken 3300; then
        not_run "a Ceph monitor listens here already"
    else
        cloud_lab=$(cd "$cloud_lab" && pwd)
        lab_environment
        if ! lab_is_installed && ! timeout 600 "$cloud_lab/install.sh" >"$work/lab.log" 2>&1; then
            tail -n 20 "$work/lab.log"
            not_run "the laboratory cannot be installed here"
            rm -rf "$LAB_DATA"
            return
        fi
        cloud_is_up=1
        if timeout 420 "$cloud_lab/up" keystone swift ceph cinder nova >"$work/lab.log" 2>&1; then
            cat "$work/lab.log"
            test_cloud || status=$?
            if [ "$status" -ne 0 ] && [ -z "${BACKUPSVC_LAB_COUNTS:-}" ]; then
                # a laboratory of twenty daemons on the machine that all other steps share: what
                # fails there is looked at, and counts where somebody says so
                cloud_state="FAILED in the laboratory, not counted"
                printf '######## cloud: %s\n' "$cloud_state"
                status=0
            fi
        else
            tail -n 20 "$work/lab.log"
            not_run "the laboratory did not come up"
        fi
        lab_down
        return "$status"
    fi
}
