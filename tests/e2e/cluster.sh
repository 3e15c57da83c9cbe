# shellcheck shell=bash disable=SC2154
# A cluster of real nodes on this machine, for scripts that source it with `e2e`, this folder, and `state`, an empty
# one. Each node and the control plane are PID 1 of separate namespaces (processes, mounts, network). Killing that
# process ends all its processes and removes its mounts, firewall rules and interfaces. Only cgroups outlive it; `run`
# removes them.
#
#     $state/pki        certificates and kubeconfigs
#     $state/log        the output of each program
#     $state/iam-calls  every call to IAM, one per line
#     10.90.0.1         API server and IAM; nodes are 10.90.0.11, 10.90.0.12, …
#     10.91.N.0/24      pods of node N
#     10.92.0.0/24      Services
#
# Two clusters have the same addresses and do not see each other.

readonly control_ip=10.90.0.1

# Starts FILE ARGUMENT... in separate namespaces. Its first process is in $state/NAME.init.
isolate() { # NAME FILE ARGUMENT...
	local name=$1 init
	shift
	# Without pdeathsig, a killed run would leave its nodes running.
	setpriv --pdeathsig KILL unshare --mount --net --pid --uts --ipc --fork --kill-child=KILL --mount-proc \
		"$@" >>"$state/log/$name.log" 2>&1 </dev/null &
	until init=$(pgrep --parent $!); do
		kill -0 $! || return
		sleep 0.02
	done
	echo "$init" >"$state/$name.init"
}

init_of() { cat "$state/$1.init"; }
in_network_of() { # NAME COMMAND...
	nsenter --target "$(init_of "$1")" --net "${@:2}"
}

certificate() { # NAME SUBJECT EXTENSION
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
		-CA "$state/pki/ca.crt" -CAkey "$state/pki/ca.key" -subj "$2" -addext basicConstraints=critical,CA:FALSE -addext "$3" \
		-keyout "$state/pki/$1.key" -out "$state/pki/$1.crt" 2>/dev/null
}
kubeconfig() { # NAME SUBJECT
	certificate "$1" "$2" extendedKeyUsage=clientAuth
	cat >"$state/pki/$1.kubeconfig" <<-END
		apiVersion: v1
		kind: Config
		clusters: [{name: e2e, cluster: {server: "https://$control_ip:6443", certificate-authority: ca.crt}}]
		users: [{name: e2e, user: {client-certificate: $1.crt, client-key: $1.key}}]
		contexts: [{name: e2e, context: {cluster: e2e, user: e2e}}]
		current-context: e2e
	END
}

control_up() {
	mkdir -p "$state"/{pki,log}
	local pki=$state/pki
	: >"$state/iam-calls"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=e2e \
		-keyout "$pki/ca.key" -out "$pki/ca.crt" 2>/dev/null
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$pki/accounts.key" 2>/dev/null
	openssl pkey -in "$pki/accounts.key" -pubout -out "$pki/accounts.pub"
	certificate apiserver /CN=kube-apiserver "subjectAltName=IP:$control_ip,IP:10.92.0.1,DNS:kubernetes.default.svc"
	certificate kubelet-client /O=system:masters/CN=kube-apiserver extendedKeyUsage=clientAuth
	kubeconfig admin /O=system:masters/CN=admin
	kubeconfig controller-manager /CN=system:kube-controller-manager
	kubeconfig scheduler /CN=system:kube-scheduler
	kubeconfig proxy /CN=system:kube-proxy
	isolate control "$e2e/control" "$state"
}

# Starts node N, or restarts it with its previous disk.
node_up() { # N
	local n=$1
	if [ ! -e "$state/pki/node$n.kubeconfig" ]; then
		certificate "node$n-server" "/CN=node$n" "subjectAltName=IP:10.90.0.1$n,DNS:node$n"
		kubeconfig "node$n" "/O=system:nodes/CN=system:node:node$n"
	fi
	CGROUP=streamrole-e2e-$(basename "$state")-$n isolate "node$n" "$e2e/node" "$state" "$n"
	# The node configures its end as soon as it appears.
	in_network_of control ip link add "to-node$n" type veth peer name node0 netns "$(init_of "node$n")"
	in_network_of control ip link set "to-node$n" master node0 up
	in_network_of control ip route replace "10.91.$n.0/24" via "10.90.0.1$n"
}

node_kill() { # N
	kill -KILL "$(init_of "node$1")"
	# The interface is removed with the namespace, which the kernel deletes with a delay.
	while in_network_of control ip link show "to-node$1" >/dev/null 2>&1; do sleep 0.05; done
	cgroups_down "$(basename "$state")-$1"
}

# Removes the cgroups of these killed nodes.
cgroups_down() { # PATTERN
	local folders deadline=$((SECONDS + 15))
	# A killed process leaves its cgroup with a short delay.
	while folders=$(cgroups "$1") && [ -n "$folders" ]; do
		while read -r folder; do find "$folder" -depth -type d -exec rmdir {} + 2>/dev/null || true; done <<<"$folders"
		[ $SECONDS -lt $deadline ] || return
		sleep 0.05
	done
}
cgroups() { find /sys/fs/cgroup -mindepth 1 -maxdepth 2 -type d -name "streamrole-e2e-$1"; }
