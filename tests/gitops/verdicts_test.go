package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const healthScript = "../../deploy/argocd/health.lua"

type (
	fields     = map[string]any
	conditions []any
)

// of is a condition as the controller writes it.
func of(kind, status, reason, message string) any {
	return fields{
		"type": kind, "status": status, "reason": reason, "message": message,
		"observedGeneration": int64(1), "lastTransitionTime": "2026-11-23T12:00:00Z",
	}
}

// with is the Ready condition, the conditions of the two documents, and the one beside them, if any.
func with(ready, documents, reason, message, beside string) conditions {
	all := conditions{
		of("Ready", ready, reason, message),
		of("TrustPolicySynced", documents, reason, ""),
		of("PermissionsPolicySynced", documents, reason, ""),
	}
	if beside != "" {
		all = append(all, of(beside, "True", reason, message))
	}
	return all
}

// A state is a resource and what the tools are to say of it. The messages are what the test looks for in the
// tools' own.
type state struct {
	name string
	// Generations of the resource and of the status.
	generation, observed int64
	deleting             bool
	conditions           conditions

	kstatus, argocd, message string
}

func states() []state {
	const (
		differs = "The live role differs, and nothing is written because"
		denied  = "iam:CreateRole is denied on the IAM role ns-events. Allow the controller's credentials iam:CreateRole on arn:aws:iam::111122223333:role/ns-events."
		blocked = "Deletion is blocked: the role has policies or instance profiles that this resource does not declare: instance profile x."
	)
	ready := with("True", "True", "Synced", "The IAM role matches the spec.", "")
	return []state{
		{
			// As the API server creates it.
			name: "created and not observed yet", generation: 1, observed: -1,
			kstatus: "InProgress", argocd: "Progressing", message: "not observed the resource",
		},
		{
			name: "ready", generation: 1, observed: 1, conditions: ready,
			kstatus: "Current", argocd: "Healthy", message: "matches the spec",
		},
		{
			name: "edited and not observed yet", generation: 2, observed: 1, conditions: ready,
			kstatus: "InProgress", argocd: "Progressing", message: "last change",
		},
		{
			name: "edited, and the edit is being applied", generation: 2, observed: 2,
			conditions: with("False", "False", "Progressing", "Applying the new spec to the IAM role.", "Reconciling"),
			kstatus:    "InProgress", argocd: "Progressing", message: "Applying the new spec",
		},
		{
			name: "edited, and an edit of before was refused", generation: 2, observed: 1,
			conditions: with("False", "Unknown", "RefusedByIam", "IAM refused.", "Stalled"),
			kstatus:    "InProgress", argocd: "Progressing", message: "last change",
		},
		{
			name: "with extra policies", generation: 1, observed: 1,
			conditions: with("True", "True", "ExtraPolicies", "The IAM role matches the spec but has additional policies: inlinePolicies.x.", ""),
			kstatus:    "Current", argocd: "Healthy", message: "inlinePolicies.x",
		},
		{
			name: "with drift of a document, reported", generation: 1, observed: 1,
			conditions: conditions{
				of("Ready", "False", "DriftReported", differs+" spec.driftPolicy is Report: trustPolicy."),
				of("TrustPolicySynced", "False", "DriftReported", ""),
				of("PermissionsPolicySynced", "True", "Synced", ""),
				of("Stalled", "True", "DriftReported", differs+" spec.driftPolicy is Report: trustPolicy."),
			},
			kstatus: "Failed", argocd: "Degraded", message: differs,
		},
		{
			name: "with drift of something else, reported", generation: 1, observed: 1,
			conditions: with("True", "True", "DriftReported", differs+" spec.driftPolicy is Report: tags.team.", ""),
			kstatus:    "Current", argocd: "Healthy", message: "tags.team",
		},
		{
			name: "while IAM throttles", generation: 1, observed: 1,
			conditions: with("False", "Unknown", "Throttled", "Rate exceeded. Retrying more slowly.", "Reconciling"),
			kstatus:    "InProgress", argocd: "Progressing", message: "Retrying",
		},
		{
			name: "denied access", generation: 1, observed: 1,
			conditions: with("False", "Unknown", "AccessDenied", denied, "Stalled"),
			kstatus:    "Failed", argocd: "Degraded", message: denied,
		},
		{
			name: "in conflict with another resource", generation: 1, observed: 1,
			conditions: with("False", "Unknown", "RoleOwnedByAnother", "The role belongs to ns/other.", "Stalled"),
			kstatus:    "Failed", argocd: "Degraded", message: "ns/other",
		},
		{
			name: "refused by IAM", generation: 1, observed: 1,
			conditions: with("False", "Unknown", "RefusedByIam", "Change the field of the spec that IAM names.", "Stalled"),
			kstatus:    "Failed", argocd: "Degraded", message: "Change the field",
		},
		{
			name: "paused, as declared", generation: 1, observed: 1,
			conditions: with("True", "True", "Paused", "The live role matches the spec; nothing is written because the resource is annotated as paused.", ""),
			kstatus:    "Current", argocd: "Suspended", message: "annotated as paused",
		},
		{
			name: "paused, and the role differs", generation: 1, observed: 1,
			conditions: with("False", "False", "Paused", differs+" the resource is annotated as paused: trustPolicy.", "Stalled"),
			kstatus:    "Failed", argocd: "Suspended", message: differs,
		},
		{
			name: "paused, and the role is not its own", generation: 1, observed: 1,
			conditions: with("False", "Unknown", "RoleNotOwned", "It was not created for this resource.", "Stalled"),
			kstatus:    "Failed", argocd: "Degraded", message: "not created for",
		},
		{
			name: "deleting", generation: 2, observed: 1, deleting: true, conditions: ready,
			kstatus: "Terminating", argocd: "Progressing", message: "Pending deletion",
		},
		{
			name: "deleting, and blocked", generation: 2, observed: 2, deleting: true,
			conditions: with("False", "Unknown", "DeletionBlocked", blocked, "Stalled"),
			kstatus:    "Terminating", argocd: "Progressing", message: "Pending deletion",
		},
		{
			name: "deleting, and paused", generation: 2, observed: 2, deleting: true,
			conditions: with("False", "Unknown", "Paused", "The resource is being deleted but is paused.", "Stalled"),
			kstatus:    "Terminating", argocd: "Progressing", message: "Pending deletion",
		},
	}
}

