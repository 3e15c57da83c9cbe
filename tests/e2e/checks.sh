# shellcheck shell=bash disable=SC2154
# How checks report and wait, for scripts that source it after cluster.sh with `cluster`, the name on each line. A check
# begins, and passes with a line that shows its duration in milliseconds. The first failure prints its observations and
# ends the script.

readonly namespace=streamrole-system
# The chart's values for IAM, with any package.
# shellcheck disable=SC2034
readonly iam=http://10.90.0.1:5000
# A check can fail where its output is discarded.
exec 3>&1

now() { date +%s%3N; }
begin() { # NAME
	check=$1 begun=$(now)
}
passed() { # DETAIL
	printf '%-9s %7d ms  %s%s\n' "$cluster" $(($(now) - begun)) "$check" "${1:+: $1}"
}
fail() { # TEXT
	trap - ERR
	set +e
	{
		printf '%-9s    FAILED   %s, after %d ms: %s\n' "$cluster" "$check" $(($(now) - begun)) "$1"
		cat "$state"/log/{control,node?}.log
		echo "--- pods"
		kubectl get pods --all-namespaces --output wide
		echo "--- the Lease, and what happened last"
		kubectl --namespace $namespace get lease
		kubectl --namespace $namespace get events --sort-by=.metadata.creationTimestamp | tail -n 12
		for pod in $(kubectl --namespace $namespace get pods --output name); do
			echo "--- $pod"
			kubectl --namespace $namespace logs --tail 8 "$pod" | cut -c -400
		done
		kubectl get esr,pesr --all-namespaces >"$state/log/resources"
	} >&3 2>&1
	exit 1
}
set -E
trap 'fail "line $LINENO of ${BASH_SOURCE[0]##*/}: $BASH_COMMAND"' ERR

# Runs a command that must succeed; `said` is its output.
try() {
	said=$("$@" 2>&1) || fail "$* ended with $?: $(tail -n 5 <<<"$said")"
}
# Waits until the command succeeds.
eventually() { # SECONDS WHAT COMMAND...
	local deadline=$(($(now) + $1 * 1000))
	until "${@:3}" >/dev/null 2>&1; do
		[ "$(now)" -lt $deadline ] || fail "not within $1 s: $2"
		sleep 0.1
	done
}

# Without cached data about other clusters at this address.
client() { # PROGRAM ARGUMENT...
	in_network_of control env KUBECONFIG="$state/pki/admin.kubeconfig" KUBECACHEDIR="$state/client" HELM_CONFIG_HOME="$state/client" \
		HELM_CACHE_HOME="$state/client" HELM_DATA_HOME="$state/client" "$@"
}
kubectl() { client kubectl "$@"; }
helm() { client "helm$1" --namespace $namespace "${@:2}"; } # 3|4 ARGUMENT...
# One request to the API server, for checks that run ten times a second.
api() { # PATH
	in_network_of control curl --silent --fail --max-time 5 --cacert "$state/pki/ca.crt" --cert "$state/pki/admin.crt" \
		--key "$state/pki/admin.key" "https://$control_ip:6443$1"
}
pods() { api "/api/v1/namespaces/$namespace/pods?labelSelector=app.kubernetes.io/name%3Dstreamrole"; }

node_is_ready() { kubectl wait --for=condition=Ready "node/node$1" --timeout=1s; }
two_nodes() {
	begin "two nodes"
	control_up
	node_up 1
	node_up 2
	eventually 60 "node 1 is Ready" node_is_ready 1
	eventually 60 "node 2 is Ready" node_is_ready 2
	passed "$(kubectl get node node1 --output jsonpath='kubelet {.status.nodeInfo.kubeletVersion}, {.status.nodeInfo.containerRuntimeVersion}')"
}

# The declared number of pods, none of them in deletion, all Ready.
replicas_are_ready() {
	pods | jq --exit-status '(.items | length == 2) and all(.items[]; .metadata.deletionTimestamp == null
		and any(.status.conditions[]; .type == "Ready" and .status == "True"))'
}
restarts() { pods | jq '[.items[].status.containerStatuses[]?.restartCount] | add'; }
restarts_are() { [ "$(restarts)" = "$1" ]; }
nodes_of_replicas() { pods | jq '[.items[].spec.nodeName] | unique | length'; }

holder() { api "/apis/coordination.k8s.io/v1/namespaces/$namespace/leases/streamrole" | jq --raw-output '.spec.holderIdentity // ""'; }
# The pod of the replica that leads.
leader() { holder | sed 's/_.*//'; }
another_leads() { # HOLDER, or nothing
	local seen
	seen=$(holder)
	[ -n "$seen" ] && [ "$seen" != "$1" ]
}

# The controller's process in a pod.
process_of() { # POD
	local uid process
	uid=$(api "/api/v1/namespaces/$namespace/pods/$1" | jq --raw-output .metadata.uid)
	while read -r process; do
		[ "$(cat "/proc/$process/comm" 2>/dev/null)" != streamrole ] || { echo "$process" && return; }
	done < <(find /sys/fs/cgroup -path "*/streamrole-e2e-$cluster-*/pod$uid/*" -name cgroup.procs -exec cat {} + | sort -u)
	return 1
}

resource() { # NAMESPACE NAME
	jq --null-input --compact-output --arg namespace "$1" --arg name "$2" '{
		apiVersion: "streamrole.dev/v1alpha1", kind: "PinpointEventStreamRole", metadata: {$namespace, $name},
		spec: {path: "/\($namespace)/", destination: {kinesisStreamArn: "arn:aws:kinesis:us-east-1:111122223333:stream/app-events"}}}'
}
# Shows that a leader works: a new resource becomes Ready.
works() {
	local name
	name=works-$((works_number += 1))
	try kubectl create --filename - <<<"$(resource default $name)"
	try kubectl --namespace default wait --for=condition=Ready "pesr/$name" --timeout=20s
}
works_number=0

# The number of calls to IAM. Calls to STS, which returns the owner of the credentials, do not count.
calls_so_far() { wc -l <"$state/iam-calls"; }
calls_since() { # NUMBER ROLE-TO-LEAVE-OUT
	tail -n "+$(($1 + 1))" "$state/iam-calls" | jq --raw-output 'if .body_encoded then .body | @base64d else .body end' |
		grep --invert-match --extended-regexp "Action=GetCallerIdentity|RoleName=$2(&|\$)" | sed 's/.*Action=\([A-Za-z]*\).*/\1/' || true
}
