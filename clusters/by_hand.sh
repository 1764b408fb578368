#!/usr/bin/env bash
# clusters/by_hand.sh node2 node3 -- hwds +experiment=lstm_forecast sweep=asha
#
# A Ray cluster of this machine and those that are named, for one command: the head is here, each of the others is reached by ssh
# and needs the same Python environment at the same path (nothing else: code, data and results travel through Ray). All of it is
# gone when the command ends, however it ends. PORT (6379) must be open to the others, and so must Ray's own ports.
set -euo pipefail

hosts=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    hosts+=("$1")
    shift
done
[ $# -gt 1 ] || { echo "usage: $0 HOST... -- COMMAND..." >&2; exit 2; }
shift

ray=$(command -v ray)
head=${HEAD:-$(hostname -I | cut -d' ' -f1)}
address=$head:${PORT:-6379}
# Who can reach the ports could run code here: a token that only this cluster knows.
token=$(head -c 24 /dev/urandom | base64 | tr '+/' '-_')
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN=$token RAY_USAGE_STATS_ENABLED=0

logs=$(mktemp -d /tmp/hwds-XXXXXX) # of Ray, by this name on each host
started=()
stop() {
    for process in "${started[@]}"; do kill "$process" 2>/dev/null || true; done
    wait
    # shellcheck disable=SC2029 # the name is the one made here
    for host in "${hosts[@]}"; do ssh "$host" "rm -rf '$logs'" </dev/null || true; done
    rm -rf "$logs"
}
trap stop EXIT
trap 'exit 130' INT TERM

"$ray" start --head --node-ip-address="$head" --port="${PORT:-6379}" --temp-dir="$logs" --include-dashboard=false --block \
    </dev/null >/dev/null 2>&1 &
started+=($!)
until (: </dev/tcp/"$head"/"${PORT:-6379}") 2>/dev/null; do
    kill -0 "${started[0]}" 2>/dev/null || { echo "$0: the head node did not start; is port ${PORT:-6379} taken?" >&2; exit 1; }
    sleep 0.5
done
wait_for() { # so many nodes, that of the head among them
    RAY_ADDRESS=$address python -c "
import sys, time, ray
ray.init(log_to_driver=False, logging_level='ERROR')
wanted, deadline = int(sys.argv[1]), time.monotonic() + 120
while (there := sum(node['Alive'] for node in ray.nodes())) < wanted and time.monotonic() < deadline:
    time.sleep(0.5)
sys.exit(there < wanted and f'only {there} of {wanted} nodes came up in two minutes')
" "$1"
}
named=' '
for host in "${hosts[@]}"; do
    # Two that start on one host at once may take each other's sockets.
    if [[ $named == *" $host "* ]]; then wait_for ${#started[@]}; fi
    named+="$host "
    # With a terminal (-tt) the raylet there ends when ssh does. The token goes by the input, which no list of processes shows.
    ssh -tt "$host" "read -rs RAY_AUTH_TOKEN; export RAY_AUTH_TOKEN RAY_AUTH_MODE=token; '$ray' start --address=$address --block" \
        <<<"$token" >/dev/null 2>&1 &
    started+=($!)
done
wait_for ${#started[@]}

"$@" compute=cluster compute.address="$address"