func (s state) object(kind string) *unstructured.Unstructured {
	metadata := fields{
		"name": "events", "namespace": "ns", "generation": s.generation,
		"finalizers": []any{"streamrole.dev/finalizer"},
	}
	if s.deleting {
		metadata["deletionTimestamp"] = "2026-11-23T12:00:00Z"
	}
	object := fields{
		"apiVersion": "streamrole.dev/v1alpha1", "kind": kind, "metadata": metadata,
	}
	object["status"] = fields{"observedGeneration": s.observed, "conditions": []any(s.conditions)}
	return &unstructured.Unstructured{Object: object}
}

func text(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestEachStateIsJudgedAsDocumented(t *testing.T) {
	script := text(t, healthScript)
	for _, kind := range kinds(t) {
		for _, state := range states() {
			t.Run(kind+" "+state.name, func(t *testing.T) {
				said, err := judge(state.object(kind), script)
				if err != nil {
					t.Fatal(err)
				}
				if said.Kstatus != state.kstatus {
					t.Errorf("kstatus says %s (%s), expected %s", said.Kstatus, said.KstatusMessage, state.kstatus)
				}
				if said.Argocd != state.argocd || !strings.Contains(said.ArgocdMessage, state.message) {
					t.Errorf("Argo CD says %s (%s), expected %s (%s)", said.Argocd, said.ArgocdMessage, state.argocd, state.message)
				}
			})
		}
	}
}

// A hook of Argo CD's is the one case in which it asks the script about a deletion.
func TestADeletedHookIsDegradedOnceItsDeletionIsBlocked(t *testing.T) {
	script := text(t, healthScript)
	expected := map[string]string{
		"deleting": "Progressing", "deleting, and blocked": "Degraded", "deleting, and paused": "Degraded",
	}
	for _, state := range states() {
		if !state.deleting {
			continue
		}
		object := state.object("EventStreamRole")
		object.SetFinalizers([]string{hookFinalizer})
		said, err := argocdHealth(object, script)
		if err != nil {
			t.Fatal(err)
		}
		if said.status != expected[state.name] {
			t.Errorf("%s: Argo CD says %s, expected %s", state.name, said.status, expected[state.name])
		}
	}
}

func TestTheHealthScriptBearsWithAnything(t *testing.T) {
	script := text(t, healthScript)
	ready := fields{"type": "Ready", "status": "True"}
	table := []struct {
		object   fields
		expected string
	}{
		{fields{}, "Progressing"},
		{fields{"metadata": nil, "status": nil}, "Progressing"},
		{fields{"status": "odd"}, "Progressing"},
		{fields{"status": fields{}}, "Progressing"},
		{fields{"status": fields{"observedGeneration": int64(1)}}, "Progressing"},
		{fields{"status": fields{"observedGeneration": int64(1), "conditions": nil}}, "Progressing"},
		{fields{"status": fields{"observedGeneration": int64(1), "conditions": "odd"}}, "Progressing"},
		{fields{"status": fields{"observedGeneration": int64(1), "conditions": []any{"odd", fields{}}}}, "Progressing"},
		{fields{"status": fields{"observedGeneration": int64(1), "conditions": []any{fields{"type": "Ready"}}}}, "Progressing"},
		{fields{"status": fields{"conditions": []any{ready}}}, "Progressing"},
		{fields{"status": fields{"observedGeneration": int64(1), "conditions": []any{ready}}}, "Healthy"},
		{fields{"metadata": fields{}, "status": fields{"observedGeneration": int64(1), "conditions": []any{"odd", ready}}}, "Healthy"},
		{fields{"status": fields{"observedGeneration": int64(1), "conditions": []any{ready, fields{"type": "Stalled", "status": "True", "message": int64(7)}}}}, "Degraded"},
		{fields{"status": fields{"observedGeneration": int64(1), "conditions": []any{ready, fields{"type": "Stalled", "status": "False"}}}}, "Healthy"},
	}
	for _, row := range table {
		said, err := scriptHealth(&unstructured.Unstructured{Object: row.object}, script)
		if err != nil {
			t.Errorf("%v: %v", row.object, err)
		} else if said.status != row.expected || said.message == "" {
			t.Errorf("%v: the script says %s (%s), expected %s and a message", row.object, said.status, said.message, row.expected)
		}
	}
}

func TestAScriptHasTheLibrariesOfArgoCDOnly(t *testing.T) {
	const script = `return {status = "Healthy", message = tostring(string) .. tostring(io) .. tostring(math) .. type(table)}`
	said, err := scriptHealth(&unstructured.Unstructured{Object: fields{}}, script)
	if err != nil || said.message != "nilnilniltable" {
		t.Errorf("%v, %v", said, err)
	}
}

func TestOneLineIsWrittenForEachObject(t *testing.T) {
	const object = `{"apiVersion": "streamrole.dev/v1alpha1", "kind": "EventStreamRole", "metadata": {"generation": 1}, "status": {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True", "message": "a < b"}]}}`
	const expected = `{"kstatus":"Current","kstatusMessage":"Resource is Ready","argocd":"Healthy","argocdMessage":"a < b"}`
	var out strings.Builder
	err := judgeAll(strings.NewReader(object+"\n"+object+"\n"), &out, text(t, healthScript))
	if err != nil || out.String() != expected+"\n"+expected+"\n" {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestBadInputIsNamed(t *testing.T) {
	const good = `return {status = "Healthy"}`
	const object = `{"apiVersion": "v1", "kind": "Secret"}`
	table := []struct{ input, script, expected string }{
		{`{"kind": `, good, "object 1 is not JSON"},
		{object + "\nodd", good, "object 2 is not JSON"},
		{`{"metadata": {}}`, good, "object 1 is no Kubernetes object"},
		{`{"kind": "A", "metadata": {"generation": "1"}}`, good, "object 1: kstatus cannot judge it"},
		{object, "nonsense", "object 1: the health script fails"},
		{object, "return string.upper('a')", "object 1: the health script fails"},
		{object, "return 'Healthy'", "it returns a string"},
		{object, "", "it returns a nil"},
		{object, "return {status = 'Fine'}", `its status is "Fine"`},
		{object, "while true do end", "deadline"},
	}
	for _, row := range table {
		err := judgeAll(strings.NewReader(row.input), &strings.Builder{}, row.script)
		if !strings.Contains(fmt.Sprint(err), row.expected) {
			t.Errorf("%s with %q: %v, expected %s", row.input, row.script, err, row.expected)
		}
	}
}
